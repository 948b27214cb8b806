#include "elrt/tokenizer.hpp"

#include <utility>

#include "base/guarded.hpp"
#include "base/utf8.hpp"
#include "tokenizer/added_tokens.hpp"
#include "tokenizer/bpe.hpp"
#include "tokenizer/decoder.hpp"
#include "tokenizer/normalizer.hpp"
#include "tokenizer/pre_tokenizer.hpp"
#include "tokenizer/spec_check.hpp"
#include "tokenizer/vocabulary.hpp"

namespace elrt {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;  // symbols are counted in 32 bits

}  // namespace

struct Tokenizer::Impl {
  TokenizerSpec spec;
  Vocabulary vocabulary;
  Bpe bpe;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  AddedTokens added;
  Decoder decoder;
  std::vector<bool> special;

  bool in_range(std::int32_t id) const { return id >= 0 && static_cast<std::size_t>(id) < spec.tokens.size(); }
  Result<void> encode_text(std::string text, bool at_start, bool escaped, bool parse_special,
                           std::vector<std::int32_t>& ids) const;
  Result<std::vector<std::int32_t>> encode(std::string_view text, EncodeOptions options) const;
  static Result<std::unique_ptr<const Impl>> create(TokenizerSpec spec);
};

namespace {

std::vector<bool> special_tokens(const TokenizerSpec& spec) {
  std::vector<bool> special(spec.tokens.size());
  for (std::size_t id = 0; id < special.size(); ++id) special[id] = spec.types[id] == TokenType::kControl;
  for (const AddedToken& token : spec.added) {
    if (token.special) special[static_cast<std::size_t>(token.id)] = true;
  }
  return special;
}

}  // namespace

Result<std::unique_ptr<const Tokenizer::Impl>> Tokenizer::Impl::create(TokenizerSpec spec) {
  if (Result<void> checked = check_tokenizer_spec(spec); !checked) return checked.take_failure();
  Result<Normalizer> normalizer = Normalizer::create(spec.normalizer);
  if (!normalizer) return normalizer.take_failure();
  Result<PreTokenizer> pre_tokenizer = PreTokenizer::create(spec.pre_tokenizer);
  if (!pre_tokenizer) return pre_tokenizer.take_failure();
  Result<AddedTokens> added = AddedTokens::create(spec, normalizer.value());
  if (!added) return added.take_failure();
  Result<Decoder> decoder = Decoder::create(spec);
  if (!decoder) return decoder.take_failure();
  std::vector<bool> special = special_tokens(spec);
  Vocabulary vocabulary(spec);
  // The encoder points into spec and vocabulary, so those must have their final place first.
  auto impl = std::unique_ptr<Impl>(new Impl{std::move(spec), std::move(vocabulary), Bpe(),
                                             std::move(normalizer).value(), std::move(pre_tokenizer).value(),
                                             std::move(added).value(), std::move(decoder).value(), std::move(special)});
  Result<Bpe> bpe = Bpe::create(impl->spec, impl->vocabulary);
  if (!bpe) return bpe.take_failure();
  impl->bpe = std::move(bpe).value();
  return std::unique_ptr<const Impl>(std::move(impl));
}

Result<void> Tokenizer::Impl::encode_text(std::string text, bool at_start, bool escaped, bool parse_special,
                                          std::vector<std::int32_t>& ids) const {
  Result<std::string> normal = normalizer.apply(std::move(text));
  if (!normal) return normal.take_failure();
  const std::string& whole = normal.value();
  if (whole.size() > kMaxTextBytes) return invalid_argument("tokenizer: the normalized text exceeds 1 GiB");
  for (const AddedTokens::Part& part : added.split(whole, AddedTokens::Stage::kNormalized, parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    Result<std::vector<std::string>> pieces = pre_tokenizer.apply(
        whole.substr(part.range.begin, part.range.end - part.range.begin), at_start && part.range.begin == 0);
    if (!pieces) return pieces.take_failure();
    for (const std::string& piece : pieces.value()) bpe.encode(piece, escaped, ids);
  }
  return {};
}

Result<std::vector<std::int32_t>> Tokenizer::Impl::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kMaxTextBytes) return invalid_argument("tokenizer: the text exceeds 1 GiB");
  const bool escaped = !utf8::is_valid(text);
  const std::string valid = escaped ? utf8::escape_invalid(text) : std::string(text);
  std::vector<std::int32_t> ids;
  if (options.add_bos && spec.add_bos) ids.push_back(spec.bos_id);
  const bool guarded_text = options.parse_special && !options.foreign.empty();
  if (guarded_text && (options.foreign.size() != text.size() || escaped)) {
    return invalid_argument("tokenizer: text with parts of strangers must be UTF-8, and have a mark for each byte");
  }
  const bool late_special = options.parse_special && !guarded_text;
  for (const AddedTokens::Part& part : guarded_text
                                           ? added.split(valid, options.foreign)
                                           : added.split(valid, AddedTokens::Stage::kRaw, options.parse_special)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    Result<void> done = encode_text(valid.substr(part.range.begin, part.range.end - part.range.begin),
                                    part.range.begin == 0, escaped, late_special, ids);
    if (!done) return done.take_failure();
  }
  if (options.add_bos && spec.add_eos) ids.push_back(spec.eos_id);
  return ids;
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Result<Tokenizer> Tokenizer::create(TokenizerSpec spec) {
  return guarded("build the tokenizer", [&]() -> Result<Tokenizer> {
    Result<std::unique_ptr<const Impl>> impl = Impl::create(std::move(spec));
    if (!impl) return impl.take_failure();
    return Tokenizer(std::move(impl).value());
  });
}

Result<std::vector<std::int32_t>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  return guarded("encode the text", [&] { return impl_->encode(text, options); });
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, DecodeOptions options) const {
  TextStream stream(*this, options);
  std::string text;
  for (const std::int32_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

std::string_view Tokenizer::token_bytes(std::int32_t id) const {
  return impl_->in_range(id) ? impl_->decoder.text(id, false) : std::string_view();
}

std::int32_t Tokenizer::vocab_size() const { return static_cast<std::int32_t>(impl_->spec.tokens.size()); }
std::int32_t Tokenizer::bos_id() const { return impl_->spec.bos_id; }
std::int32_t Tokenizer::eos_id() const { return impl_->spec.eos_id; }
std::int32_t Tokenizer::unk_id() const { return impl_->spec.unk_id; }
const TokenizerSpec& Tokenizer::spec() const { return impl_->spec; }
bool Tokenizer::is_special(std::int32_t id) const {
  return impl_->in_range(id) && impl_->special[static_cast<std::size_t>(id)];
}

bool Tokenizer::ends_text(std::int32_t id) const {
  if (id >= 0 && id == impl_->spec.eos_id) return true;
  for (const std::int32_t stop : impl_->spec.stop_ids) {
    if (id == stop) return true;
  }
  return false;
}

TextStream::TextStream(const Tokenizer& tokenizer, DecodeOptions options) : tokenizer_(&tokenizer), options_(options) {
  reset();
}

void TextStream::reset() {
  first_ = stripping_ = !options_.continues;
  stripped_ = 0;
  pending_.clear();
}

std::string TextStream::push(std::int32_t id) {
  const Tokenizer::Impl& impl = *tokenizer_->impl_;
  if (!impl.in_range(id) || (options_.skip_special && impl.special[static_cast<std::size_t>(id)])) return {};
  std::string text(impl.decoder.joins_spaces() && !first_ ? " " : "");
  text += impl.decoder.text(id, first_);
  first_ = false;
  const std::string& strip = impl.decoder.strip_content();
  while (stripping_ && stripped_ < impl.decoder.strip_count() && text.starts_with(strip)) {
    text.erase(0, strip.size());
    ++stripped_;
  }
  if (!text.empty()) stripping_ = false;
  pending_ += text;
  std::string out;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const utf8::Char c = utf8::decode(rest);
    if (c.truncated) break;
    out += c.valid || options_.raw_bytes ? rest.substr(0, c.size) : utf8::kReplacement;
    rest.remove_prefix(c.size);
  }
  pending_.assign(std::string(rest));
  return out;
}

std::string TextStream::finish() {
  std::string out = options_.raw_bytes ? pending_ : utf8::replace_invalid(pending_);
  reset();
  return out;
}

}  // namespace elrt
