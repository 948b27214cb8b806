// Reading and filling of texts with {slot} marks.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tasks/bank.h"

namespace elastify {

// Cuts `source` at its marks; `index_of` gives a mark's slot, kLiteral for an unknown one. On an unknown mark or
// unbalanced braces, `problem` says so and the result must not be used.
TextTemplate cut_template(const std::string& source, const std::function<int(std::string_view)>& index_of,
                          std::string& problem);

// `value_of(slot)` gives the text in place of a mark.
template <typename ValueOf>
std::string fill_template(const TextTemplate& text, ValueOf&& value_of) {
  std::string filled;
  for (const auto& piece : text.pieces)
    filled += piece.slot == TextTemplate::kLiteral ? piece.text : value_of(piece.slot);
  return filled;
}

}  // namespace elastify
