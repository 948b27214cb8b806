#include "io/dataset.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include <elrt/tokenizer.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "io/safetensors.h"
#include "io/utf8.h"
#include "model/decoder.h"
#include "tasks/item.h"

namespace elastify {
namespace {

using nlohmann::json;

void check_utf8(std::string_view text, const std::string& where) {
  const auto at = first_invalid_utf8(text);
  if (!at) return;
  fail_data("{} is not UTF-8: byte {} is 0x{:02x}; convert the file first", where, *at, static_cast<unsigned char>(text[*at]));
}

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::vector<TextDocument> read_plain(std::string_view text) {
  constexpr std::string_view kSeparator = "<|endoftext|>";
  std::vector<TextDocument> documents;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(kSeparator, begin), text.size());
    const auto body = trim(text.substr(begin, end - begin));
    if (!body.empty()) documents.push_back({"", std::string(body), false});
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
    return "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
           "### Instruction:\n" + instruction + "\n\n### Response:\n";
  }
  return "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
         "response that appropriately completes the request.\n\n### Instruction:\n" + instruction + "\n\n### Input:\n" + input +
         "\n\n### Response:\n";
}

TextDocument read_record(const json& record, const std::string& where) {
  if (!record.is_object()) fail_data("{}: expected an object, found {}", where, record.type_name());
  if (record.contains("text")) return {"", field(record, "text", where), false};
  if (record.contains("response")) return {field(record, "prompt", where), field(record, "response", where), true};
  if (record.contains("instruction") && record.contains("output")) {
    return {alpaca_prompt(field(record, "instruction", where), field(record, "input", where)), field(record, "output", where), true};
  }
  fail_data("{}: expected text, or prompt and response, or instruction and output; found the keys of {}", where,
            record.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 80));
}

std::vector<TextDocument> read_jsonl(std::string_view text, const std::string& name) {
  std::vector<TextDocument> documents;
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    const auto line = trim(text.substr(begin, end - begin));
    begin = end + 1;
    ++line_number;
    if (line.empty()) continue;
    const std::string where = fmt::format("{} line {}", name, line_number);
    const json record = json::parse(line, nullptr, false);
    if (record.is_discarded()) fail_data("{} is not valid JSON", where);
    // A task of the suite: its prompt is read, its right answer is learned.
    if (record.is_object() && record.contains("options")) {
      const TaskItem item = parse_task(line, where, "");
      documents.push_back({task_prompt(item), item.options[item.answer], true});
      continue;
    }
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

std::vector<std::int32_t> encode(const elrt::Tokenizer& tokenizer, const std::string& text) {
  auto ids = tokenizer.encode(text);
  if (!ids) fail_data("cannot tokenize a text of {} bytes: {}", text.size(), ids.failure().message);
  return std::move(ids).value();
}

std::size_t common_prefix(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// A book is one document: too coarse to split or shuffle.
std::vector<TokenDocument> cut_long(const std::vector<TokenDocument>& documents, std::size_t piece_tokens) {
  std::vector<TokenDocument> pieces;
  for (const auto& document : documents) {
    for (std::size_t begin = 0; begin < document.ids.size(); begin += piece_tokens) {
      const auto end = std::min(begin + piece_tokens, document.ids.size());
      if (end - begin < 2) continue;
      const auto from = std::max<std::int64_t>(1, document.loss_from - static_cast<std::int64_t>(begin));
      pieces.push_back({{document.ids.begin() + static_cast<std::ptrdiff_t>(begin), document.ids.begin() + static_cast<std::ptrdiff_t>(end)}, from});
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

std::vector<TextDocument> read_documents(const fs::path& path) {
  const MappedFile file(path);
  const std::string extension = path.extension().string();
  std::vector<TextDocument> documents;
  if (extension == ".json") {
    documents = read_json_array(path);
  } else {
    check_utf8(file.text(), path.string());
    documents = extension == ".jsonl" ? read_jsonl(file.text(), path.string()) : read_plain(file.text());
  }
  std::erase_if(documents, [](const TextDocument& document) { return document.text.empty(); });
  if (documents.empty()) fail_data("{} holds no text", path.string());
  return documents;
}

std::vector<TokenDocument> tokenize_documents(const std::vector<TextDocument>& documents, const elrt::Tokenizer& tokenizer) {
  std::vector<TokenDocument> result;
  for (const auto& document : documents) {
    auto ids = encode(tokenizer, document.prompt + document.text);
    std::int64_t loss_from = 1;
    if (!document.prompt.empty()) {
      // Tokens that differ from the prompt's own are already part of the answer.
      loss_from = std::max<std::int64_t>(1, static_cast<std::int64_t>(common_prefix(encode(tokenizer, document.prompt), ids)));
    }
    const std::int32_t eos = tokenizer.eos_id();
    if (document.ends && eos >= 0 && (ids.empty() || ids.back() != eos)) ids.push_back(eos);
    if (ids.size() >= 2) result.push_back({{ids.begin(), ids.end()}, loss_from});
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
  if (split.train.empty()) fail_data("the text is too short to hold any of it out: expected at least two different documents");
  return split;
}

std::int64_t TokenRows::target_count() const { return rows() == 0 ? 0 : (targets != kIgnore).sum().item<std::int64_t>(); }

TokenRows pack_rows(std::vector<TokenDocument> documents, std::int64_t seq, std::int64_t max_tokens, std::uint64_t seed) {
  shuffle(documents, seed);
  std::vector<std::int64_t> stream, targets;
  for (const auto& document : documents) {
    if (max_tokens > 0 && static_cast<std::int64_t>(stream.size()) > max_tokens) break;
    for (std::size_t i = 0; i < document.ids.size(); ++i) {
      stream.push_back(document.ids[i]);
      targets.push_back(static_cast<std::int64_t>(i) >= document.loss_from ? document.ids[i] : kIgnore);
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
  packed.targets = torch::tensor(std::vector<std::int64_t>(targets.begin() + 1, targets.end()), torch::kInt64).view({rows, seq});
  return packed;
}

TokenRows separate_rows(std::vector<TokenDocument> documents, std::int64_t seq, std::int64_t max_tokens, std::uint64_t seed) {
  shuffle(documents, seed);
  std::vector<std::int64_t> inputs, targets;
  std::int64_t tokens = 0;
  for (const auto& document : documents) {
    const auto length = static_cast<std::int64_t>(document.ids.size());
    for (std::int64_t begin = 0; begin + 1 < length && (max_tokens == 0 || tokens < max_tokens); begin += seq) {
      for (std::int64_t i = begin; i < begin + seq; ++i) {
        const bool there = i + 1 < length;
        inputs.push_back(there ? document.ids[static_cast<std::size_t>(i)] : 0);
        targets.push_back(there && i + 1 >= document.loss_from ? document.ids[static_cast<std::size_t>(i + 1)] : kIgnore);
      }
      tokens += std::min(seq, length - 1 - begin);
    }
  }
  if (inputs.empty()) fail_data("the text is empty after tokenization");
  const auto shape = std::vector<std::int64_t>{static_cast<std::int64_t>(inputs.size()) / seq, seq};
  return {torch::tensor(inputs, torch::kInt64).view(shape), torch::tensor(targets, torch::kInt64).view(shape)};
}

void save_documents(const fs::path& path, const std::vector<TokenDocument>& documents) {
  std::vector<std::int64_t> ids, lengths, loss_from;
  for (const auto& document : documents) {
    ids.insert(ids.end(), document.ids.begin(), document.ids.end());
    lengths.push_back(static_cast<std::int64_t>(document.ids.size()));
    loss_from.push_back(document.loss_from);
  }
  write_safetensors(path, {{"ids", torch::tensor(ids, torch::kInt64)},
                           {"lengths", torch::tensor(lengths, torch::kInt64)},
                           {"loss_from", torch::tensor(loss_from, torch::kInt64)}});
}

std::vector<TokenDocument> load_documents(const fs::path& path) {
  const StoredTensors stored = open_safetensors(path);
  for (const char* name : {"ids", "lengths", "loss_from"}) {
    const auto found = stored.find(name);
    if (found == stored.end() || found->second.dtype != torch::kInt64 || found->second.shape.size() != 1) {
      fail_data("{}: expected a one-dimensional I64 tensor {}", path.string(), name);
    }
  }
  const torch::Tensor ids = stored.at("ids").view(), lengths = stored.at("lengths").view(), from = stored.at("loss_from").view();
  if (from.numel() != lengths.numel()) fail_data("{}: lengths and loss_from differ in size", path.string());
  std::vector<TokenDocument> documents;
  std::int64_t at = 0;
  for (std::int64_t i = 0; i < lengths.numel(); ++i) {
    const auto length = lengths.data_ptr<std::int64_t>()[i];
    if (length < 0 || length > ids.numel() - at) fail_data("{}: the length of document {} exceeds the ids", path.string(), i);
    const auto* first = ids.data_ptr<std::int64_t>() + at;
    documents.push_back({{first, first + length}, from.data_ptr<std::int64_t>()[i]});
    at += length;
  }
  return documents;
}

}  // namespace elastify
