// Runs a parsed template.
#pragma once

#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "jinja/syntax.hpp"

namespace elrt::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;

// Throws Refusal, with the line where the template stopped. Bounded in steps, in nesting and in what it makes.
Text render(const Block& block, const Variables& variables, const std::tm& now);

}  // namespace elrt::jinja
