#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <span>

#include "run_slo.hpp"

namespace elastic_run {
namespace {

using Clock = std::chrono::steady_clock;

struct GenerateCommand : LevelOptions {
  std::string prompt;
  elrt::GenerateOptions generate;
  SloOptions objective;
};

// A generation and, where it had an objective, what was decided for it.
struct Answer {
  elrt::Generation generation;
  std::optional<elrt::Choice> choice;
};

elrt::TextCallback stream_to_stdout(const GenerateCommand& command) {
  if (command.json) return {};
  return [](std::string_view piece) { return static_cast<bool>(std::cout << piece << std::flush); };
}

// The tables are those of a service that runs, so that the level's weights are brought to memory first, outside the
// measured time: deciding comes before, as it needs the prompt, and its time counts.
Answer generate_under(const elrt::Slo& slo, const GenerateCommand& command, OpenModel& model) {
  elrt::Session& session = model.session;
  auto scheduler = open_scheduler(command.objective, model.artifact, session, command.generate.sampler.seed);
  const auto start = Clock::now();
  const auto prompt = take(elrt::prompt_tokens(*model.tokenizer, command.prompt));
  const auto tokens = static_cast<std::uint32_t>(prompt.size());
  const std::uint32_t room = session.context_tokens() - std::min(session.context_tokens(), tokens);
  const auto choice = take(scheduler.decide({tokens, std::min(command.generate.max_tokens, room + 1), slo}));
  take(session.set_level(choice.decision.model_level));
  const double before_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  take(session.forward(std::span(prompt).first(1)));
  auto generation = take(elrt::generate(session, *model.tokenizer, prompt, command.generate, stream_to_stdout(command)));
  generation.ttft_ms += before_ms;
  return {std::move(generation), choice};
}

Answer answer(const GenerateCommand& command, OpenModel& model) {
  const auto slo = command.objective.slo();
  if (slo && !command.prompt.empty()) return generate_under(*slo, command, model);  // an empty prompt is refused below
  return {take(elrt::generate(model.session, *model.tokenizer, command.prompt, command.generate, stream_to_stdout(command))), std::nullopt};
}

void print_summary(const Answer& made, const elrt::Session& session) {
  const elrt::Generation& result = made.generation;
  std::cout << "\n";
  std::cerr << "level " << session.level() << ", " << result.prompt_tokens << " prompt tokens, " << result.tokens.size()
            << " generated (" << elrt::finish_reason_name(result.finish) << "), first after " << result.ttft_ms
            << " ms, then " << result.tpot_ms << " ms each\n";
  if (!made.choice) return;
  const elrt::Choice& choice = *made.choice;
  std::fprintf(stderr, "objective %.4g ms, then %.4g ms each: %s; predicted %.4g ms, then %.4g ms each%s\n", choice.limits.ttft_ms,
               choice.limits.tpot_ms, elrt::slo_met(choice.limits, {result.ttft_ms, result.tpot_ms}, result.tokens.size()) ? "met" : "missed",
               choice.predicted.ttft_ms, choice.predicted.tpot_ms, choice.feasible() ? "" : "; no decision can meet it, this is the fastest");
}

void run(const GenerateCommand& command) {
  OpenModel model = open_model(command);
  const Answer made = answer(command, model);
  if (!command.json) return print_summary(made, model.session);
  const elrt::Generation& result = made.generation;
  const std::size_t words = count_words(command.prompt);
  nlohmann::json object = {{"text", result.text},
                           {"tokens", result.tokens},
                           {"level", model.session.level()},
                           {"prompt_level", 100},
                           {"prompt_words", words},
                           {"prompt_words_kept", words},  // prompts are read whole
                           {"ttft_ms", result.ttft_ms},
                           {"tpot_ms", result.tpot_ms},
                           {"slo", nullptr},
                           {"slo_met", nullptr},  // no objective was given
                           {"prompt_tokens", result.prompt_tokens},
                           {"finish_reason", elrt::finish_reason_name(result.finish)},
                           {"threads", model.session.threads()}};
  if (made.choice) {
    report_slo(object, command.objective, *command.objective.slo(), *made.choice, {result.ttft_ms, result.tpot_ms}, result.tokens.size());
  }
  print_json(object);
}

}  // namespace

void register_generate(CLI::App& app) {
  auto command = std::make_shared<GenerateCommand>();
  CLI::App* sub = app.add_subcommand("generate", "continue a prompt");
  CLI::Option* level = add_level_options(*sub, *command);
  add_slo_options(*sub, command->objective, level);
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
  sub->footer("With --ttft and --tpot (or --ttft-ms and --tpot-ms) the level is chosen by this device's latency table, which\n"
              "elastic-run calibrate FILE makes once. If no level can meet the objective the fastest is used and the answer says so.\n"
              "Examples:\n"
              "  elastic-run generate model.gguf --prompt \"Once upon a time\" --level 50 --max-tokens 64\n"
              "  elastic-run generate model.gguf --prompt \"Once upon a time\" --ttft 0.4 --tpot 0.7\n"
              "  elastic-run generate model.gguf --prompt \"Once upon a time\" --ttft-ms 80 --tpot-ms 12 --margin 0.05 --json");
  sub->callback([command] { run(*command); });
}

}  // namespace elastic_run
