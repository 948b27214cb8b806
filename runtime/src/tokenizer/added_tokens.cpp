#include "tokenizer/added_tokens.hpp"

#include <algorithm>

#include "base/utf8.hpp"
#include "tokenizer/characters.hpp"

namespace elrt {
namespace {

// The start of the character that ends before `at`, which is not 0.
std::size_t step_back(std::string_view text, std::size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

bool has_foreign(std::string_view foreign, std::size_t begin, std::size_t end) {
  return !foreign.empty() && foreign.substr(begin, end - begin).find_first_not_of('\0') != std::string_view::npos;
}

char32_t code_at(std::string_view text, std::size_t at) { return utf8::decode(text.substr(at)).code; }

}  // namespace

Result<AddedTokens> AddedTokens::create(const TokenizerSpec& spec, const Normalizer& normalizer) {
  AddedTokens added;
  added.tokens_ = spec.added;
  for (std::size_t i = 0; i < spec.added.size(); ++i) {
    const AddedToken& token = spec.added[i];
    const std::string& content = spec.tokens[static_cast<std::size_t>(token.id)];
    if (!token.normalized || token.special) added.early_.add(content, static_cast<std::int32_t>(i));
    if (!token.normalized) {
      added.raw_.add(content, static_cast<std::int32_t>(i));
      continue;
    }
    Result<std::string> normal = normalizer.apply(content);
    if (!normal) return normal.take_failure();
    added.normalized_.add(normal.value(), static_cast<std::int32_t>(i));
  }
  return added;
}

bool AddedTokens::accept(const AddedToken& token, std::string_view text, std::size_t begin, std::size_t end,
                         bool parse_special) const {
  if (token.special && !parse_special) return false;
  if (!token.single_word) return true;
  const bool left = begin == 0 || !is_word(code_at(text, step_back(text, begin)));
  const bool right = end == text.size() || !is_word(code_at(text, end));
  return left && right;
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, Stage stage, bool parse_special) const {
  return split(text, stage == Stage::kRaw ? raw_ : normalized_, parse_special, {});
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, std::string_view foreign) const {
  return split(text, early_, true, foreign);
}

std::vector<AddedTokens::Part> AddedTokens::split(std::string_view text, const LiteralSet& literals, bool parse_special,
                                                  std::string_view foreign) const {
  std::vector<Part> parts;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size() && !literals.empty();) {
    LiteralSet::Match match = literals.longest_at(text, at);
    while (match.id >= 0 && tokens_[static_cast<std::size_t>(match.id)].special &&
           has_foreign(foreign, at, at + match.size))
      match = literals.longest_at(text.substr(0, at + match.size - 1), at);  // a shorter one may be the template's own
    if (match.id < 0) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + match.size;
    at = end;  // a match that is not accepted is passed over whole
    const AddedToken& token = tokens_[static_cast<std::size_t>(match.id)];
    if (begin < done || !accept(token, text, begin, end, parse_special)) continue;
    while (token.lstrip && begin > done && is_white_space(code_at(text, step_back(text, begin))))
      begin = step_back(text, begin);
    while (token.rstrip && end < text.size() && is_white_space(code_at(text, end)))
      end += utf8::decode(text.substr(end)).size;
    if (begin > done) parts.push_back({-1, {done, begin}});
    parts.push_back({token.id, {begin, end}});
    done = at = end;
  }
  if (done < text.size()) parts.push_back({-1, {done, text.size()}});
  return parts;
}

}  // namespace elrt
