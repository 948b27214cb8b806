// elastify-suite train-tokenizer: a byte pair tokenizer from text.
#include <algorithm>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/output_folder.h"
#include "data/dataset.h"
#include "suite_commands.h"
#include "tokenizer/import.h"
#include "tokenizer_training/train.h"

namespace elastify_cli {
namespace {

struct TokenizerOptions {
  std::vector<std::string> files;
  elastify::TokenizerTraining training;
  std::string out, model = "bpe";
  bool json = false;
};

std::vector<std::string> read_texts(const std::vector<std::string>& files) {
  std::vector<std::string> texts;
  for (const std::string& file : files) {
    for (elastify::TextDocument& document : elastify::read_documents(file))
      texts.push_back(elastify::whole_text(document));
  }
  return texts;
}

// Over the first megabyte or so of the texts.
double bytes_per_token(const std::vector<std::string>& texts, const std::string& directory) {
  constexpr std::size_t kEnough = 1 << 20;
  const auto tokenizer = elrt::Tokenizer::create(elastify::import_tokenizer(directory));
  std::size_t bytes = 0, tokens = 0;
  for (std::size_t i = 0; i < texts.size() && bytes < kEnough; ++i) {
    const std::string_view text = std::string_view(texts[i]).substr(0, kEnough);
    bytes += text.size();
    tokens += tokenizer.value().encode(text, {.add_bos = false}).value().size();
  }
  return static_cast<double>(bytes) / static_cast<double>(std::max<std::size_t>(tokens, 1));
}

void run(const TokenizerOptions& options) {
  const elastify::fs::path out = elastify::output_path(options.out);
  const std::vector<std::string> names = {"tokenizer.json", "tokenizer.model", "tokenizer_config.json"};
  elastify::require_free(out, names);
  const std::vector<std::string> texts = read_texts(options.files);
  elastify::train_tokenizer(texts, options.training, out);
  elastify::mark_outputs(out, names);
  const double density = bytes_per_token(texts, out);
  if (options.json) {
    print_json({{"tokenizer", options.out},
                {"vocab_size", options.training.vocab_size},
                {"texts", texts.size()},
                {"bytes_per_token", density}});
  } else {
    std::cout << fmt::format("{}: {} tokens, {:.2f} bytes per token\n", options.out, options.training.vocab_size,
                             density);
  }
}

}  // namespace

void register_train_tokenizer(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train-tokenizer",
                                         "learn a byte pair tokenizer from text; writes a Hugging Face tokenizer.json");
  auto options = std::make_shared<TokenizerOptions>();
  elastify::TokenizerTraining& training = options->training;
  command->add_option("--text", options->files, "text files: .txt, .jsonl or .json")->required();
  command->add_option("--out", options->out, "folder for tokenizer.json; other files in it stay")->required();
  command->add_option("--vocab-size", training.vocab_size, "tokens altogether")->capture_default_str();
  command->add_option("--model", options->model, "kind of tokenizer")
      ->check(common::one_of({"bpe"}))
      ->capture_default_str();
  command->add_flag("--split-digits,!--no-split-digits", training.split_digits,
                    "every digit a token of its own (default)");
  command
      ->add_option("--character-coverage", training.character_coverage,
                   "share of the characters with tokens of their own; the rest become bytes")
      ->capture_default_str();
  command->add_flag("--json", options->json, "print the result as one JSON object");
  command->footer(
      "Example:\n  elastify-suite train-tokenizer --text stories.txt tasks.jsonl --vocab-size 4096 --out "
      "/tmp/tokenizer");
  command->callback([options] { run(*options); });
}

}  // namespace elastify_cli
