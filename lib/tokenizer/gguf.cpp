#include "tokenizer/gguf.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "gguf/gguf_keys.h"
#include "tokenizer/component_patterns.h"
#include "tokenizer/gguf_splits.h"
#include "tokenizer/sentencepiece.h"

namespace elastify {
namespace {

using elrt::TokenizerSpec;
using elrt::TokenType;

constexpr char kPrefix[] = "tokenizer.ggml.";

// Control tokens that end a turn whatever the keys say: llama.cpp's list, those apart that only one model has.
constexpr const char* kTurnEnds[] = {"<|eot_id|>",    "<|eom_id|>",      "<|im_end|>", "<|end|>", "<end_of_turn>",
                                     "<|endoftext|>", "<|end_of_text|>", "<EOT>",      "<eos>",   "<end_of_utterance>"};

class GgufTokenizer {
 public:
  explicit GgufTokenizer(const GgufFile& file) : keys_(file), source_(keys_.source()) {}

  TokenizerSpec read() {
    const std::string kind = keys_.text(key("model")).value_or("");
    if (kind.empty() || kind == "none" || kind == "no_vocab")
      fail_data("tokenizer: {} holds none: name one in the setting tokenizer", source_);
    if (kind != "gpt2" && kind != "llama") {
      fail_data(
          "tokenizer: {}: kind '{}' is not supported: expected gpt2 or llama; name another in the setting "
          "tokenizer",
          source_, kind);
    }
    read_tokens();
    if (kind == "gpt2")
      read_gpt2();
    else
      read_llama();
    read_special();
    return std::move(spec_);
  }

 private:
  static std::string key(const char* name) { return std::string(kPrefix) + name; }

  void read_tokens() {
    const auto* tokens = keys_.texts(key("tokens"));
    if (tokens == nullptr) fail_data("tokenizer: {}: key {} is missing", source_, key("tokens"));
    spec_.tokens = *tokens;
    const auto types = keys_.integers(key("token_type"));
    if (types && types->size() != tokens->size())
      fail_data("tokenizer: {}: {} tokens, but {} types", source_, tokens->size(), types->size());
    spec_.types.assign(tokens->size(), TokenType::kNormal);
    for (std::size_t id = 0; id < tokens->size(); ++id) {
      const std::int64_t type = types ? (*types)[id] : 1;
      if (type < 0 || type > 6) fail_data("tokenizer: {}: token {} has unknown type {}", source_, id, type);
      if (type > 0) spec_.types[id] = static_cast<TokenType>(type);
      if (spec_.tokens[id].empty()) spec_.tokens[id] = fmt::format("[EMPTY_{}]", id);  // llama.cpp's name for it
      const auto [place, fresh] = ids_.emplace(spec_.tokens[id], static_cast<std::int32_t>(id));
      if (!fresh)
        fail_data("tokenizer: {}: tokens {} and {} are both \"{}\"", source_, place->second, id, spec_.tokens[id]);
    }
  }

  // Cut out of the text before anything else happens.
  void add(std::size_t id, bool special) {
    spec_.added.push_back({.id = static_cast<std::int32_t>(id), .special = special});
  }

  [[noreturn]] void refuse_split(const std::string& name) const {
    std::string known;
    for (const GgufSplit& split : gguf_splits()) known += (known.empty() ? "" : ", ") + std::string(split.name);
    fail_data(
        "tokenizer: {}: key {} {}, so how text is split before merging is not known: expected one of {}; name the "
        "model's tokenizer.json in the setting tokenizer",
        source_, key("pre"), name.empty() ? "is missing" : "is '" + name + "'", known);
  }

  void read_gpt2() {
    const std::string name = keys_.text(key("pre")).value_or("");
    const GgufSplit* split = find_gguf_split(name);
    if (split == nullptr) refuse_split(name);
    spec_.model = elrt::TokenizerModel::kBpeMerges;
    spec_.byte_level = true;
    spec_.ignore_merges = split->ignores_merges;
    spec_.add_bos = split->adds_bos;
    if (split->nfc) spec_.normalizer.push_back({elrt::NormalizerStep::Kind::kNfc, "", ""});
    const auto isolate = [&](const char* regex) {
      spec_.pre_tokenizer.push_back(
          {elrt::PreTokenizerStep::Kind::kSplitRegex, regex, "", elrt::SplitBehavior::kIsolated, false});
    };
    if (keys_.flag(key("add_space_prefix")).value_or(false))
      spec_.pre_tokenizer.push_back({elrt::PreTokenizerStep::Kind::kPrefix, "", " "});
    if (split->digits) isolate(tokenizer_json::kNumeric);
    isolate(split->regex);
    spec_.decoder.push_back({.kind = elrt::DecoderStep::Kind::kByteLevel});
    read_merges();
    for (std::size_t id = 0; id < spec_.tokens.size(); ++id) {
      if (is_special(id))
        add(id, true);
      else if (spec_.types[id] == TokenType::kUserDefined)
        add(id, false);
    }
  }

  void read_merges() {
    const auto* merges = keys_.texts(key("merges"));
    if (merges == nullptr) fail_data("tokenizer: {}: key {} is missing", source_, key("merges"));
    const auto find = [&](const std::string& token, std::size_t rank) {
      const auto found = ids_.find(token);
      if (found == ids_.end())
        fail_data("tokenizer: {}: merge {} needs \"{}\", which is no token", source_, rank, token);
      return found->second;
    };
    for (std::size_t rank = 0; rank < merges->size(); ++rank) {
      const std::string& both = (*merges)[rank];
      const std::size_t space = both.find(' ', 1);
      if (space == std::string::npos)
        fail_data("tokenizer: {}: merge {} \"{}\" is not two tokens with a space between", source_, rank,
                  both.substr(0, 100));
      const std::string left = both.substr(0, space), right = both.substr(space + 1);
      spec_.merges.push_back({find(left, rank), find(right, rank)});
      find(left + right, rank);
    }
  }

  void read_llama() {
    const auto* scores = keys_.floats(key("scores"));
    if (scores == nullptr || scores->size() != spec_.tokens.size()) {
      fail_data("tokenizer: {}: {} tokens, but {} scores", source_, spec_.tokens.size(),
                scores == nullptr ? 0 : scores->size());
    }
    spec_.model = elrt::TokenizerModel::kBpeScores;
    spec_.scores = *scores;
    spec_.byte_fallback = std::find(spec_.types.begin(), spec_.types.end(), TokenType::kByte) != spec_.types.end();
    spec_.fuse_unk = true;
    spec_.unk_surface = " \xE2\x81\x87 ";
    spec_.unk_id = 0, spec_.bos_id = 1, spec_.eos_id = 2;  // SentencePiece's own
    spec_.add_bos = true;
    const bool prefix = keys_.flag(key("add_space_prefix")).value_or(true);
    add_sentencepiece_steps({.remove_extra_whitespaces = keys_.flag(key("remove_extra_whitespaces")).value_or(false),
                             .add_dummy_prefix = prefix,
                             .byte_fallback = spec_.byte_fallback},
                            spec_);
    for (std::size_t id = 0; id < spec_.tokens.size(); ++id) {
      if (is_special(id))
        add(id, true);
      else if (spec_.types[id] == TokenType::kUserDefined)
        user_defined(id, prefix);
    }
  }

  // Converters write the spaces of these pieces as they are. Where text gets no prefix (Gemma), pieces are found as
  // SentencePiece finds them, in its own writing; else they are cut out first and what follows has a prefix again, as
  // llama.cpp and transformers do.
  void user_defined(std::size_t id, bool prefix) {
    if (prefix) return add(id, false);
    std::string& token = spec_.tokens[id];
    std::string escaped;
    for (const char c : token) escaped += c == ' ' ? std::string(kSentencePieceSpace) : std::string(1, c);
    if (escaped != token && ids_.contains(escaped)) return add(id, false);
    token = escaped;
  }

  bool is_special(std::size_t id) const {
    return spec_.types[id] == TokenType::kControl || spec_.types[id] == TokenType::kUnknown;
  }

  // 2^32 - 1 stands for none, and so does a missing key.
  void read_id(const char* name, std::int32_t& id) {
    const auto found = keys_.integer(key(name));
    const auto count = static_cast<std::int64_t>(spec_.tokens.size());
    if (found && (*found == -1 || *found == 0xFFFFFFFF)) {
      id = -1;
    } else if (found) {
      if (*found < 0 || *found >= count)
        fail_data("tokenizer: {}: {} {} is no token, expected less than {}", source_, key(name), *found, count);
      id = static_cast<std::int32_t>(*found);
    }
    if (id >= count) id = -1;
  }

  void read_special() {
    std::int32_t turn = -1, message = -1;
    read_id("bos_token_id", spec_.bos_id), read_id("eos_token_id", spec_.eos_id);
    read_id("unknown_token_id", spec_.unk_id), read_id("padding_token_id", spec_.pad_id);
    read_id("eot_token_id", turn), read_id("eom_token_id", message);
    spec_.add_bos = keys_.flag(key("add_bos_token")).value_or(spec_.add_bos && spec_.bos_id >= 0);
    spec_.add_eos = keys_.flag(key("add_eos_token")).value_or(false);
    if (spec_.add_bos && spec_.bos_id < 0)
      fail_data("tokenizer: {}: {} without bos_token_id", source_, key("add_bos_token"));
    if (spec_.add_eos && spec_.eos_id < 0)
      fail_data("tokenizer: {}: {} without eos_token_id", source_, key("add_eos_token"));
    const auto stop = [&](std::int32_t id) {
      const bool known = std::find(spec_.stop_ids.begin(), spec_.stop_ids.end(), id) != spec_.stop_ids.end();
      if (id >= 0 && id != spec_.eos_id && !known) spec_.stop_ids.push_back(id);
    };
    stop(turn), stop(message);
    for (const char* text : kTurnEnds) {
      const auto found = ids_.find(text);
      if (found != ids_.end() && spec_.types[static_cast<std::size_t>(found->second)] == TokenType::kControl)
        stop(found->second);
    }
  }

  GgufKeys keys_;
  const std::string& source_;
  TokenizerSpec spec_;
  std::unordered_map<std::string, std::int32_t> ids_;
};

}  // namespace

TokenizerSpec read_tokenizer_gguf(const fs::path& path) {
  const GgufFile file = open_gguf(path);
  return GgufTokenizer(file).read();
}

std::string read_chat_template_gguf(const fs::path& path) {
  const GgufFile file = open_gguf(path);
  return GgufKeys(file).text("tokenizer.chat_template").value_or("");
}

}  // namespace elastify
