#include "data/dataset.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include <elrt/tokenizer.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "common/text_file.hpp"
#include "data/item.h"
#include "data/words.h"

namespace elastify {
namespace {

using nlohmann::json;

std::vector<TextDocument> read_plain(std::string_view text) {
  constexpr std::string_view kSeparator = "<|endoftext|>";
  std::vector<TextDocument> documents;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(kSeparator, begin), text.size());
    const auto body = trim(text.substr(begin, end - begin));
    if (!body.empty()) documents.push_back({"", std::string(body)});
    begin = end + kSeparator.size();
  }
  return documents;
}

std::string field(const json& record, const char* key, const std::string& where) {
  if (!record.contains(key)) return "";
  if (!record[key].is_string()) fail_data("{}: {} must be a string, found {}", where, key, record[key].type_name());
  return record[key].get<std::string>();
}

// The prompt format with which the Alpaca data set was published (Taori et al. 2023).
std::string alpaca_prompt(const std::string& instruction, const std::string& input) {
  if (input.empty()) {
    return "Below is an instruction that describes a task. Write a response that appropriately completes the "
           "request.\n\n"
           "### Instruction:\n" +
           instruction + "\n\n### Response:\n";
  }
  return "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
         "response that appropriately completes the request.\n\n### Instruction:\n" +
         instruction + "\n\n### Input:\n" + input + "\n\n### Response:\n";
}

TextDocument read_record(const json& record, const std::string& where) {
  if (!record.is_object()) fail_data("{}: expected an object, found {}", where, record.type_name());
  if (record.contains("text")) return {"", field(record, "text", where)};
  if (record.contains("response")) return {field(record, "prompt", where), field(record, "response", where), true};
  if (record.contains("instruction") && record.contains("output")) {
    return {alpaca_prompt(field(record, "instruction", where), field(record, "input", where)),
            field(record, "output", where), true};
  }
  fail_data("{}: expected text, or prompt and response, or instruction and output; found the keys of {}", where,
            record.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 80));
}

// A task of the suite: its prompt is read, its right answer is learned. `last_context` is that of the task before it.
void add_task(const TaskItem& item, std::vector<TextDocument>& documents, std::string& last_context) {
  const std::string answer = option_behind_prompt(item.options[item.answer]);
  if (!item.context.empty() && item.context == last_context) {
    documents.back().more.push_back({further_prompt(item), answer});
  } else {
    documents.push_back({task_prompt(item), answer, true});
  }
  last_context = item.context;
}

std::vector<TextDocument> read_jsonl(std::string_view text, const std::string& name) {
  std::vector<TextDocument> documents;
  std::string last_context;
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    const auto line = trim(text.substr(begin, end - begin));
    begin = end + 1;
    ++line_number;
    if (line.empty()) continue;
    const std::string where = fmt::format("{} line {}", name, line_number);
    const json record = parse_json(line, where);
    if (record.is_object() && record.contains("options")) {
      add_task(parse_task(line, where, ""), documents, last_context);
      continue;
    }
    last_context.clear();
    documents.push_back(read_record(record, where));
  }
  return documents;
}

std::vector<TextDocument> read_json_array(const fs::path& path) {
  const json records = read_json(path);
  if (!records.is_array()) fail_data("{}: expected an array of records, found {}", path.string(), records.type_name());
  std::vector<TextDocument> documents;
  for (std::size_t i = 0; i < records.size(); ++i) {
    documents.push_back(read_record(records[i], fmt::format("{} item {}", path.string(), i)));
  }
  return documents;
}

std::vector<std::int32_t> encode(const elrt::Tokenizer& tokenizer, const std::string& text, bool begins) {
  auto ids = tokenizer.encode(text, {.add_bos = begins});
  if (!ids) fail_data("cannot tokenize a text of {} bytes: {}", text.size(), ids.failure().message);
  return std::move(ids).value();
}

std::size_t common_prefix(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// Appends a turn's tokens, the text's marked as counting.
void append_turn(const elrt::Tokenizer& tokenizer, const TextTurn& turn, bool ends, TokenDocument& document) {
  const bool begins = document.ids.empty();
  auto ids = encode(tokenizer, turn.prompt + turn.text, begins);
  // Tokens that differ from the prompt's own are already part of the answer.
  const std::size_t learned_from = turn.prompt.empty() ? 0 : common_prefix(encode(tokenizer, turn.prompt, begins), ids);
  const std::int32_t eos = tokenizer.eos_id();
  if (ends && eos >= 0 && (ids.empty() || !tokenizer.ends_text(ids.back()))) ids.push_back(eos);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    document.ids.push_back(ids[i]);
    document.counts.push_back(i >= learned_from ? 1 : 0);
  }
}

// A book is one document: too coarse to split or shuffle.
std::vector<TokenDocument> cut_long(const std::vector<TokenDocument>& documents, std::size_t piece_tokens) {
  std::vector<TokenDocument> pieces;
  for (const auto& document : documents) {
    for (std::size_t begin = 0; begin < document.ids.size(); begin += piece_tokens) {
      const auto end = std::min(begin + piece_tokens, document.ids.size());
      if (end - begin < 2) continue;
      const auto first = static_cast<std::ptrdiff_t>(begin), last = static_cast<std::ptrdiff_t>(end);
      pieces.push_back({{document.ids.begin() + first, document.ids.begin() + last},
                        {document.counts.begin() + first, document.counts.begin() + last}});
      pieces.back().counts[0] = 0;
    }
  }
  return pieces;
}

void shuffle(std::vector<TokenDocument>& documents, std::uint64_t seed) {
  if (seed == 0) return;
  std::mt19937_64 random(seed);
  // std::shuffle differs between libraries; this does not.
  for (std::size_t i = documents.size(); i > 1; --i) std::swap(documents[i - 1], documents[random() % i]);
}

}  // namespace

std::string whole_text(const TextDocument& document) {
  std::string text = document.prompt + document.text;
  for (const auto& turn : document.more) text += turn.prompt + turn.text;
  return text;
}

std::vector<TextDocument> read_documents(const fs::path& path) {
  const common::TextKind kind = common::text_kind(path);
  std::vector<TextDocument> documents;
  if (kind == common::TextKind::kJson) {
    documents = read_json_array(path);
  } else {
    const std::string text = common::read_text(path);
    if (kind == common::TextKind::kTable)
      fail_data("{} holds a table: expected text; write its records as .jsonl", path.string());
    documents = kind == common::TextKind::kJsonLines ? read_jsonl(text, path.string()) : read_plain(text);
  }
  std::erase_if(documents, [](const TextDocument& document) { return document.text.empty(); });
  if (documents.empty()) fail_data("{} holds no text", path.string());
  return documents;
}

TokenDocument plain_document(std::vector<std::int64_t> ids) {
  std::vector<std::uint8_t> counts(ids.size(), 1);
  if (!counts.empty()) counts[0] = 0;
  return {std::move(ids), std::move(counts)};
}

std::vector<TokenDocument> tokenize_documents(const std::vector<TextDocument>& documents,
                                              const elrt::Tokenizer& tokenizer) {
  std::vector<TokenDocument> result;
  for (const auto& document : documents) {
    TokenDocument tokens;
    append_turn(tokenizer, {document.prompt, document.text}, document.ends, tokens);
    for (const auto& turn : document.more) append_turn(tokenizer, turn, document.ends, tokens);
    if (tokens.ids.size() < 2) continue;
    tokens.counts[0] = 0;
    result.push_back(std::move(tokens));
  }
  return result;
}

DocumentSplit split_documents(const std::vector<TokenDocument>& documents, double share, std::uint64_t seed) {
  constexpr std::size_t kFewDocuments = 32, kPieceTokens = 256;
  const auto pieces = documents.size() < kFewDocuments ? cut_long(documents, kPieceTokens) : documents;
  DocumentSplit split;
  const auto hash_of = [&](const TokenDocument& document) {
    return derive_seed(seed, "split", checksum64(document.ids.data(), document.ids.size() * sizeof(std::int64_t)));
  };
  std::uint64_t lowest = UINT64_MAX;
  for (const auto& document : pieces) lowest = std::min(lowest, hash_of(document));
  for (const auto& document : pieces) {
    const std::uint64_t hash = hash_of(document);
    const bool out = static_cast<double>(hash) < share * 0x1p64 || (share > 0 && hash == lowest);
    (out ? split.held_out : split.train).push_back(document);
  }
  if (split.train.empty())
    fail_data("the text is too short to hold any of it out: expected at least two different documents");
  return split;
}

std::int64_t TokenRows::target_count() const {
  return rows() == 0 ? 0 : (targets != kIgnore).sum().item<std::int64_t>();
}

TokenRows pack_rows(std::vector<TokenDocument> documents, std::int64_t seq, std::int64_t max_tokens,
                    std::uint64_t seed) {
  shuffle(documents, seed);
  std::vector<std::int64_t> stream, targets;
  for (const auto& document : documents) {
    if (max_tokens > 0 && static_cast<std::int64_t>(stream.size()) > max_tokens) break;
    for (std::size_t i = 0; i < document.ids.size(); ++i) {
      stream.push_back(document.ids[i]);
      targets.push_back(document.counts[i] != 0 ? document.ids[i] : kIgnore);
    }
  }
  if (stream.size() < 2) fail_data("the text is empty after tokenization");
  const auto tokens = static_cast<std::int64_t>(stream.size()) - 1;  // predictions
  std::int64_t rows = (tokens + seq - 1) / seq;
  if (max_tokens > 0) rows = std::min(rows, std::max<std::int64_t>(1, max_tokens / seq));
  stream.resize(static_cast<std::size_t>(rows * seq), 0);
  targets.resize(static_cast<std::size_t>(rows * seq) + 1, kIgnore);
  TokenRows packed;
  packed.inputs = torch::tensor(stream, torch::kInt64).view({rows, seq});
  packed.targets =
      torch::tensor(std::vector<std::int64_t>(targets.begin() + 1, targets.end()), torch::kInt64).view({rows, seq});
  return packed;
}

TokenRows separate_rows(std::vector<TokenDocument> documents, std::int64_t seq, std::int64_t max_tokens,
                        std::uint64_t seed) {
  shuffle(documents, seed);
  std::vector<std::int64_t> inputs, targets;
  std::int64_t tokens = 0;
  for (const auto& document : documents) {
    const auto length = static_cast<std::int64_t>(document.ids.size());
    for (std::int64_t begin = 0; begin + 1 < length && (max_tokens == 0 || tokens < max_tokens); begin += seq) {
      for (std::int64_t i = begin; i < begin + seq; ++i) {
        const bool there = i + 1 < length;
        inputs.push_back(there ? document.ids[static_cast<std::size_t>(i)] : 0);
        const bool counts = there && document.counts[static_cast<std::size_t>(i + 1)] != 0;
        targets.push_back(counts ? document.ids[static_cast<std::size_t>(i + 1)] : kIgnore);
      }
      tokens += std::min(seq, length - 1 - begin);
    }
  }
  if (inputs.empty()) fail_data("the text is empty after tokenization");
  const auto shape = std::vector<std::int64_t>{static_cast<std::int64_t>(inputs.size()) / seq, seq};
  return {torch::tensor(inputs, torch::kInt64).view(shape), torch::tensor(targets, torch::kInt64).view(shape)};
}

TokenRows predicting_rows(const std::vector<TokenDocument>& documents, std::int64_t seq, std::int64_t predictions,
                          std::uint64_t seed, bool pack) {
  TokenRows rows;
  for (std::int64_t tokens = predictions, before = -1;; tokens *= 2) {
    rows = pack ? pack_rows(documents, seq, tokens, seed) : separate_rows(documents, seq, tokens, seed);
    if (rows.rows() == before || rows.target_count() >= predictions) break;
    before = rows.rows();
  }
  const torch::Tensor counts = rows.targets.ne(kIgnore).sum(1).cumsum(0);
  const std::int64_t nearest = (counts - predictions).abs().argmin().item<std::int64_t>() + 1;
  return {rows.inputs.narrow(0, 0, nearest), rows.targets.narrow(0, 0, nearest)};
}

void save_documents(const fs::path& path, const std::vector<TokenDocument>& documents) {
  std::vector<std::int64_t> ids, lengths, counts;
  for (const auto& document : documents) {
    ids.insert(ids.end(), document.ids.begin(), document.ids.end());
    lengths.push_back(static_cast<std::int64_t>(document.ids.size()));
    counts.insert(counts.end(), document.counts.begin(), document.counts.end());
  }
  write_safetensors(path, {{"ids", torch::tensor(ids, torch::kInt64)},
                           {"lengths", torch::tensor(lengths, torch::kInt64)},
                           {"counts", torch::tensor(counts, torch::kInt64)}});
}

std::vector<TokenDocument> load_documents(const fs::path& path) {
  const StoredTensors stored = open_safetensors(path);
  for (const char* name : {"ids", "lengths", "counts"}) {
    const auto found = stored.find(name);
    if (found == stored.end() || found->second.dtype != torch::kInt64 || found->second.shape.size() != 1) {
      fail_data("{}: expected a one-dimensional I64 tensor {}", path.string(), name);
    }
  }
  const torch::Tensor ids = stored.at("ids").view(), lengths = stored.at("lengths").view(),
                      counts = stored.at("counts").view();
  if (counts.numel() != ids.numel()) fail_data("{}: counts and ids differ in size", path.string());
  std::vector<TokenDocument> documents;
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < lengths.numel(); ++i) {
    const auto length = lengths.data_ptr<std::int64_t>()[i];
    if (length < 0 || length > ids.numel() - at)
      fail_data("{}: the length of document {} exceeds the ids", path.string(), i);
    const auto *first = ids.data_ptr<std::int64_t>() + at, *first_count = counts.data_ptr<std::int64_t>() + at;
    documents.push_back({{first, first + length}, {first_count, first_count + length}});
    at += length;
  }
  return documents;
}

}  // namespace elastify
