// Which bytes of a rendering come from the messages is known whatever a template does with them.
#include <catch2/catch.hpp>

#include "unit/jinja/rendering.h"

namespace {

using elastify_test::render_jinja;
using elrt::jinja::Dict;
using elrt::jinja::List;
using elrt::jinja::Text;
using elrt::jinja::Value;

// The rendering with the messages' bytes as dots.
std::string own_part(const std::string& source) {
  Dict message;
  message.set(Text("content"), Text("  a,b Ä\n", Text::kForeign));
  const auto made = render_jinja(source, {{"m", message}, {"own", Text("OWN")}});
  INFO(made.problem);
  REQUIRE(made.text.has_value());
  std::string out = made.text->bytes;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (made.text->marks[i] == Text::kForeign) out[i] = '.';
  }
  return out;
}

}  // namespace

TEST_CASE("bytes of messages stay known after every filter, method and operator", "[jinja][unit]") {
  CHECK(own_part("<{{ m.content }}>") == "<.........>");
  CHECK(own_part("<{{ m.content | trim }}>") == "<......>");
  CHECK(own_part("<{{ m.content.strip() + own }}>") == "<......OWN>");
  CHECK(own_part("<{{ m.content.split(',') | join('|') }}>") == "<...|.....>");
  CHECK(own_part("{{ m.content.split() }}") == "['...', '..']");
  CHECK(own_part("{{ m.content | tojson }}") == "\"..........\"");
  CHECK(own_part("{{ m | tojson }}") == "{\"content\": \"..........\"}");
  CHECK(own_part("{{ m.content | upper }}{{ m.content.lower() }}{{ m.content | title }}") == std::string(27, '.'));
  CHECK(own_part("{{ m.content[2:5] }}{{ m.content[::-1] }}{{ m.content[2] }}") == std::string(13, '.'));
  CHECK(own_part("{{ m.content.replace(',', own) }}") == "...OWN.....");
  CHECK(own_part("{{ own.replace('W', m.content) }}") == "O.........N");
  CHECK(own_part("{% set x %}<{{ m.content }}>{% endset %}{{ x }}") == "<.........>");
  CHECK(own_part("{% macro f(t) %}<{{ t }}>{% endmacro %}{{ f(m.content) }}") == "<.........>");
  CHECK(own_part("{% for c in m.content %}{{ c }}{% endfor %}") == std::string(9, '.'));
  CHECK(own_part("{% set n = namespace(t='') %}{% set n.t = n.t ~ m.content ~ own %}{{ n.t }}") == ".........OWN");
  CHECK(own_part("{{ m.content | indent(2, true) }}") == "  .........");
  CHECK(own_part("{{ m.content * 2 }}{{ m.content | string }}{{ m.content | default('x') }}") == std::string(36, '.'));
  CHECK(own_part("{{ [m.content, own] | first }}{{ m.items() | list | last | last }}") == std::string(18, '.'));
  CHECK(own_part("{{ m.content | replace('a', 'b') | list | join }}") == "..b......");
  CHECK(own_part("{{ m.content.removeprefix('  ') }}{{ m.content.splitlines() | join }}") == std::string(15, '.'));
}
