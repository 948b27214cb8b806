// A template's source as tokens, cut as Jinja2 3.1 cuts it with trim_blocks and lstrip_blocks: the newline after a
// block or comment is dropped, and so is white space before one that begins a line; -, + next to the delimiters
// override that. Line ends are \n afterwards, and the last one of the source is dropped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elrt::jinja {

struct Token {
  enum class Kind {
    kText,           // between tags, as it is printed
    kBlockBegin,     // {%
    kBlockEnd,       // %}
    kVariableBegin,  // {{
    kVariableEnd,    // }}
    kName,
    kString,  // its value
    kInteger,
    kFloat,
    kOperator,
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::string text;
  int line = 1;
};

// Ends with a kEnd. Throws Refusal.
std::vector<Token> tokenise(std::string_view source);

}  // namespace elrt::jinja
