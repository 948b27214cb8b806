#include "tlm/body_vocabulary.h"

#include <algorithm>
#include <optional>
#include <sstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tlm/word_pieces.h"

namespace elastify {
namespace {

using nlohmann::json;

// One setting of a tokenizer: missing and null count as what uncased BERT does.
struct Rule {
  const char* key;
  json expected;
};

void check_rules(const json& object, std::initializer_list<Rule> rules, const std::string& source) {
  if (!object.is_object()) fail_data("{}: expected an object, found {}", source, object.type_name());
  for (const auto& [key, expected] : rules) {
    const json found = object.value(key, json());
    if (!found.is_null() && found != expected)
      fail_data("{}: {} must be {}, found {}: only uncased BERT's rules are read", source, key, expected.dump(),
                found.dump().substr(0, 64));
  }
}

void check_tokenizer_config(const fs::path& path) {
  if (!fs::exists(path)) return;
  check_rules(
      read_json(path),
      {{"do_lower_case", true}, {"do_basic_tokenize", true}, {"strip_accents", true}, {"tokenize_chinese_chars", true}},
      path.string());
}

const json& part(const json& document, const char* key, const std::string& source) {
  if (!document.is_object() || !document.contains(key) || !document[key].is_object())
    fail_data("{}: {} must be an object, as in a tokenizer of BERT", source, key);
  return document[key];
}

// Puts `token` at `id`, which no other token may have.
void place(std::vector<std::optional<std::string>>& tokens, const json& id, const std::string& token,
           const std::string& source) {
  constexpr std::int64_t kMost = 1 << 24;
  if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() >= kMost)
    fail_data("{}: the id of token '{}' must be a whole number from 0 to {}, found {}", source, token, kMost - 1,
              id.dump().substr(0, 64));
  const auto at = static_cast<std::size_t>(id.get<std::int64_t>());
  if (at >= tokens.size()) tokens.resize(at + 1);
  if (tokens[at] && *tokens[at] != token)
    fail_data("{}: tokens '{}' and '{}' have the same id {}", source, *tokens[at], token, at);
  tokens[at] = token;
}

std::vector<std::string> tokenizer_vocabulary(const fs::path& path) {
  const json document = read_json(path);
  const std::string source = path.string();
  const json& model = part(document, "model", source);
  check_rules(model,
              {{"type", "WordPiece"},
               {"continuing_subword_prefix", "##"},
               {"unk_token", "[UNK]"},
               {"max_input_chars_per_word", 100}},
              source + " model");
  check_rules(part(document, "normalizer", source),
              {{"type", "BertNormalizer"},
               {"clean_text", true},
               {"handle_chinese_chars", true},
               {"strip_accents", true},
               {"lowercase", true}},
              source + " normalizer");
  check_rules(part(document, "pre_tokenizer", source), {{"type", "BertPreTokenizer"}}, source + " pre_tokenizer");
  std::vector<std::optional<std::string>> tokens;
  for (const auto& [token, id] : part(model, "vocab", source + " model").items()) place(tokens, id, token, source);
  for (const auto& added : document.value("added_tokens", json::array())) {
    if (!added.is_object() || !added.contains("id") || !added.contains("content") || !added["content"].is_string())
      fail_data("{}: added_tokens must be objects with id and content", source);
    place(tokens, added["id"], added["content"].get<std::string>(), source);
  }
  std::vector<std::string> all;
  for (const auto& token : tokens) {
    if (!token)
      fail_data("{}: no token has the id {}, expected one for each below {}", source, all.size(), tokens.size());
    if (token->find('\n') != std::string::npos)
      fail_data("{}: token {} holds a line break, which no line of a vocabulary can", source, all.size());
    all.push_back(*token);
  }
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

void check_equal(const std::vector<std::string>& lines, const std::vector<std::string>& tokens,
                 const fs::path& folder) {
  const auto [line, token] = std::mismatch(lines.begin(), lines.end(), tokens.begin(), tokens.end());
  if (line == lines.end() && token == tokens.end()) return;
  fail_data(
      "{}: vocab.txt and tokenizer.json differ at id {}: expected '{}', found '{}'; keep the one that the model knows",
      folder.string(), line - lines.begin(), line == lines.end() ? "no token" : *line,
      token == tokens.end() ? "no token" : *token);
}

}  // namespace

std::string body_vocabulary_text(const fs::path& folder) {
  const fs::path lines_path = folder / "vocab.txt", tokenizer_path = folder / "tokenizer.json";
  check_tokenizer_config(folder / "tokenizer_config.json");
  if (!fs::exists(tokenizer_path)) {
    if (fs::exists(lines_path)) return read_file(lines_path);
    fail_data("{}: expected vocab.txt or tokenizer.json next to config.json, found neither: name one in tlm.vocabulary",
              folder.string());
  }
  const std::vector<std::string> tokens = tokenizer_vocabulary(tokenizer_path);
  if (!fs::exists(lines_path)) return vocabulary_text(tokens);
  const std::string text = read_file(lines_path);
  check_equal(lines_of(text), tokens, folder);
  return text;
}

}  // namespace elastify
