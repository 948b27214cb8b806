// Tokenizers small enough to work out by hand, and text that tries to break them.
#pragma once

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "elrt/tokenizer.hpp"

namespace elastify_test {

using Ids = std::vector<std::int32_t>;

inline std::string byte_token(int byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte) & 0xFF);
  return text;
}

inline std::int32_t add_token(elrt::TokenizerSpec& spec, const std::string& text,
                              elrt::TokenType type = elrt::TokenType::kNormal, float score = 0.0f) {
  spec.tokens.push_back(text);
  spec.types.push_back(type);
  if (spec.model == elrt::TokenizerModel::kBpeScores) spec.scores.push_back(score);
  return static_cast<std::int32_t>(spec.tokens.size() - 1);
}

// Like llama2.c's: <unk> 0, <s> 1, </s> 2, bytes 3..258, then " " 259, a 260, b 261, c 262, " a" 263, ab 264, bc 265,
// aa 266.
inline elrt::TokenizerSpec score_spec() {
  using elrt::TokenType;
  elrt::TokenizerSpec spec;
  spec.model = elrt::TokenizerModel::kBpeScores;
  add_token(spec, "<unk>", TokenType::kUnknown);
  add_token(spec, "<s>", TokenType::kControl);
  add_token(spec, "</s>", TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte) add_token(spec, byte_token(byte), TokenType::kByte);
  for (const char* text : {" ", "a", "b", "c"}) add_token(spec, text, TokenType::kNormal, -10.0f);
  add_token(spec, " a", TokenType::kNormal, -3.0f);
  add_token(spec, "ab", TokenType::kNormal, -2.0f);
  add_token(spec, "bc", TokenType::kNormal, -1.0f);
  add_token(spec, "aa", TokenType::kNormal, -4.0f);
  spec.byte_fallback = true;
  spec.unk_id = 0;
  spec.bos_id = 1;
  spec.eos_id = 2;
  spec.add_bos = true;
  spec.normalizer = {{elrt::NormalizerStep::Kind::kPrepend, "", " "}};
  using Kind = elrt::DecoderStep::Kind;
  spec.decoder = {
      {.kind = Kind::kByteFallback}, {.kind = Kind::kFuse}, {.kind = Kind::kStrip, .content = " ", .start = 1}};
  spec.added = {{.id = 1, .special = true}, {.id = 2, .special = true}};
  return spec;
}

// GPT-2's character for a byte.
inline std::string byte_character(int byte) {
  const bool itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
  int code = byte;
  if (!itself) {
    code = 256;
    for (int b = 0; b < byte; ++b) code += (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE ? 0 : 1;
  }
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

// Llama 3's components: byte level, its split, ids 0..255 the bytes, then "ab" 256, " a" 257, " ab" 258, <|end|> 259,
// and word 260 (added, not special).
inline elrt::TokenizerSpec byte_level_spec() {
  elrt::TokenizerSpec spec;
  for (int byte = 0; byte < 256; ++byte) add_token(spec, byte_character(byte));
  add_token(spec, "ab");
  add_token(spec, byte_character(' ') + "a");
  add_token(spec, byte_character(' ') + "ab");
  add_token(spec, "<|end|>", elrt::TokenType::kControl);
  add_token(spec, "word", elrt::TokenType::kUserDefined);
  spec.merges = {{'a', 'b'}, {' ', 'a'}, {' ', 256}};
  spec.byte_level = true;
  spec.eos_id = 259;
  const std::string split =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  spec.pre_tokenizer = {{elrt::PreTokenizerStep::Kind::kSplitRegex, split, ""}};
  spec.decoder = {{.kind = elrt::DecoderStep::Kind::kByteLevel}};
  spec.added = {{.id = 259, .special = true}, {.id = 260}};
  return spec;
}

// Characters of every UTF-8 length, with many marks, spaces, joiners and emoji among them; no U+2581.
inline std::string random_unicode(std::mt19937& random, int characters) {
  static constexpr char32_t kRanges[][2] = {{0x20, 0x7E},        {0x20, 0x20},     {0x09, 0x0D},     {0xA0, 0x24F},
                                            {0x300, 0x36F},      {0x400, 0x4FF},   {0x900, 0x97F},   {0x200B, 0x200F},
                                            {0x4E00, 0x9FFF},    {0xAC00, 0xD7A3}, {0xE000, 0xFFFD}, {0x1F300, 0x1FAFF},
                                            {0x10000, 0x10FFFF}, {0x0, 0x1F}};
  std::string text;
  for (int i = 0; i < characters; ++i) {
    const auto& range = kRanges[random() % std::size(kRanges)];
    const auto code = static_cast<char32_t>(range[0] + random() % (range[1] - range[0] + 1));
    const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | (code >> 6)), put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      put(0xE0 | (code >> 12)), put(0x80 | ((code >> 6) & 0x3F)), put(0x80 | (code & 0x3F));
    } else {
      put(0xF0 | (code >> 18)), put(0x80 | ((code >> 12) & 0x3F)), put(0x80 | ((code >> 6) & 0x3F)),
          put(0x80 | (code & 0x3F));
    }
  }
  return text;
}

inline std::string random_bytes(std::mt19937& random, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i)
    bytes.push_back(static_cast<char>(random() % 4 == 0 ? random() % 128 : 128 + random() % 128));
  return bytes;
}

inline const std::vector<std::string>& hard_texts() {
  static const std::vector<std::string> texts = {
      "",
      " ",
      "     ",
      "a",
      " a",
      "  a  b  ",
      "ab abc\n\n\tabc  \r\n",
      std::string(5000, ' '),
      std::string(3000, 'a'),
      "caf\xC3\xA9 e\xCC\x81",
      "\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E",
      "\xEA\xB0\x80\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB",
      "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7 \xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD",
      std::string("nul\0nul", 7),
      "\xEF\xBB\xBF"
      "bom",
      "\xF4\x8F\xBE\x80 private \xF4\x8F\xBF\xBF",
      "\xEF\xBF\xBD",
      "<0x41><0xE4>"};
  return texts;
}

}  // namespace elastify_test
