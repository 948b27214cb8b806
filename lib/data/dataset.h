// Text to rows of token ids for calibration, training and evaluation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/torch.h"
#include "data/targets.h"

namespace elrt {
class Tokenizer;
}

namespace elastify {

// What is read but not learned (instruction data), and the text after it, which the loss counts.
struct TextTurn {
  std::string prompt, text;
};

// One text, perhaps with further turns after it.
struct TextDocument {
  std::string prompt, text;
  bool ends =
      false;  // every turn's text is complete: an end-of-sequence token follows it (answers do, cut prose may not)
  std::vector<TextTurn> more{};
};

std::string whole_text(const TextDocument& document);  // all turns, one after the other

// Files are read as common/text_file.hpp says: encodings, marks, extensions in any case.
// .txt: documents separated by lines that hold only <|endoftext|>, or one document where there are none.
// .jsonl, .ndjson: one object a line: {"text"}, {"prompt", "response"}, Alpaca's {"instruction", "input", "output"} or
// a task
//         ({"context", "question", "options", "answer"}, see tasks/item.h): its right option is the response;
//         tasks in a row over one context become one document, a turn each, so that the context is read once.
// .json: an array of such objects. .csv and .tsv are refused; other extensions are read as .txt.
// Throws Error(kBadData) with the file and line (or item) on malformed input, on text that is not UTF-8 and on no text.
std::vector<TextDocument> read_documents(const fs::path& path);

// A document as ids. The prediction of ids[i] counts where counts[i] is 1; counts[0] is 0, for nothing predicts it.
struct TokenDocument {
  std::vector<std::int64_t> ids;
  std::vector<std::uint8_t> counts;  // as long as ids
};
// All of it counts but the first token.
TokenDocument plain_document(std::vector<std::int64_t> ids);

// BOS first where the tokenizer adds one. Documents of fewer than two ids are dropped.
std::vector<TokenDocument> tokenize_documents(const std::vector<TextDocument>& documents,
                                              const elrt::Tokenizer& tokenizer);

// Documents whose content hash falls into the first `share` go to `held_out`, the others to `train`: equal documents
// (also across files) always land on the same side, so nothing held out is ever trained on.
struct DocumentSplit {
  std::vector<TokenDocument> train, held_out;
};
DocumentSplit split_documents(const std::vector<TokenDocument>& documents, double share, std::uint64_t seed);

// Packed rows: documents one after the other, cut every `seq` tokens, each row's targets being its inputs shifted by
// one.
struct TokenRows {
  torch::Tensor inputs;   // [rows, seq] int64
  torch::Tensor targets;  // [rows, seq] int64, kIgnore where nothing counts
  std::int64_t rows() const { return inputs.defined() ? inputs.size(0) : 0; }
  std::int64_t seq() const { return inputs.defined() ? inputs.size(1) : 0; }
  std::int64_t target_count() const;
};
// Shuffles documents by `seed` (0: keeps their order), packs them, and keeps at most `max_tokens` (0: all). The last
// row is padded with ignored targets. Throws Error(kBadData) if there is nothing to pack.
TokenRows pack_rows(std::vector<TokenDocument> documents, std::int64_t seq, std::int64_t max_tokens,
                    std::uint64_t seed);
// Rows of one document each: what is longer than a row goes on in the next, what is shorter is padded with ignored
// targets. For documents that must not see each other, such as tasks. Shuffled and limited as by pack_rows.
TokenRows separate_rows(std::vector<TokenDocument> documents, std::int64_t seq, std::int64_t max_tokens,
                        std::uint64_t seed);
// Packed or separate rows that hold `predictions` targets that count, to the nearest row, or all that there are. In
// instruction data, prompts are read and do not count: such rows hold more tokens than that.
TokenRows predicting_rows(const std::vector<TokenDocument>& documents, std::int64_t seq, std::int64_t predictions,
                          std::uint64_t seed, bool pack);

// Token documents as safetensors, so that text sampled once is reused.
void save_documents(const fs::path& path, const std::vector<TokenDocument>& documents);
std::vector<TokenDocument> load_documents(const fs::path& path);

}  // namespace elastify
