// When does a written answer equal the right one?
#pragma once

#include <string>
#include <string_view>

namespace elastify {

// Case of ASCII letters, runs of white space and punctuation at the end (. , ; : ! ?) do not count.
std::string fold_answer(std::string_view text);
bool same_answer(std::string_view a, std::string_view b);

}  // namespace elastify
