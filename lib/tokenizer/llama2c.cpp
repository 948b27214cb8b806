#include "tokenizer/llama2c.h"

#include <bit>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/files.h"

namespace elastify {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is read as it lies");

constexpr std::int32_t kBos = 1, kEos = 2, kFirstByte = 3, kByteTokens = 256;

class Cursor {
 public:
  Cursor(std::string_view bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}
  bool at_end() const { return at_ == bytes_.size(); }
  std::size_t position() const { return at_; }

  std::string_view take(std::size_t size, const char* what) {
    if (size > bytes_.size() - at_) {
      fail_data("tokenizer: {} ends at byte {} inside {}; it needs {} more", name_, bytes_.size(), what,
                size - (bytes_.size() - at_));
    }
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }
  template <typename T>
  T number(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
  std::string name_;
};

void read_tokens(Cursor& cursor, const std::string& name, std::int64_t vocab_size, elrt::TokenizerSpec& spec) {
  const auto longest = cursor.number<std::int32_t>("the header");
  if (longest <= 0 || longest > 65536)
    fail_data("tokenizer: {}: longest token of {} bytes, expected 1 to 65536; not a llama2.c tokenizer?", name,
              longest);
  while (vocab_size > 0 ? static_cast<std::int64_t>(spec.tokens.size()) < vocab_size : !cursor.at_end()) {
    spec.scores.push_back(cursor.number<float>("a token's score"));
    const auto size = cursor.number<std::int32_t>("a token's size");
    if (size < 0 || size > longest) {
      fail_data("tokenizer: {}: token {} has {} bytes, expected 0 to {}", name, spec.tokens.size(), size, longest);
    }
    spec.tokens.emplace_back(cursor.take(static_cast<std::size_t>(size), "a token"));
  }
  if (!cursor.at_end())
    fail_data("tokenizer: {} goes on at byte {} after {} tokens, the model's vocabulary", name, cursor.position(),
              vocab_size);
}

void set_types(const std::string& name, elrt::TokenizerSpec& spec) {
  if (spec.tokens.size() < kFirstByte + kByteTokens) {
    fail_data("tokenizer: {} has {} tokens, expected at least {}", name, spec.tokens.size(), kFirstByte + kByteTokens);
  }
  spec.types.assign(spec.tokens.size(), elrt::TokenType::kNormal);
  spec.types[0] = elrt::TokenType::kUnknown;
  for (const std::int32_t id : {kBos, kEos}) {
    spec.types[static_cast<std::size_t>(id)] = elrt::TokenType::kControl;
    // llama2.c's exporter writes them with line feeds around.
    std::string& token = spec.tokens[static_cast<std::size_t>(id)];
    if (token.size() > 2 && token.front() == '\n' && token.back() == '\n') token = token.substr(1, token.size() - 2);
    if (!token.empty()) spec.added.push_back({.id = id, .special = true});
  }
  for (std::int32_t byte = 0; byte < kByteTokens; ++byte) {
    const auto id = static_cast<std::size_t>(kFirstByte + byte);
    const std::string expected = fmt::format("<0x{:02X}>", byte);
    if (spec.tokens[id] != expected) fail_data("tokenizer: {}: token {} should be {}", name, id, expected);
    spec.types[id] = elrt::TokenType::kByte;
  }
}

}  // namespace

elrt::TokenizerSpec read_tokenizer_llama2c(const fs::path& file, std::int64_t vocab_size) {
  const std::string name = file.string();
  const std::string bytes = read_file(file);
  Cursor cursor(bytes, name);
  elrt::TokenizerSpec spec;
  spec.model = elrt::TokenizerModel::kBpeScores;
  read_tokens(cursor, name, vocab_size, spec);
  set_types(name, spec);
  spec.byte_fallback = true;
  spec.unk_id = 0;
  spec.bos_id = kBos;
  spec.eos_id = kEos;
  spec.add_bos = true;
  spec.normalizer = {{elrt::NormalizerStep::Kind::kPrepend, "", " "}};
  using Kind = elrt::DecoderStep::Kind;
  spec.decoder = {
      {.kind = Kind::kByteFallback}, {.kind = Kind::kFuse}, {.kind = Kind::kStrip, .content = " ", .start = 1}};
  return spec;
}

}  // namespace elastify
