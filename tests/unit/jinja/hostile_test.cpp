// Templates come from strangers: whatever they do, rendering ends soon, in little memory, with a reason and a line.
#include <catch2/catch.hpp>
#include <chrono>

#include "unit/jinja/rendering.h"

namespace {

using elastify_test::render_jinja;

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

void check_refused(const std::string& source, const std::string& reason) {
  INFO(source.substr(0, 200));
  const auto start = std::chrono::steady_clock::now();
  const auto made = render_jinja(source);
  CHECK_FALSE(made.text.has_value());
  CHECK_FALSE(made.raised);
  CHECK_THAT(made.problem, Catch::Matchers::Contains(reason));
  CHECK(made.line > 0);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
}

}  // namespace

TEST_CASE("a template that never ends, recurses or prints without end is stopped", "[jinja][unit]") {
  const std::string loops = "{% for a in range(100000) %}{% for b in range(100) %}";
  check_refused(loops + "{% endfor %}{% endfor %}", "MiB");
  check_refused("{% for a in range(100000) %}" + repeated("{% set b = 1 + a - 1 %}", 20) + "{% endfor %}", "steps");
  check_refused(loops + "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }}{% endfor %}{% endfor %}",
                "prints more than 16 MiB");
  check_refused("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too deeply");
  check_refused("{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}", "too deeply");
  check_refused("{{ 'a' * 1000000000 }}", "too long");
  check_refused("{% set n = namespace(t='a') %}{% for i in range(100) %}{% set n.t = n.t + n.t %}{% endfor %}", "MiB");
  check_refused("{% set n = namespace(t=[0]) %}{% for i in range(100) %}{% set n.t = n.t + n.t %}{% endfor %}", "MiB");
  check_refused("{% set n = namespace(t=[]) %}{% for i in range(100) %}{% set n.t = [n.t, n.t] %}{% endfor %}",
                "nest too deeply");
  check_refused("{% set n = namespace(t=[]) %}{% for i in range(60) %}{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.t }}",
                "MiB");
  check_refused(
      "{% set n = namespace(t=[]) %}{% for i in range(60) %}{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.t|tojson }}",
      "steps");
  const std::string twins =
      "{% set n = namespace(t=[], u=[]) %}{% for i in range(60) %}{% set n.t = [n.t, n.t] %}{% set n.u = [n.u, n.u] "
      "%}{% endfor %}";
  check_refused(twins + "{{ n.t == n.u }}", "steps");
  check_refused("{{ 'a'.replace('', 'b' * 10000000).replace('b', 'c' * 1000000) }}", "it ");
  check_refused("{{ 2 ** 64 }}", "64 bits");
  check_refused("{{ 9223372036854775807 }}", "out of range");
  check_refused("{% set n = namespace() %}{% set n.a = n %}{{ n | tojson }}", "cannot write");
}

TEST_CASE("a template that nests without end is refused before it runs", "[jinja][unit]") {
  check_refused("{{ " + repeated("(", 10'000) + "1" + repeated(")", 10'000) + " }}", "nest too deeply");
  check_refused("{{ " + repeated("[", 10'000) + repeated("]", 10'000) + "}}", "nest too deeply");
  check_refused("{{ " + repeated("not ", 100'000) + "1 }}", "nest too deeply");
  check_refused("{{ 1 " + repeated("- ", 100'000) + "1 }}", "nest too deeply");
  check_refused("{{ 1" + repeated(" + 1", 10'000) + " }}", "nests too deeply");
  check_refused("{{ a" + repeated("[0]", 10'000) + " }}", "nests too deeply");
  check_refused("{{ a" + repeated("|trim", 10'000) + " }}", "nests too deeply");
  check_refused("{{ 1" + repeated(" if 1 else 1", 10'000) + " }}", "nest too deeply");
  check_refused(repeated("{% if true %}", 10'000), "nest too deeply");
  check_refused(repeated("{% for a in [1] %}", 10'000), "nest too deeply");
  check_refused(repeated("{% set a %}", 10'000), "nest too deeply");
}

TEST_CASE("what is not supported is refused by name, with its line", "[jinja][unit]") {
  const auto made = render_jinja("a\nb\n{% include 'x' %}");
  CHECK(made.problem == "the tag include is not supported");
  CHECK(made.line == 3);
  for (const char* tag :
       {"include", "import", "extends", "block", "call", "filter", "with", "autoescape", "raw", "do", "trans"})
    check_refused("{% " + std::string(tag) + " %}", "the tag " + std::string(tag));
  check_refused("\n{{ a | xmlattr }}", "the filter xmlattr is not supported");
  check_refused("{{ a is filter }}", "the test filter is not supported");
  check_refused("{{ 'a'.format(1) }}", "the method format of a str");
  check_refused("{{ [].append(1) }}", "the method append of a list");
  check_refused("{{ ''.__class__ }}", "__class__");
  check_refused("{{ lipsum() }}", "the function lipsum");
  check_refused("{{ f(*a) }}", "star");
  check_refused("{% for a in b recursive %}{% endfor %}", "recursive");
  check_refused("{% if true %}{% macro f() %}{% endmacro %}{% endif %}", "macro within");
  CHECK(render_jinja("{% if false %}{{ a | xmlattr }}{% endif %}ok").text->bytes == "ok");  // only where it is reached
}

TEST_CASE("an exception of the template's own is told apart, with its sentence", "[jinja][unit]") {
  const auto made = render_jinja("\n\n{{ raise_exception('No system, ' + 'please.') }}");
  CHECK(made.raised);
  CHECK(made.problem == "No system, please.");
  CHECK(made.line == 3);
}

TEST_CASE("any bytes as a template are parsed or refused", "[jinja][unit]") {
  const std::string source =
      "{%- for m in messages[1:] -%}{{ m['a'] | trim ~ \"x\\n\" if m.b is not none else -1.5e3 }}{% endfor %}{# c #}";
  for (std::size_t end = 0; end <= source.size(); ++end) (void)render_jinja(source.substr(0, end));
  unsigned state = 7;
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = source;
    for (int change = 0; change < 3; ++change) {
      state = state * 1103515245u + 12345u;
      const std::size_t at = (state >> 8) % damaged.size();
      state = state * 1103515245u + 12345u;
      if (state & 0x10000)
        damaged.erase(at, 1 + (state >> 20) % 4);
      else
        damaged[at] = source[(state >> 18) % source.size()];
      if (damaged.empty()) break;
    }
    (void)render_jinja(damaged);
  }
}
