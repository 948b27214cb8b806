#include <iostream>
#include <memory>
#include <string>

#include "common/text_file.hpp"
#include "run_common.hpp"

namespace elastic_run {
namespace {

struct ScoreCommand : LevelOptions {
  std::string text_file;
  std::uint32_t context = 0;
  bool per_token = false;
  std::uint32_t first_level = 0;  // 0: no change of level
  elrt::CachePolicy policy = elrt::CachePolicy::kRecompute;
};

std::string read_file(const std::string& name) {
  std::string text = common::read_plain_text(name);
  if (text.empty()) common::fail_data("{} is empty: expected a text", name == "-" ? "standard input" : name);
  return text;
}

void run(const ScoreCommand& command) {
  OpenModel model = open_model(command);
  elrt::Session& session = model.session;
  const auto tokens = take(elrt::prompt_tokens(*model.tokenizer, read_file(command.text_file)));
  nlohmann::json losses = nlohmann::json::array();
  elrt::TokenLossCallback on_token;
  if (command.per_token) on_token = [&](std::size_t, double nll) { losses.push_back(nll); };
  const auto score = take(command.first_level == 0 ? elrt::score(session, tokens, command.context, on_token)
                                                   : elrt::score_after_switch(session, tokens, command.context,
                                                                              command.first_level, command.policy));
  if (!command.json) {
    std::cout << "level " << session.level() << ": " << score.nll << " nats per token over " << score.tokens
              << " tokens, perplexity " << score.perplexity << "\n";
    return;
  }
  nlohmann::json result = {{"nll", score.nll},
                           {"tokens", score.tokens},
                           {"perplexity", score.perplexity},
                           {"level", session.level()},
                           {"kv_type", elrt::kv_type_name(session.kv_type())},
                           {"context", command.context == 0 ? session.context_tokens() : command.context}};
  if (command.per_token) result["token_nll"] = std::move(losses);
  print_json(result);
}

}  // namespace

void register_score(CLI::App& app) {
  auto command = std::make_shared<ScoreCommand>();
  CLI::App* sub = app.add_subcommand("score", "the loss of a text");
  add_level_options(*sub, *command);
  sub->add_option("--text-file", command->text_file, "the text, UTF-8; -: standard input")->required();
  sub->add_option("--context", command->context, "tokens per window; 0: the model's context")->capture_default_str();
  sub->add_flag("--per-token", command->per_token, "with --json: token_nll, the loss of every predicted token");
  auto* first = sub->add_option("--first-level", command->first_level,
                                "read half of each window at this level, then change to --level and predict the rest");
  const auto set_policy = [command](const std::string& name) {
    command->policy = name == "reuse" ? elrt::CachePolicy::kReuse : elrt::CachePolicy::kRecompute;
  };
  sub->add_option_function<std::string>("--kv-policy", set_policy,
                                        "what the change does to the cache: reuse for going down only")
      ->check(common::one_of({"recompute", "reuse"}))
      ->default_str("recompute")
      ->needs(first);
  first->excludes("--per-token");
  sub->footer(
      "Windows of --context tokens; each starts with the last token of the one before it.\n"
      "Examples:\n"
      "  elastic-run score model.gguf --level 50 --text-file story.txt --context 256 --json\n"
      "  elastic-run score model.gguf --level 50 --text-file story.txt --kv-type q8_0 --first-level 100 --kv-policy "
      "reuse");
  sub->callback([command] { run(*command); });
}

}  // namespace elastic_run
