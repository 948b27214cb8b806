#include <map>
#include <string_view>

#include "jinja/arguments.hpp"
#include "jinja/builtins.hpp"

namespace elrt::jinja {
namespace {

const Value& only(const Call& call) {
  const Arguments given(call, "a test", {"value"});
  given.need(0);
  return call.positional[0];
}

struct Pair {
  const Value &left, &right;
};
Pair two(const Call& call) {
  const Arguments given(call, "a test", {"value", "other"});
  return {given.need(0), given.need(1)};
}

std::int64_t whole(const Value& value) {
  if (!value.is_whole()) refuse("a test of numbers needs an int, found a " + type_name(value));
  return value.whole();
}

bool is_sequence(const Value& value) {
  return value.text() != nullptr || value.list() != nullptr || value.dict() != nullptr || value.is_undefined();
}

Value same(Call& call) { return equal(two(call).left, two(call).right, call.work); }
Value other(Call& call) { return !equal(two(call).left, two(call).right, call.work); }
Value less(Call& call) { return compare(two(call).left, two(call).right) < 0; }
Value less_or_same(Call& call) { return compare(two(call).left, two(call).right) <= 0; }
Value more(Call& call) { return compare(two(call).left, two(call).right) > 0; }
Value more_or_same(Call& call) { return compare(two(call).left, two(call).right) >= 0; }

const std::map<std::string_view, Builtin>& tests() {
  static const std::map<std::string_view, Builtin> kTests = {
      {"defined", [](Call& call) -> Value { return !only(call).is_undefined(); }},
      {"undefined", [](Call& call) -> Value { return only(call).is_undefined(); }},
      {"none", [](Call& call) -> Value { return only(call).is_none(); }},
      {"string", [](Call& call) -> Value { return only(call).text() != nullptr; }},
      {"mapping", [](Call& call) -> Value { return only(call).dict() != nullptr; }},
      {"sequence", [](Call& call) -> Value { return is_sequence(only(call)); }},
      {"iterable", [](Call& call) -> Value { return is_sequence(only(call)); }},
      {"number", [](Call& call) -> Value { return only(call).is_number(); }},
      {"integer", [](Call& call) -> Value { return only(call).as<std::int64_t>() != nullptr; }},
      {"float", [](Call& call) -> Value { return only(call).as<double>() != nullptr; }},
      {"boolean", [](Call& call) -> Value { return only(call).as<bool>() != nullptr; }},
      {"true", [](Call& call) -> Value { return only(call).as<bool>() != nullptr && *only(call).as<bool>(); }},
      {"false", [](Call& call) -> Value { return only(call).as<bool>() != nullptr && !*only(call).as<bool>(); }},
      {"callable", [](Call& call) -> Value { return only(call).function() != nullptr; }},
      {"odd", [](Call& call) -> Value { return whole(only(call)) % 2 != 0; }},
      {"even", [](Call& call) -> Value { return whole(only(call)) % 2 == 0; }},
      {"divisibleby",
       [](Call& call) -> Value {
         const std::int64_t by = whole(two(call).right);
         if (by == 0) refuse("divisibleby 0");
         return by == -1 || whole(two(call).left) % by == 0;
       }},
      {"in", [](Call& call) -> Value { return contains(two(call).right, two(call).left, call.work); }},
      {"equalto", same},
      {"eq", same},
      {"==", same},
      {"ne", other},
      {"!=", other},
      {"lt", less},
      {"lessthan", less},
      {"<", less},
      {"le", less_or_same},
      {"<=", less_or_same},
      {"gt", more},
      {"greaterthan", more},
      {">", more},
      {"ge", more_or_same},
      {">=", more_or_same},
  };
  return kTests;
}

}  // namespace

Builtin find_test(const std::string& name) {
  const auto found = tests().find(name);
  return found == tests().end() ? nullptr : found->second;
}

}  // namespace elrt::jinja
