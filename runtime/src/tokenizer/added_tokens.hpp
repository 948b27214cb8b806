// Finds added tokens in a text: the longest at the leftmost place, with the spec's conditions on what is around it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/tokenizer.hpp"
#include "tokenizer/literal_set.hpp"
#include "tokenizer/normalizer.hpp"

namespace elrt {

class AddedTokens {
 public:
  // A stretch of text without added tokens (id -1), or an added token.
  struct Part {
    std::int32_t id;
    TextRange range;
  };
  enum class Stage { kRaw, kNormalized };  // tokens looked for before, and after, normalization

  static Result<AddedTokens> create(const TokenizerSpec& spec, const Normalizer& normalizer);

  // Covers `text` (valid UTF-8) in order, but for overlaps that lstrip and rstrip resolve to the earlier token.
  std::vector<Part> split(std::string_view text, Stage stage, bool parse_special) const;
  // The raw stage where strangers wrote parts of the text (EncodeOptions::foreign). Special tokens that are looked for
  // after normalization are found here too: there, nothing tells any more who wrote what.
  std::vector<Part> split(std::string_view text, std::string_view foreign) const;

 private:
  bool accept(const AddedToken& token, std::string_view text, std::size_t begin, std::size_t end,
              bool parse_special) const;
  std::vector<Part> split(std::string_view text, const LiteralSet& literals, bool parse_special,
                          std::string_view foreign) const;

  std::vector<AddedToken> tokens_;
  LiteralSet raw_, normalized_;  // ids are indices of tokens_
  LiteralSet early_;             // raw_, and the special ones of normalized_ as they are written
};

}  // namespace elrt
