// Jinja2's grammar, as far as chat templates use it. Tags: for (with if, else, break and continue), if, set (also of a
// block and of a namespace's attribute), macro (outside of other blocks) and transformers' generation, whose contents
// count as they are. Every other tag is refused by name.
#pragma once

#include <string_view>

#include "jinja/syntax.hpp"

namespace elrt::jinja {

// Throws Refusal, with the line.
Block parse(std::string_view source);

}  // namespace elrt::jinja
