#include "tokenizer/decoder.hpp"

#include "tokenizer/byte_level.hpp"
#include "tokenizer/normalizer.hpp"
#include "tokenizer/vocabulary.hpp"

namespace elrt {
namespace {

void strip_token(const DecoderStep& step, std::string& token) {
  for (std::int32_t i = 0; i < step.start && token.starts_with(step.content); ++i) token.erase(0, step.content.size());
  for (std::int32_t i = 0; i < step.stop && token.ends_with(step.content); ++i)
    token.resize(token.size() - step.content.size());
}

}  // namespace

void Decoder::transform(const DecoderStep& step, std::string& token) const {
  using Kind = DecoderStep::Kind;
  switch (step.kind) {
    case Kind::kReplace:
      token = replace_all(token, step.pattern, step.content);
      break;
    case Kind::kMetaspace:
      token = replace_all(token, step.pattern, " ");
      break;
    case Kind::kStrip:
      strip_token(step, token);
      break;
    case Kind::kByteFallback:
      if (const int byte = byte_of_fallback_token(token); byte >= 0) token.assign(1, static_cast<char>(byte));
      break;
    case Kind::kByteLevel:
      if (std::optional<std::string> bytes = byte_level::to_bytes(token)) token = std::move(*bytes);
      break;
    case Kind::kFuse:
    case Kind::kJoinSpaces:
      break;
  }
}

Result<void> Decoder::before_join(const DecoderStep& step) {
  using Kind = DecoderStep::Kind;
  if (step.kind == Kind::kMetaspace && step.start != 0) {
    for (std::size_t id = 0; id < texts_.size(); ++id) {
      if (texts_[id].find(step.pattern) == std::string::npos) continue;
      first_texts_[static_cast<std::int32_t>(id)] = replace_all(texts_[id], step.pattern, "");
    }
  }
  for (auto& [id, text] : first_texts_) transform(step, text);
  for (std::string& text : texts_) transform(step, text);
  joined_ = step.kind == Kind::kFuse || step.kind == Kind::kByteLevel || step.kind == Kind::kJoinSpaces;
  join_spaces_ = step.kind == Kind::kJoinSpaces;
  return {};
}

Result<void> Decoder::after_join(const DecoderStep& step) {
  using Kind = DecoderStep::Kind;
  if (step.kind == Kind::kFuse) return {};
  if (step.kind == Kind::kStrip && step.stop == 0 && strip_count_ == 0) {
    strip_content_ = step.content;
    strip_count_ = step.start;
    return {};
  }
  return bad_data("tokenizer decoder: after joining, expected nothing but one strip at the start");
}

Result<Decoder> Decoder::create(const TokenizerSpec& spec) {
  Decoder decoder;
  decoder.texts_ = spec.tokens;
  for (const DecoderStep& step : spec.decoder) {
    Result<void> done = decoder.joined_ ? decoder.after_join(step) : decoder.before_join(step);
    if (!done) return done.take_failure();
  }
  if (!spec.unk_surface.empty() && spec.unk_id >= 0)
    decoder.texts_[static_cast<std::size_t>(spec.unk_id)] = spec.unk_surface;
  return decoder;
}

std::string_view Decoder::text(std::int32_t id, bool first) const {
  if (first) {
    const auto found = first_texts_.find(id);
    if (found != first_texts_.end()) return found->second;
  }
  return texts_[static_cast<std::size_t>(id)];
}

}  // namespace elrt
