#include "tokenizer/json.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/files.h"
#include "base/log.h"
#include "tokenizer/json_keys.h"
#include "tokenizer/json_steps.h"
#include "tokenizer/json_value.h"

namespace elastify {
namespace {

using namespace tokenizer_json;
using TokenIds = std::unordered_map<std::string, std::int32_t>;

constexpr std::size_t kMaxTokens = 1u << 22;  // as the runtime

// Byte tokens are told by their text.
bool is_byte_token(const std::string& token) {
  return token.size() == 6 && token.starts_with("<0x") && token[5] == '>' &&
         token.find_first_not_of("0123456789ABCDEF", 3) == 5;
}

void check_model(const json& model) {
  const json* type = find(model, "type");  // the oldest files have none
  if (type != nullptr && *type != "BPE")
    fail_data("tokenizer.json: model {} is not supported, only BPE", type->dump().substr(0, 100));
  const json* dropout = find(model, "dropout");
  if (dropout != nullptr && *dropout != 0.0)
    fail_data("tokenizer.json: model.dropout {} is not supported", dropout->dump());
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json* affix = find(model, key);
    if (affix != nullptr && *affix != "") fail_data("tokenizer.json: model.{} {} is not supported", key, affix->dump());
  }
}

// A token's text and its source, by id; every id from 0 must be taken exactly once.
class TokenTable {
 public:
  void put(std::int32_t id, const std::string& token) {
    if (static_cast<std::size_t>(id) >= kMaxTokens)
      fail_data("tokenizer.json: id {} of \"{}\" is out of range, expected less than {}", id, token, kMaxTokens);
    const auto [place, fresh] = ids_.emplace(token, id);
    if (!fresh && place->second == id) return;  // an added token of the vocabulary
    if (!fresh) fail_data("tokenizer.json: \"{}\" has ids {} and {}", token, place->second, id);
    if (static_cast<std::size_t>(id) >= tokens_.size()) {
      tokens_.resize(static_cast<std::size_t>(id) + 1);
      taken_.resize(tokens_.size());
    }
    if (taken_[static_cast<std::size_t>(id)]) {
      fail_data("tokenizer.json: id {} stands for \"{}\" and for \"{}\"", id, tokens_[static_cast<std::size_t>(id)],
                token);
    }
    taken_[static_cast<std::size_t>(id)] = true;
    tokens_[static_cast<std::size_t>(id)] = token;
  }

  std::int32_t find(const std::string& token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? -1 : found->second;
  }

  std::vector<std::string> take() {
    if (tokens_.empty()) fail_data("tokenizer.json: the vocabulary is empty");
    for (std::size_t id = 0; id < taken_.size(); ++id) {
      if (!taken_[id]) fail_data("tokenizer.json: no token has id {}, though ids go up to {}", id, taken_.size() - 1);
    }
    return std::move(tokens_);
  }

 private:
  TokenIds ids_;
  std::vector<std::string> tokens_;
  std::vector<bool> taken_;
};

void read_vocab(const json& model, TokenTable& table) {
  const json& vocab = need(model, "vocab", "model");
  if (!vocab.is_object()) fail_data("tokenizer.json: model.vocab should be an object");
  for (const auto& [token, id] : vocab.items()) table.put(count(id, "the id of \"" + token + "\""), token);
}

void read_added(const json& document, TokenTable& table, elrt::TokenizerSpec& spec) {
  if (find(document, "added_tokens") == nullptr) return;
  for (const json& entry : list(document, "added_tokens", "the file")) {
    const std::string where = "added token";
    const std::string content = text(entry, "content", where);
    const bool special = flag(entry, "special", false, where);
    const std::int32_t id = count(need(entry, "id", where), "the id of added token \"" + content + "\"");
    if (content.empty()) fail_data("tokenizer.json: added token {} is empty", id);
    table.put(id, content);
    spec.added.push_back({id, special, flag(entry, "lstrip", false, where), flag(entry, "rstrip", false, where),
                          flag(entry, "single_word", false, where), flag(entry, "normalized", !special, where)});
  }
}

elrt::TokenMerge read_merge(const json& entry, const TokenTable& table, std::size_t rank) {
  std::string left, right;
  if (entry.is_string()) {  // "a b"
    const auto& both = entry.get_ref<const std::string&>();
    const std::size_t space = both.find(' ');
    if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos) {
      fail_data("tokenizer.json: merge {} should be two tokens with one space between, found \"{}\"", rank,
                both.substr(0, 100));
    }
    left = both.substr(0, space);
    right = both.substr(space + 1);
  } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
    left = entry[0].get<std::string>();
    right = entry[1].get<std::string>();
  } else {
    fail_data("tokenizer.json: merge {} should be a string or a pair of strings", rank);
  }
  const elrt::TokenMerge merge{table.find(left), table.find(right)};
  if (merge.left < 0) fail_data("tokenizer.json: merge {} names \"{}\", which is no token", rank, left);
  if (merge.right < 0) fail_data("tokenizer.json: merge {} names \"{}\", which is no token", rank, right);
  if (table.find(left + right) < 0)
    fail_data("tokenizer.json: merge {} makes \"{}\", which is no token", rank, left + right);
  return merge;
}

void set_types(elrt::TokenizerSpec& spec) {
  spec.types.assign(spec.tokens.size(), elrt::TokenType::kNormal);
  for (std::size_t id = 0; spec.byte_fallback && id < spec.tokens.size(); ++id) {
    if (is_byte_token(spec.tokens[id])) spec.types[id] = elrt::TokenType::kByte;
  }
  for (const elrt::AddedToken& token : spec.added) {
    spec.types[static_cast<std::size_t>(token.id)] =
        token.special ? elrt::TokenType::kControl : elrt::TokenType::kUserDefined;
  }
  if (spec.unk_id >= 0) spec.types[static_cast<std::size_t>(spec.unk_id)] = elrt::TokenType::kUnknown;
}

void warn_unread(const json& document, const fs::path& file) {
  constexpr std::size_t kShown = 8;
  const std::vector<std::string> unread = unread_keys(document);
  if (unread.empty()) return;
  std::string names;
  for (std::size_t i = 0; i < std::min(unread.size(), kShown); ++i) names += (i > 0 ? ", " : "") + unread[i];
  if (unread.size() > kShown) names += fmt::format(" and {} more", unread.size() - kShown);
  spdlog::warn("tokenizer: {}: nothing reads these keys, which are ignored: {}", file.string(), names);
}

}  // namespace

elrt::TokenizerSpec read_tokenizer_json(const fs::path& file) {
  const json document = read_json(file);
  warn_unread(document, file);
  const json& model = need(document, "model", "the file");
  check_model(model);
  elrt::TokenizerSpec spec;
  TokenTable table;
  read_vocab(model, table);
  const json& merges = list(model, "merges", "model");
  for (const json& entry : merges) spec.merges.push_back(read_merge(entry, table, spec.merges.size()));
  read_added(document, table, spec);
  if (find(model, "unk_token") != nullptr) {
    const std::string unk = text(model, "unk_token", "model");
    spec.unk_id = table.find(unk);
    if (spec.unk_id < 0) fail_data("tokenizer.json: model.unk_token \"{}\" is no token", unk);
  }
  spec.tokens = table.take();
  spec.byte_fallback = flag(model, "byte_fallback", false, "model");
  spec.fuse_unk = flag(model, "fuse_unk", false, "model");
  spec.ignore_merges = flag(model, "ignore_merges", false, "model");
  set_types(spec);
  read_normalizer(document, spec);
  read_pre_tokenizer(document, spec);
  read_decoder(document, spec);
  read_post_processor(document, spec);
  return spec;
}

}  // namespace elastify
