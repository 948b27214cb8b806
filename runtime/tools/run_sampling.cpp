#include "run_sampling.hpp"

namespace elastic_run {

void add_sampling_options(CLI::App& command, elrt::GenerateOptions& options) {
  command.add_option("--max-tokens", options.max_tokens, "tokens to generate at most")
      ->check(common::in_range(1, 1 << 24))
      ->capture_default_str();
  command.add_option("--temperature", options.sampler.temperature, "0: always the most probable token")
      ->capture_default_str();
  command.add_option("--top-k", options.sampler.top_k, "sample among the k most probable tokens; 0: all")
      ->capture_default_str();
  command.add_option("--top-p", options.sampler.top_p, "... among the fewest that reach this probability")
      ->capture_default_str();
  command.add_option("--min-p", options.sampler.min_p, "... among those with this share of the highest probability")
      ->capture_default_str();
  command.add_option("--seed", options.sampler.seed, "equal seeds give equal texts")->capture_default_str();
  command.add_option("--stop", options.stop, "end before this text; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      .add_option("--draft-level", options.speculation.draft_level,
                  "a smaller level that guesses ahead where that is faster, text unchanged; 0: none")
      ->capture_default_str();
  command.add_option("--draft-tokens", options.speculation.draft_tokens, "guesses in a row at most")
      ->check(common::in_range(1, elrt::kMaxDraftTokens))
      ->capture_default_str();
}

}  // namespace elastic_run
