// The spec's decoder steps, compiled to one text per token and a rule for the start of the text, so that a stream of
// tokens decodes like the whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "elrt/tokenizer.hpp"

namespace elrt {

class Decoder {
 public:
  // kBadData for an order of steps that only the whole text could follow.
  static Result<Decoder> create(const TokenizerSpec& spec);

  // What token `id` (in range) adds to the text; `first`: no token came before it.
  std::string_view text(std::int32_t id, bool first) const;

  bool joins_spaces() const { return join_spaces_; }
  const std::string& strip_content() const { return strip_content_; }  // one character, or empty
  std::int32_t strip_count() const { return strip_count_; }

 private:
  Result<void> before_join(const DecoderStep& step);
  Result<void> after_join(const DecoderStep& step);
  void transform(const DecoderStep& step, std::string& token) const;

  std::vector<std::string> texts_;
  std::unordered_map<std::int32_t, std::string> first_texts_;  // where they differ
  std::string strip_content_;
  std::int32_t strip_count_ = 0;
  bool join_spaces_ = false;
  bool joined_ = false;
};

}  // namespace elrt
