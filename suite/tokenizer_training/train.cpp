#include "tokenizer_training/train.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "base/utf8.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer_training/pieces.h"

namespace elastify {
namespace {

using nlohmann::json;
using Pieces = std::vector<std::string>;  // by id

constexpr std::size_t kFirstPiece = 3 + 1 + 256;  // after <unk>, <s>, </s>, the newline and the bytes
constexpr std::int64_t kMaxVocabSize = 1 << 20;
constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, what SentencePiece writes for a space

void check_settings(const TokenizerTraining& settings) {
  if (settings.vocab_size <= static_cast<std::int64_t>(kFirstPiece) || settings.vocab_size > kMaxVocabSize) {
    fail_usage("tokenizer training: vocab_size must be {} to {}, found {}; the first {} tokens are fixed",
               kFirstPiece + 1, kMaxVocabSize, settings.vocab_size, kFirstPiece);
  }
  if (!(settings.character_coverage > 0.9 && settings.character_coverage <= 1.0)) {
    fail_usage("tokenizer training: character_coverage must be above 0.9 and at most 1, found {}",
               settings.character_coverage);
  }
}

void check_texts(const std::vector<std::string>& texts) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto at = first_invalid_utf8(texts[i]);
    if (at)
      fail_data("tokenizer training: text {} is not UTF-8: byte {} is 0x{:02x}", i, *at,
                static_cast<unsigned char>(texts[i][*at]));
  }
  const bool learnable = std::any_of(texts.begin(), texts.end(),
                                     [](const std::string& text) { return !learnable_stretches(text).empty(); });
  if (!learnable) fail_data("tokenizer training: the {} texts hold nothing to learn from", texts.size());
}

// Makes `directory` where it is missing; true if it did.
bool prepare_directory(const fs::path& directory) {
  std::error_code error;
  const bool made = fs::create_directories(directory, error);
  if (!error && !fs::is_directory(directory)) error = std::make_error_code(std::errc::not_a_directory);
  if (!error && ::access(directory.c_str(), W_OK | X_OK) != 0) error = {errno, std::generic_category()};
  if (error) fail_usage("tokenizer training: cannot write into {}: {}", directory.string(), error.message());
  return made;
}

std::string with_spaces(std::string_view piece) {
  std::string text;
  for (std::size_t at = 0; at < piece.size();) {
    const bool space = piece.substr(at).starts_with(kSpace);
    text.push_back(space ? ' ' : piece[at]);
    at += space ? kSpace.size() : 1;
  }
  return text;
}

// The texts of a model's tokens.
Pieces pieces_of(const std::string& model) {
  Pieces pieces = parse_tokenizer_sentencepiece(model, "the new model").tokens;
  for (std::string& piece : pieces) piece = with_spaces(piece);
  return pieces;
}

// SentencePiece joins any two neighbours whose joined text is a piece, best piece first. As ranked rules: for every
// piece, best first, each of its splits into two pieces.
json merges_of(const Pieces& pieces) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = kFirstPiece; id < pieces.size(); ++id) ids.emplace(pieces[id], id);
  json merges = json::array();
  for (std::size_t id = kFirstPiece; id < pieces.size(); ++id) {
    const std::string_view piece = pieces[id];
    std::vector<std::pair<std::size_t, std::size_t>> splits;
    for (std::size_t at = 1; at < piece.size(); ++at) {
      const auto left = ids.find(piece.substr(0, at)), right = ids.find(piece.substr(at));
      if (left != ids.end() && right != ids.end()) splits.emplace_back(left->second, right->second);
    }
    std::sort(splits.begin(), splits.end());  // as Hugging Face's own conversion
    for (const auto& [left, right] : splits) merges.push_back({pieces[left], pieces[right]});
  }
  return merges;
}

json special_token(int id, const char* content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

json post_processor() {
  const json bos = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const json first = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
             second = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  const json second_bos = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 1}}}};
  return {{"type", "TemplateProcessing"},
          {"single", json::array({bos, first})},
          {"pair", json::array({bos, first, second_bos, second})},
          {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}};
}

json tokenizer_document(const Pieces& pieces) {
  json vocab = json::object();
  for (std::size_t id = 0; id < pieces.size(); ++id) vocab[pieces[id]] = id;
  return {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", json::array({special_token(0, "<unk>"), special_token(1, "<s>"), special_token(2, "</s>")})},
      {"normalizer", nullptr},
      {"pre_tokenizer", nullptr},
      {"post_processor", post_processor()},
      {"decoder", {{"type", "Sequence"}, {"decoders", json::array({{{"type", "ByteFallback"}}, {{"type", "Fuse"}}})}}},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", "<unk>"},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"ignore_merges", false},
        {"vocab", std::move(vocab)},
        {"merges", merges_of(pieces)}}}};
}

json tokenizer_config() {
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"unk_token", "<unk>"},
          {"bos_token", "<s>"},
          {"eos_token", "</s>"},
          {"add_bos_token", true},
          {"add_eos_token", false},
          {"clean_up_tokenization_spaces", false}};
}

void train_into(const std::vector<std::string>& texts, const TokenizerTraining& settings, const fs::path& directory) {
  const Stopwatch watch;
  std::size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  spdlog::info("tokenizer training: {} tokens from {} texts, {}", settings.vocab_size, texts.size(),
               format_bytes(static_cast<double>(bytes)));
  const std::string model = learn_pieces(texts, settings);
  const Pieces pieces = pieces_of(model);
  if (static_cast<std::int64_t>(pieces.size()) != settings.vocab_size) {
    fail_data(
        "tokenizer training: the texts support at most {} tokens, but vocab_size is {}; lower it or give more text",
        pieces.size(), settings.vocab_size);
  }
  write_file(directory / "tokenizer.model", model);
  write_json(directory / "tokenizer_config.json", tokenizer_config());
  write_json(directory / "tokenizer.json", tokenizer_document(pieces));  // last: readers look for it first
  spdlog::info("tokenizer training: done in {}", format_duration(watch.seconds()));
}

}  // namespace

void train_tokenizer(const std::vector<std::string>& texts, const TokenizerTraining& settings,
                     const fs::path& directory) {
  check_settings(settings);
  check_texts(texts);
  const bool made = prepare_directory(directory);
  try {
    train_into(texts, settings, directory);
  } catch (...) {
    std::error_code ignored;
    if (made) fs::remove(directory, ignored);  // only where it is empty
    throw;
  }
}

}  // namespace elastify
