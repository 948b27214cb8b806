// Text compared as a reader would: case (of ASCII letters) and spacing do not count.
#pragma once

#include <string>
#include <string_view>

namespace common {

// Without spaces, tabs and line ends at both ends.
std::string_view trim(std::string_view text);

// Lower case, runs of white space as one space, none at the ends.
std::string fold_text(std::string_view text);

}  // namespace common
