// elastify-learn-pieces: SentencePiece's byte pair trainer as a program of its own, run by tokenizer_training/pieces.
// Apart, because the library carries a copy of protocol buffers that overrides the functions of LibTorch's: a program
// that loads both crashes before main. Input: lines on stdin. Output on stdout: status 0 and the model file, or 3 and
// the library's message. usage: elastify-learn-pieces VOCAB_SIZE CHARACTER_COVERAGE SPLIT_DIGITS(true|false)
// MAX_LINE_BYTES LOG_LEVEL(0..3)
#include <sentencepiece_trainer.h>

#include <iostream>
#include <string>
#include <unordered_map>

namespace {

class Lines : public sentencepiece::SentenceIterator {
 public:
  Lines() { Next(); }
  bool done() const override { return !std::cin; }
  void Next() override { std::getline(std::cin, line_); }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::string line_;
};

std::unordered_map<std::string, std::string> trainer_settings(char** argv) {
  return {
      {"model_type", "bpe"},
      {"vocab_size", argv[1]},
      {"hard_vocab_limit", "false"},  // fewer pieces where the text has no more: the caller counts them
      {"character_coverage", argv[2]},
      {"split_digits", argv[3]},
      {"byte_fallback", "true"},
      {"user_defined_symbols", "\n"},
      {"normalization_rule_name", "identity"},
      {"add_dummy_prefix", "false"},
      {"remove_extra_whitespaces", "false"},
      {"max_sentence_length", argv[4]},
      {"num_threads", "1"},
      {"minloglevel", argv[5]},
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "elastify-learn-pieces is run by elastify-suite train-tokenizer\n";
    return 2;
  }
  std::ios::sync_with_stdio(false);
  Lines lines;
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(trainer_settings(argv), &lines, &model);
  if (std::cin.bad()) {  // and not at its end
    std::cout << "cannot read the text" << std::flush;
    return 1;
  }
  std::cout << (status.ok() ? model : status.ToString()) << std::flush;
  if (!std::cout) return 1;
  return status.ok() ? 0 : 3;
}
