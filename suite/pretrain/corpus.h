// What pretraining reads: endless task contexts with questions, mixed with pieces of text, as weighted token documents.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pretrain/pretrain_config.h"
#include "tasks/generator.h"

namespace elrt {
class Tokenizer;
}

namespace elastify {

// Positions [begin, end) of an answer's tokens, the end-of-text token included.
struct AnswerSpan {
  std::size_t begin = 0, end = 0;
};

inline constexpr const char* kRecallFamily = "recall";  // of documents that only train recall

struct WeightedDocument {
  std::vector<std::int64_t> ids;
  std::vector<float> weights;  // of predicting ids[i]; weights[0] is 0
  std::vector<AnswerSpan> answers;
  std::vector<AnswerSpan> values;  // of tasks: of each answer, the tokens from its first value to its last; the words
                                   // around them are one wording of several and cannot be known
  std::vector<int> hops;           // of each answer of tasks
  std::string family;              // empty for text
};

// The texts a tokenizer is trained on: task contexts with their questions and answers, and the files.
// Throws Error(kUsage) where the settings name neither tasks nor text, Error(kBadData) on damaged files.
std::vector<std::string> tokenizer_texts(const PretrainDataConfig& config, const TaskBank* bank, std::uint64_t seed);

class Corpus {
 public:
  // `bank` may be null where config names none; `tokenizer` and `bank` must outlive the corpus. Reads the text files.
  Corpus(const PretrainDataConfig& config, const TaskBank* bank, const elrt::Tokenizer& tokenizer,
         std::size_t max_tokens, std::uint64_t seed);

  // Document `index` of the endless sequence, a pure function of its arguments. `level`: the curriculum's, 0 (few
  // facts, no filler, one wording of everything) to 1 (all that evaluation asks). Never longer than max_tokens.
  WeightedDocument training(std::uint64_t index, double level) const;

  // Of the validation split, full difficulty, never trained on: held_out_contexts of every family, and as many of
  // recall.
  std::vector<WeightedDocument> held_out() const;

 private:
  WeightedDocument task_document(const TaskContext& context) const;
  WeightedDocument text_document(std::uint64_t index) const;
  WeightedDocument recall_document_at(std::uint64_t index, double level) const;

  const PretrainDataConfig& config_;
  const elrt::Tokenizer& tokenizer_;
  std::unique_ptr<TaskGenerator> tasks_;
  std::vector<std::string> families_;
  std::vector<std::vector<std::int64_t>> pieces_;  // of text
  std::size_t max_tokens_;
  std::uint64_t seed_;
};

}  // namespace elastify
