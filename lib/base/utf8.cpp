#include "base/utf8.h"

#include <utf8proc.h>

namespace elastify {

std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t codepoint = 0;
    const auto step = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &codepoint);
    if (step <= 0) return at;
    at += static_cast<std::size_t>(step);
  }
  return std::nullopt;
}

}  // namespace elastify
