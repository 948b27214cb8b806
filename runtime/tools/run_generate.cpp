#include <iostream>
#include <memory>

#include "common/program.hpp"
#include "common/text_file.hpp"
#include "run_sampling.hpp"
#include "run_slo.hpp"

namespace elastic_run {
namespace {

struct GenerateCommand : LevelOptions {
  std::string prompt, prompt_file, system;
  bool chat = false;
  elrt::GenerateOptions generate;
  SloOptions objective;
};

elrt::TextCallback stream_to_stdout(const GenerateCommand& command) {
  if (command.json) return {};
  return [](std::string_view piece) { return static_cast<bool>(std::cout << piece << std::flush); };
}

// `decode_level` 0: the session's.
nlohmann::json to_json(const elrt::Generation& result, std::size_t words, const elrt::Session& session,
                       std::uint32_t decode_level) {
  return {{"text", result.text},
          {"tokens", result.tokens},
          {"level", session.level()},
          {"decode_level", decode_level == 0 ? session.level() : decode_level},
          {"prompt_level", 100},
          {"prompt_words", words},
          {"prompt_words_kept", words},
          {"ttft_ms", result.ttft_ms},
          {"tpot_ms", result.tpot_ms},
          {"slo", nullptr},
          {"slo_met", nullptr},
          {"prompt_tokens", result.prompt_tokens},
          {"finish_reason", elrt::finish_reason_name(result.finish)},
          {"drafted_tokens", result.speculation.drafted},
          {"accepted_tokens", result.speculation.accepted},
          {"kv_type", elrt::kv_type_name(session.kv_type())},
          {"cache_bytes_per_token", session.cache_bytes_per_token()},
          {"threads", session.threads()}};
}

void print_summary(const elrt::Generation& result, const elrt::Session& session) {
  std::cout << "\n";
  common::check_output();
  std::cerr << "level " << session.level() << ", " << result.prompt_tokens << " prompt tokens, " << result.tokens.size()
            << " generated (" << elrt::finish_reason_name(result.finish) << "), first after " << result.ttft_ms
            << " ms, then " << result.tpot_ms << " ms each\n";
  if (result.speculation.drafted > 0) {
    std::cerr << result.speculation.accepted << " of " << result.speculation.drafted << " drafted tokens accepted, "
              << result.speculation.passes << " passes\n";
  }
}

// The prompt as a user's message, with the beginning of an answer after it.
elrt::Result<std::vector<elrt::TokenId>> chat_tokens(const elrt::ChatTemplate& chat, const std::string& system,
                                                     std::string_view prompt) {
  std::vector<elrt::ChatMessage> messages;
  if (!system.empty()) messages.push_back({"system", system});
  messages.push_back({"user", std::string(prompt)});
  return chat.tokens(messages);
}

elrt::ChatTemplate chat_template(GenerateCommand& command, std::shared_ptr<const elrt::Tokenizer> tokenizer) {
  auto chat = take(elrt::ChatTemplate::create(std::move(tokenizer)));
  command.generate.end_ids = chat.turn_ends();
  return chat;
}

void run_at_level(GenerateCommand& command) {
  OpenModel model = open_model(command);
  const auto on_text = stream_to_stdout(command);
  elrt::Result<elrt::Generation> result = elrt::internal_error("nothing generated");
  if (command.chat) {
    const auto prompt = take(chat_tokens(chat_template(command, model.tokenizer), command.system, command.prompt));
    result = elrt::generate(model.session, *model.tokenizer, prompt, command.generate, on_text);
  } else {
    result = elrt::generate(model.session, *model.tokenizer, command.prompt, command.generate, on_text);
  }
  const auto made = take(std::move(result));
  if (command.json)
    return print_json(to_json(made, count_words(command.prompt), model.session, command.generate.decode_level));
  print_summary(made, model.session);
}

void run_under(const elrt::Slo& slo, GenerateCommand& command) {
  const auto artifact = take(elrt::Artifact::open(command.file));
  auto service = open_service(command.objective, artifact, session_options(command), command.generate.sampler.seed);
  const std::string& question = command.objective.question;
  const std::string prompt =
      question.empty() || command.prompt.empty() ? command.prompt + question : command.prompt + "\n" + question;
  std::optional<elrt::ChatTemplate> chat;
  if (command.chat) chat = chat_template(command, take(artifact.tokenizer()));
  elrt::ServiceRequest request{prompt, slo, command.generate};
  if (chat) request.tokens = [&](std::string_view text) { return chat_tokens(*chat, command.system, text); };
  request.question_bytes = question.size();
  request.keep_numbers = command.objective.keep_numbers;
  const auto answer = take(service.answer(request, stream_to_stdout(command)));
  if (command.json) {
    nlohmann::json object = to_json(answer.generation, answer.prompt_words, service.session(), 0);
    report_slo(object, command.objective, slo, answer);
    return print_json(object);
  }
  print_summary(answer.generation, service.session());
  print_slo(answer);
}

void run(GenerateCommand& command) {
  if (!command.prompt_file.empty()) command.prompt = common::read_plain_text(command.prompt_file);
  const auto slo = command.objective.slo();
  slo ? run_under(*slo, command) : run_at_level(command);
}

}  // namespace

void register_generate(CLI::App& app) {
  auto command = std::make_shared<GenerateCommand>();
  CLI::App* sub = app.add_subcommand("generate", "continue a prompt");
  CLI::Option* level = add_level_options(*sub, *command);
  add_slo_options(*sub, command->objective, level);
  sub->add_option("--decode-level", command->generate.decode_level,
                  "the level that makes the tokens after the first, at most --level; 0: the same")
      ->check(common::in_range(0, 100))
      ->capture_default_str()
      ->excludes(command->objective.ratio)
      ->excludes(command->objective.milliseconds);
  auto* prompt = sub->add_option("--prompt", command->prompt, "the text to continue; this or --prompt-file");
  sub->add_option("--prompt-file", command->prompt_file, "a file with that text, every byte of it; -: standard input")
      ->excludes(prompt);
  auto* chat = sub->add_flag("--chat", command->chat,
                             "the prompt is a message to the model, put into its own chat template; without --chat it\n"
                             "is plain text, and names of special tokens in it are text in either case");
  sub->add_option("--system", command->system, "with --chat: the system message")->needs(chat);
  auto& generate = command->generate;
  add_sampling_options(*sub, generate);
  sub->add_flag("--ignore-eos", generate.ignore_end, "go on after the model's end of text");
  sub->footer(
      "With --ttft and --tpot (or --ttft-ms and --tpot-ms) level and prompt level are chosen: the full model and the "
      "whole prompt\n"
      "where they meet the objective, else what the artifact's tiny language model proposes for this prompt, if it is "
      "feasible by\n"
      "this device's latency table, which elastic-run calibrate FILE makes once, else --fallback. At a prompt level "
      "below 100\n"
      "the prompt's best words are kept. Tokens after the first are made at the largest level, up to that which reads "
      "the prompt,\n"
      "that keeps the time per token. If nothing can meet the objective the fastest is used and the answer says so.\n"
      "Examples:\n"
      "  elastic-run generate model.gguf --prompt \"Once upon a time\" --level 50 --max-tokens 64\n"
      "  elastic-run generate model.gguf --prompt \"Once upon a time\" --level 100 --decode-level 50\n"
      "  elastic-run generate model.gguf --prompt \"Once upon a time\" --kv-type q8_0 --draft-level 30\n"
      "  elastic-run generate model.gguf --prompt \"Once upon a time\" --ttft 0.4 --tpot 0.7\n"
      "  elastic-run generate model.gguf --prompt \"Once upon a time\" --ttft-ms 80 --tpot-ms 12 --margin 0.05 --json\n"
      "  elastic-run generate model.gguf --prompt-file notes.txt --question \"Who brings the cake?\" --ttft 0.4 "
      "--tpot 0.7\n"
      "  elastic-run generate model.gguf --chat --prompt \"Who are you?\" --system \"Answer in one sentence.\"\n"
      "  git diff | elastic-run generate model.gguf --prompt-file - --max-tokens 64");
  sub->callback([command, sub] {
    if (sub->count("--prompt") + sub->count("--prompt-file") == 0)
      common::fail(common::ErrorCode::kUsage, "generate has nothing to continue: give --prompt or --prompt-file");
    run(*command);
  });
}

}  // namespace elastic_run
