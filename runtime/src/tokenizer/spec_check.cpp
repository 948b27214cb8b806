#include "tokenizer/spec_check.hpp"

#include <cmath>

#include "base/utf8.hpp"
#include "tokenizer/regex.hpp"
#include "tokenizer/vocabulary.hpp"

namespace elrt {
namespace {

// Far above any known vocabulary (the largest have some 260 thousand tokens), far below what would exhaust memory.
constexpr std::size_t kMaxTokens = 1u << 22, kMaxMerges = 1u << 23, kMaxSteps = 64;
constexpr std::size_t kMaxTokenBytes = 1u << 16, kMaxAllTokenBytes = 1u << 30;

std::string number(std::size_t value) { return std::to_string(value); }

Result<void> check_tokens(const TokenizerSpec& spec) {
  const std::size_t count = spec.tokens.size();
  if (count == 0 || count > kMaxTokens)
    return bad_data("tokenizer: expected 1 to " + number(kMaxTokens) + " tokens, found " + number(count));
  std::size_t bytes = 0;
  for (std::size_t id = 0; id < count; ++id) {
    const std::string& token = spec.tokens[id];
    if (token.size() > kMaxTokenBytes)
      return bad_data("tokenizer: token " + number(id) + " has " + number(token.size()) + " bytes, expected at most " +
                      number(kMaxTokenBytes));
    if (!utf8::is_valid(token)) return bad_data("tokenizer: token " + number(id) + " is not UTF-8");
    bytes += token.size();
    if (bytes > kMaxAllTokenBytes)
      return bad_data("tokenizer: all tokens together exceed " + number(kMaxAllTokenBytes) + " bytes");
  }
  if (spec.types.size() != count)
    return bad_data("tokenizer: expected " + number(count) + " token types, found " + number(spec.types.size()));
  for (std::size_t id = 0; id < count; ++id) {
    const auto type = static_cast<std::int32_t>(spec.types[id]);
    if (type < 1 || type > 6)
      return bad_data("tokenizer: token " + number(id) + " has unknown type " + std::to_string(type));
  }
  return {};
}

Result<void> check_model(const TokenizerSpec& spec) {
  const bool by_scores = spec.model == TokenizerModel::kBpeScores;
  const std::size_t scores = by_scores ? spec.tokens.size() : 0;
  if (spec.scores.size() != scores)
    return bad_data("tokenizer: expected " + number(scores) + " scores, found " + number(spec.scores.size()));
  for (std::size_t id = 0; id < scores; ++id) {
    if (std::isnan(spec.scores[id]))
      return bad_data("tokenizer: the score of token " + number(id) + " is not a number");
  }
  if (spec.merges.size() > (by_scores ? 0 : kMaxMerges))
    return bad_data("tokenizer: " + number(spec.merges.size()) + " merges are too many for this model");
  const auto count = static_cast<std::int32_t>(spec.tokens.size());
  for (std::size_t i = 0; i < spec.merges.size(); ++i) {
    const TokenMerge& merge = spec.merges[i];
    if (merge.left < 0 || merge.right < 0 || merge.left >= count || merge.right >= count) {
      return bad_data("tokenizer: merge " + number(i) + " names a token out of range");
    }
  }
  if (spec.byte_level && spec.byte_fallback)
    return bad_data("tokenizer: byte level and byte fallback exclude each other");
  return {};
}

Result<void> check_byte_tokens(const TokenizerSpec& spec) {
  if (!spec.byte_fallback) return {};
  bool seen[256] = {};
  std::size_t found = 0;
  for (const std::string& token : spec.tokens) {
    const int byte = byte_of_fallback_token(token);
    if (byte < 0 || seen[byte]) continue;
    seen[byte] = true;
    ++found;
  }
  // None at all is harmless: unknown characters then become the unknown token.
  if (found != 0 && found != 256)
    return bad_data("tokenizer: byte fallback with " + number(found) + " of the 256 byte tokens");
  return {};
}

Result<void> check_ids(const TokenizerSpec& spec) {
  const auto count = static_cast<std::int32_t>(spec.tokens.size());
  const auto check = [&](std::int32_t id, std::int32_t lowest, const char* name) -> Result<void> {
    if (id >= lowest && id < count) return {};
    return bad_data(std::string("tokenizer: ") + name + " " + std::to_string(id) +
                    " is out of range, expected less than " + std::to_string(count));
  };
  if (Result<void> r = check(spec.unk_id, -1, "unk id"); !r) return r;
  if (Result<void> r = check(spec.bos_id, spec.add_bos ? 0 : -1, "bos id"); !r) return r;
  if (Result<void> r = check(spec.eos_id, spec.add_eos ? 0 : -1, "eos id"); !r) return r;
  if (Result<void> r = check(spec.pad_id, -1, "pad id"); !r) return r;
  if (spec.stop_ids.size() > spec.tokens.size()) return bad_data("tokenizer: more stop ids than tokens");
  for (const std::int32_t id : spec.stop_ids) {
    if (Result<void> r = check(id, 0, "stop id"); !r) return r;
  }
  std::vector<bool> seen(spec.tokens.size());
  for (const AddedToken& token : spec.added) {
    if (Result<void> r = check(token.id, 0, "added token"); !r) return r;
    const auto id = static_cast<std::size_t>(token.id);
    if (seen[id]) return bad_data("tokenizer: token " + number(id) + " is added twice");
    if (spec.tokens[id].empty()) return bad_data("tokenizer: added token " + number(id) + " is empty");
    seen[id] = true;
  }
  return {};
}

Result<void> check_text(const std::string& text, const char* what) {
  if (text.size() > Regex::kMaxPatternBytes)
    return bad_data(std::string("tokenizer ") + what + ": a text of " + number(text.size()) + " bytes is too long");
  if (!utf8::is_valid(text)) return bad_data(std::string("tokenizer ") + what + ": a text is not UTF-8");
  return {};
}

template <typename Step>
Result<void> check_step_texts(const std::vector<Step>& steps, const char* what) {
  if (steps.size() > kMaxSteps)
    return bad_data(std::string("tokenizer ") + what + ": " + number(steps.size()) + " steps, expected at most " +
                    number(kMaxSteps));
  for (const Step& step : steps) {
    if (Result<void> r = check_text(step.pattern, what); !r) return r;
    if (Result<void> r = check_text(step.content, what); !r) return r;
  }
  return {};
}

bool is_one_character(const std::string& text) { return !text.empty() && utf8::decode(text).size == text.size(); }

Result<void> check_steps(const TokenizerSpec& spec) {
  if (Result<void> r = check_step_texts(spec.normalizer, "normalizer"); !r) return r;
  if (Result<void> r = check_step_texts(spec.pre_tokenizer, "pre-tokenizer"); !r) return r;
  if (Result<void> r = check_step_texts(spec.decoder, "decoder"); !r) return r;
  if (Result<void> r = check_text(spec.unk_surface, "unknown token"); !r) return r;
  for (const DecoderStep& step : spec.decoder) {
    using Kind = DecoderStep::Kind;
    const bool bad = (step.kind == Kind::kReplace && step.pattern.empty()) ||
                     (step.kind == Kind::kStrip && !is_one_character(step.content)) ||
                     (step.kind == Kind::kMetaspace && !is_one_character(step.pattern)) || step.start < 0 ||
                     step.stop < 0;
    if (bad) return bad_data("tokenizer decoder: a step lacks its text or has a negative count");
  }
  return {};
}

}  // namespace

Result<void> check_tokenizer_spec(const TokenizerSpec& spec) {
  if (Result<void> r = check_tokens(spec); !r) return r;
  if (Result<void> r = check_model(spec); !r) return r;
  if (Result<void> r = check_byte_tokens(spec); !r) return r;
  if (Result<void> r = check_ids(spec); !r) return r;
  return check_steps(spec);
}

}  // namespace elrt
