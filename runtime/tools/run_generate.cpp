#include <iostream>
#include <memory>

#include "run_common.hpp"

namespace elastic_run {
namespace {

struct GenerateCommand : LevelOptions {
  std::string prompt;
  elrt::GenerateOptions generate;
};

void run(const GenerateCommand& command) {
  OpenModel model = open_model(command);
  elrt::Session& session = model.session;
  elrt::TextCallback stream;
  if (!command.json) stream = [](std::string_view piece) { return static_cast<bool>(std::cout << piece << std::flush); };
  const auto result = take(elrt::generate(session, *model.tokenizer, command.prompt, command.generate, stream));
  if (!command.json) {
    std::cout << "\n";
    std::cerr << "level " << session.level() << ", " << result.prompt_tokens << " prompt tokens, " << result.tokens.size()
              << " generated (" << elrt::finish_reason_name(result.finish) << "), first after " << result.ttft_ms
              << " ms, then " << result.tpot_ms << " ms each\n";
    return;
  }
  print_json({{"text", result.text},
              {"tokens", result.tokens},
              {"level", session.level()},
              {"prompt_level", 100},  // prompts are read whole
              {"ttft_ms", result.ttft_ms},
              {"tpot_ms", result.tpot_ms},
              {"slo_met", nullptr},  // no objective was given
              {"prompt_tokens", result.prompt_tokens},
              {"finish_reason", elrt::finish_reason_name(result.finish)},
              {"threads", session.threads()}});
}

}  // namespace

void register_generate(CLI::App& app) {
  auto command = std::make_shared<GenerateCommand>();
  CLI::App* sub = app.add_subcommand("generate", "continue a prompt");
  add_level_options(*sub, *command);
  sub->add_option("--prompt", command->prompt, "the text to continue")->required();
  auto& generate = command->generate;
  sub->add_option("--max-tokens", generate.max_tokens, "tokens to generate at most")->check(CLI::Range(1u, 1u << 24))->capture_default_str();
  sub->add_option("--temperature", generate.sampler.temperature, "0: always the most probable token")->capture_default_str();
  sub->add_option("--top-k", generate.sampler.top_k, "sample among the k most probable tokens; 0: all")->capture_default_str();
  sub->add_option("--top-p", generate.sampler.top_p, "... among the fewest that reach this probability")->capture_default_str();
  sub->add_option("--min-p", generate.sampler.min_p, "... among those with this share of the highest probability")->capture_default_str();
  sub->add_option("--seed", generate.sampler.seed, "equal seeds give equal texts")->capture_default_str();
  sub->add_option("--stop", generate.stop, "end before this text; may be repeated")->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  sub->add_flag("--ignore-eos", generate.ignore_end, "go on behind the model's end of text");
  sub->footer("Example:\n  elastic-run generate model.gguf --prompt \"Once upon a time\" --level 50 --max-tokens 64");
  sub->callback([command] { run(*command); });
}

}  // namespace elastic_run
