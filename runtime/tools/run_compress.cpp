#include <iostream>
#include <memory>
#include <string>

#include "common/text_file.hpp"
#include "run_common.hpp"

namespace elastic_run {
namespace {

struct CompressCommand : RunOptions {
  std::string prompt, prompt_file, question;
  std::size_t question_bytes = 0;
  std::uint32_t keep = 50;
  std::string rank = "both";
  bool keep_numbers = false;
};

// The prompt with its words, and where its question stands.
struct AskedText {
  std::string text;
  elrt::WordPieces pieces;
  elrt::TextSpan question;
};

AskedText asked_text(const CompressCommand& command, const elrt::WordPiece& vocabulary) {
  AskedText asked;
  asked.text = command.prompt_file.empty() ? common::checked_text(command.prompt, "--prompt")
                                           : common::read_plain_text(command.prompt_file);
  const std::string question = common::checked_text(command.question, "--question");
  if (!question.empty()) asked.text += asked.text.empty() ? question : "\n" + question;
  if (asked.text.empty()) common::fail(common::ErrorCode::kUsage, "the prompt is empty; give at least one character");
  const std::size_t bytes = question.empty() ? command.question_bytes : question.size();
  if (bytes > asked.text.size()) {
    common::fail(common::ErrorCode::kUsage, "the question has {} bytes, the whole prompt only {}", bytes,
                 asked.text.size());
  }
  asked.pieces = take(vocabulary.encode(asked.text));
  asked.question = bytes > 0 ? elrt::TextSpan{asked.text.size() - bytes, asked.text.size()}
                             : elrt::find_question(asked.text, asked.pieces.words);
  vocabulary.mark_question(asked.pieces, asked.question);
  return asked;
}

// What compression orders the words by.
std::vector<float> word_ranks(const CompressCommand& command, const AskedText& asked, elrt::Tlm& tlm) {
  const auto& words = asked.pieces.words;
  std::vector<float> scores(words.size(), 0);
  if (command.rank != "overlap") scores = take(tlm.score_words(asked.pieces, {1, 1}));
  if (command.rank == "scores") return elrt::sentence_scores(asked.text, words, scores);
  return elrt::sentence_scores(asked.text, words, scores, asked.question);
}

nlohmann::json to_json(const AskedText& asked, const elrt::CompressedPrompt& made) {
  nlohmann::json words = nlohmann::json::array();
  for (const auto& word : asked.pieces.words) words.push_back(asked.text.substr(word.begin, word.end - word.begin));
  return {{"words", std::move(words)}, {"kept", made.kept}, {"text", made.text}};
}

void run(const CompressCommand& command) {
  warn_about_threads(command.threads);
  const auto artifact = take(elrt::Artifact::open(command.file));
  auto tlm = take(elrt::Tlm::create(artifact, command.threads));
  const AskedText asked = asked_text(command, tlm.wordpiece());
  elrt::KeepRules rules;
  rules.spans = {asked.question};
  rules.numbers = command.keep_numbers;
  const auto ranks = word_ranks(command, asked, tlm);
  const auto made = take(elrt::compress_prompt(asked.text, asked.pieces.words, ranks, command.keep, rules));
  if (command.json) return print_json(to_json(asked, made));
  std::cout << made.text << (made.text.ends_with('\n') ? "" : "\n");
}

}  // namespace

void register_compress(CLI::App& app) {
  auto command = std::make_shared<CompressCommand>();
  CLI::App* sub = app.add_subcommand("compress", "shorten a prompt");
  add_run_options(*sub, *command);
  auto* prompt = sub->add_option("--prompt", command->prompt, "the text to shorten; this or --prompt-file");
  sub->add_option("--prompt-file", command->prompt_file, "a file with that text, every byte of it; -: standard input")
      ->excludes(prompt);
  auto* question = sub->add_option("--question", command->question,
                                   "stands after the prompt, on a line of its own, and is never shortened; without it "
                                   "the\nprompt's last line is the question");
  sub->add_option("--question-bytes", command->question_bytes, "so many bytes at the prompt's end are the question")
      ->excludes(question);
  sub->add_option("--keep", command->keep, "percent of the words that stay, those of the question counted")
      ->check(common::in_range(1, 100))
      ->capture_default_str();
  sub->add_option("--rank", command->rank,
                  "what orders sentences: both, scores (the score-head alone) or overlap (words shared with the\n"
                  "question alone)")
      ->check(common::one_of({"both", "scores", "overlap"}))
      ->capture_default_str();
  sub->add_flag("--keep-numbers", command->keep_numbers, "words with digits stay");
  sub->footer(
      "As requests under an objective are shortened, by the artifact's tiny language model; an artifact without one is "
      "refused.\n"
      "The question stays. Sentences that share no word of meaning with it go first; of those that do, the ones that "
      "share\n"
      "more, and rarer, words stay longest; of the last sentence that fits, its best words. With --json: words (the "
      "prompt's\n"
      "words, runs without white space), kept (true or false for each) and text.\n"
      "Example:\n"
      "  elastic-run compress model.gguf --keep 60 --question \"Who will order the seeds?\" \\\n"
      "    --prompt \"The shed needs paint. Anna will order the seeds before Friday. Tom is away.\"\n"
      "prints\n"
      "  Anna will order the seeds before Friday.\n"
      "  Who will order the seeds?\n"
      "  elastic-run compress model.gguf --prompt-file notes.txt --question \"Who brings the cake?\" --keep 30 --json");
  sub->callback([command, sub] {
    if (sub->count("--prompt") + sub->count("--prompt-file") == 0)
      common::fail(common::ErrorCode::kUsage, "compress has nothing to shorten: give --prompt or --prompt-file");
    run(*command);
  });
}

}  // namespace elastic_run
