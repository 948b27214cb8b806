// A hostile regular expression, and hostile text for it.
//
// INPUT. One byte: the length of a text, which follows; the rest is the pattern.
#include "tokenizer/regex.hpp"
#include "base/utf8.hpp"
#include "fuzz/memory_file.h"

using elastify_fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t length = std::min<std::size_t>(bytes[0], size - 1);
  const std::string text =
      elrt::utf8::replace_invalid(std::string_view(reinterpret_cast<const char*>(bytes) + 1, length));
  const std::string pattern = elrt::utf8::replace_invalid(
      std::string_view(reinterpret_cast<const char*>(bytes) + 1 + length, size - 1 - length));
  const auto regex = elrt::Regex::compile(pattern);
  if (!regex) {
    require(!regex.failure().message.empty());
    return 0;
  }
  const auto matches = regex->find_all(text);
  if (!matches) return 0;
  std::size_t done = 0;
  for (std::size_t i = 0; i < matches->size(); ++i) {
    const elrt::TextRange range = matches.value()[i];
    require(range.begin >= done && range.begin <= range.end && range.end <= text.size());
    require(i == 0 || range.end > range.begin || range.begin > done);
    done = range.end;
  }
  return 0;
}
