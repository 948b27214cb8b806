#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string_view>

#include "base/decimal.hpp"
#include "jinja/access.hpp"
#include "jinja/arguments.hpp"
#include "jinja/builtins.hpp"

namespace elrt::jinja {
namespace {

Value size_of(const Value& value) {
  std::size_t count = 0;
  if (const Text* text = value.text())
    count = count_characters(text->bytes);
  else if (const List* list = value.list())
    count = list->items.size();
  else if (const Dict* dict = value.dict())
    count = dict->members.size();
  else if (!value.is_undefined())
    refuse("a " + type_name(value) + " has no length");
  return static_cast<std::int64_t>(count);
}

Value length(Call& call) { return size_of(Arguments(call, "length", {"value"}).need(0)); }

Value trim(Call& call) {
  const Arguments given(call, "trim", {"value", "chars"});
  const bool space = given.find(1) == nullptr || given.find(1)->is_none();
  return make_text(strip(to_text(given.need(0), call.work), space ? nullptr : &given.text(1).bytes, true, true),
                   call.work);
}

Value to_case(Call& call, Case to) {
  return make_text(change_case(to_text(Arguments(call, "a filter of case", {"value"}).need(0), call.work), to),
                   call.work);
}

Value tojson(Call& call) {
  const Arguments given(call, "tojson", {"value", "ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = given.flag(1, false), style.sort_keys = given.flag(4, false);
  const std::int64_t indent = given.whole(2, -1);
  if (indent > 64) refuse("tojson with an indent of " + std::to_string(indent));
  style.indent = static_cast<int>(std::max<std::int64_t>(indent, -1));
  if (style.indent >= 0) style.item_separator = ",";
  if (const Value* separators = given.find(3); separators != nullptr && !separators->is_none()) {
    const List* list = separators->list();
    if (list == nullptr || list->items.size() != 2 || list->items[0].text() == nullptr ||
        list->items[1].text() == nullptr)
      refuse("tojson needs two strs as separators");
    style.item_separator = list->items[0].text()->bytes, style.key_separator = list->items[1].text()->bytes;
  }
  return make_text(to_json(given.need(0), style, call.work), call.work);
}

Value otherwise(Call& call) {
  const Arguments given(call, "default", {"value", "default_value", "boolean"});
  const Value& value = given.need(0);
  const bool missing = value.is_undefined() || (given.flag(2, false) && !truth(value));
  return !missing ? value : given.find(1) != nullptr ? *given.find(1) : Value(Text());
}

// "a.b" of a value; digits are an index.
Value path_of(const Value& value, const Text& path, Work& work) {
  Value at = value;
  for (const Text& step : split(path, ".", path.size())) {
    std::int64_t index = 0;
    const char* end = step.bytes.data() + step.size();
    const bool whole = !step.empty() && std::from_chars(step.bytes.data(), end, index).ptr == end;
    at = item_of(at, whole ? Value(index) : Value(step), work);
  }
  return at;
}

Value join(Call& call) {
  const Arguments given(call, "join", {"value", "d", "attribute"});
  const Text between = given.find(1) != nullptr ? to_text(*given.find(1), call.work) : Text();
  Text out;
  bool first = true;
  for (const Value& item : iterate(given.need(0), call.work)) {
    if (!first) out += between;
    const Text text = to_text(given.find(2) != nullptr ? path_of(item, given.text(2), call.work) : item, call.work);
    call.work.made(text.size() + between.size());
    out += text, first = false;
  }
  return out;
}

Value replace_filter(Call& call) {
  const Arguments given(call, "replace", {"value", "old", "new", "count"});
  const Text text = to_text(given.need(0), call.work);
  Call method{{*given.find(1), given.need(2)}, {}, call.work};
  if (given.find(3) != nullptr) method.positional.push_back(*given.find(3));
  return method_of(text, "replace").function()->run(method);
}

Value first(Call& call) {
  const std::vector<Value> items = iterate(Arguments(call, "first", {"value"}).need(0), call.work);
  return items.empty() ? Value::undefined("the first entry") : items.front();
}
Value last(Call& call) {
  const std::vector<Value> items = iterate(Arguments(call, "last", {"value"}).need(0), call.work);
  return items.empty() ? Value::undefined("the last entry") : items.back();
}

Value list(Call& call) { return make_list(iterate(Arguments(call, "list", {"value"}).need(0), call.work), call.work); }

Value reverse(Call& call) {
  const Value& value = Arguments(call, "reverse", {"value"}).need(0);
  if (value.text() != nullptr) return slice_of(value, None{}, None{}, std::int64_t{-1}, call.work);
  std::vector<Value> items = iterate(value, call.work);
  std::reverse(items.begin(), items.end());
  return make_list(std::move(items), call.work);
}

Value items(Call& call) {
  const Value& value = Arguments(call, "items", {"value"}).need(0);
  if (value.is_undefined()) return make_list({}, call.work);
  if (value.dict() == nullptr) refuse("items needs a dict, found a " + type_name(value));
  Call none{{}, {}, call.work};
  return method_of(value, "items").function()->run(none);
}

// As Jinja2 sorts: without regard to case.
Value folded(const Value& value, bool case_sensitive) {
  return value.text() != nullptr && !case_sensitive ? Value(change_case(*value.text(), Case::kLower)) : value;
}

std::vector<Value> sorted(std::vector<Value> items, const std::vector<Value>& keys, bool descending, Work& work) {
  std::vector<std::size_t> order(items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    work.step();
    return descending ? compare(keys[a], keys[b]) > 0 : compare(keys[a], keys[b]) < 0;
  });
  std::vector<Value> out;
  for (const std::size_t i : order) out.push_back(std::move(items[i]));
  return out;
}

Value sort(Call& call) {
  const Arguments given(call, "sort", {"value", "reverse", "case_sensitive", "attribute"});
  std::vector<Value> items = iterate(given.need(0), call.work), keys;
  for (const Value& item : items)
    keys.push_back(
        folded(given.find(3) != nullptr ? path_of(item, given.text(3), call.work) : item, given.flag(2, false)));
  return make_list(sorted(std::move(items), keys, given.flag(1, false), call.work), call.work);
}

Value dictsort(Call& call) {
  const Arguments given(call, "dictsort", {"value", "case_sensitive", "by", "reverse"});
  if (given.need(0).dict() == nullptr) refuse("dictsort needs a dict, found a " + type_name(given.need(0)));
  const bool by_value = given.find(2) != nullptr && given.text(2).bytes == "value";
  std::vector<Value> pairs, keys;
  for (const auto& [key, value] : given.need(0).dict()->members) {
    pairs.push_back(make_list({key, value}, call.work, true));
    keys.push_back(folded(by_value ? value : Value(key), given.flag(1, false)));
  }
  return make_list(sorted(std::move(pairs), keys, given.flag(3, false), call.work), call.work);
}

Value unique(Call& call) {
  const Arguments given(call, "unique", {"value", "case_sensitive"});
  std::vector<Value> kept, keys;
  for (const Value& item : iterate(given.need(0), call.work)) {
    Value key = folded(item, given.flag(1, false));
    const bool known = std::any_of(keys.begin(), keys.end(), [&](const Value& k) { return equal(k, key, call.work); });
    if (known) continue;
    kept.push_back(item);
    keys.push_back(std::move(key));
  }
  return make_list(std::move(kept), call.work);
}

Value extreme(Call& call, bool largest) {
  Value best = Value::undefined("the extreme of nothing");
  for (const Value& item : iterate(Arguments(call, largest ? "max" : "min", {"value"}).need(0), call.work)) {
    const int order = best.is_undefined() ? 0 : compare(folded(item, false), folded(best, false));
    if (best.is_undefined() || (largest ? order > 0 : order < 0)) best = item;
  }
  return best;
}

Value apply(Builtin run, const Value& value, const Call& call, std::size_t skip) {
  Call inner{{value}, call.named, call.work};
  inner.positional.insert(inner.positional.end(), call.positional.begin() + static_cast<std::ptrdiff_t>(skip),
                          call.positional.end());
  return run(inner);
}

Builtin named(const Call& call, std::size_t index, Builtin (*find)(const std::string&), const char* what) {
  if (call.positional.size() <= index) return nullptr;
  const Text* name = call.positional[index].text();
  const Builtin run = name == nullptr ? nullptr : find(name->bytes);
  if (run == nullptr)
    refuse(std::string("the ") + what + " " + (name == nullptr ? "" : name->bytes) + " is not supported");
  return run;
}

// map(attribute="x", default=...), or map("filter", arguments).
Value map(Call& call) {
  if (call.positional.empty()) refuse("map needs values");
  const Builtin filter = named(call, 1, find_filter, "filter");
  std::vector<Value> out;
  for (const Value& item : iterate(call.positional[0], call.work)) {
    if (filter != nullptr) {
      out.push_back(apply(filter, item, call, 2));
      continue;
    }
    Call given{{}, call.named, call.work};
    const Arguments options(given, "map", {"attribute", "default"});
    Value found = path_of(item, options.text(0), call.work);
    out.push_back(found.is_undefined() && options.find(1) != nullptr ? *options.find(1) : std::move(found));
  }
  return make_list(std::move(out), call.work);
}

// Those values whose attribute (`by_attribute`), or which themselves, pass the named test, or are true without one.
Value choose(Call& call, bool by_attribute, bool wanted) {
  if (call.positional.size() < (by_attribute ? 2u : 1u))
    refuse("select and reject need values, selectattr an attribute");
  const std::size_t place = by_attribute ? 2 : 1;
  const Builtin test = named(call, place, find_test, "test");
  if (by_attribute && call.positional[1].text() == nullptr) refuse("selectattr needs a str as attribute");
  std::vector<Value> out;
  for (const Value& item : iterate(call.positional[0], call.work)) {
    const Value tested = by_attribute ? path_of(item, *call.positional[1].text(), call.work) : item;
    const bool passes = truth(test == nullptr ? tested : apply(test, tested, call, place + 1));
    if (passes == wanted) out.push_back(item);
  }
  return make_list(std::move(out), call.work);
}

Value indent(Call& call) {
  const Arguments given(call, "indent", {"value", "width", "first", "blank"});
  Text by;
  if (given.find(1) != nullptr && given.find(1)->text() != nullptr) {
    by = given.text(1);
  } else {
    const std::int64_t width = given.whole(1, 4);
    if (width < 0 || width > 1000) refuse("indent by " + std::to_string(width));
    by = Text(std::string(static_cast<std::size_t>(width), ' '));
  }
  const Text text = to_text(given.need(0), call.work);
  Text out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.bytes.find('\n', begin), text.size());
    const bool blank = end == begin && !given.flag(3, false);
    if (begin > 0 ? !blank : given.flag(2, false)) out += by, call.work.made(by.size());
    out += text.part(begin, end - begin + 1);  // with its line end
    begin = end + 1;
  }
  return make_text(std::move(out), call.work);
}

Value to_int(Call& call) {
  const Arguments given(call, "int", {"value", "default"});
  const Value& value = given.need(0);
  const Value fallback = given.find(1) != nullptr ? *given.find(1) : Value(std::int64_t{0});
  if (value.is_whole()) return value.whole();
  double number = 0;
  if (value.as<double>() != nullptr) {
    number = *value.as<double>();
  } else if (value.text() != nullptr) {
    const Text digits = strip(*value.text(), nullptr, true, true);
    std::int64_t whole = 0;
    const char* end = digits.bytes.data() + digits.size();
    if (!digits.empty() && std::from_chars(digits.bytes.data(), end, whole).ptr == end) return whole;
    const auto read = parse_decimal(digits.bytes);
    if (!read) return fallback;
    number = *read;
  } else {
    return fallback;
  }
  if (!(std::fabs(number) < 9e18)) return fallback;
  return static_cast<std::int64_t>(number);
}

Value to_float(Call& call) {
  const Arguments given(call, "float", {"value", "default"});
  if (given.need(0).is_number()) return given.need(0).number();
  if (const Text* text = given.need(0).text()) {
    if (const auto read = parse_decimal(strip(*text, nullptr, true, true).bytes)) return *read;
  }
  return given.find(1) != nullptr ? *given.find(1) : Value(0.0);
}

Value absolute(Call& call) {
  const Value& value = Arguments(call, "abs", {"value"}).need(0);
  if (value.is_whole()) return value.whole() < 0 ? -value.whole() : value.whole();
  if (value.as<double>() == nullptr) refuse("abs needs a number, found a " + type_name(value));
  return std::fabs(value.number());
}

const std::map<std::string_view, Builtin>& filters() {
  static const std::map<std::string_view, Builtin> kFilters = {
      {"length", length},
      {"count", length},
      {"trim", trim},
      {"tojson", tojson},
      {"default", otherwise},
      {"d", otherwise},
      {"join", join},
      {"replace", replace_filter},
      {"first", first},
      {"last", last},
      {"list", list},
      {"reverse", reverse},
      {"items", items},
      {"sort", sort},
      {"dictsort", dictsort},
      {"unique", unique},
      {"map", map},
      {"indent", indent},
      {"int", to_int},
      {"float", to_float},
      {"abs", absolute},
      {"upper", [](Call& call) { return to_case(call, Case::kUpper); }},
      {"lower", [](Call& call) { return to_case(call, Case::kLower); }},
      {"title", [](Call& call) { return to_case(call, Case::kTitle); }},
      {"capitalize", [](Call& call) { return to_case(call, Case::kCapital); }},
      {"max", [](Call& call) { return extreme(call, true); }},
      {"min", [](Call& call) { return extreme(call, false); }},
      {"select", [](Call& call) { return choose(call, false, true); }},
      {"reject", [](Call& call) { return choose(call, false, false); }},
      {"selectattr", [](Call& call) { return choose(call, true, true); }},
      {"rejectattr", [](Call& call) { return choose(call, true, false); }},
      {"string",
       [](Call& call) {
         return make_text(to_text(Arguments(call, "string", {"value"}).need(0), call.work), call.work);
       }},
      {"safe",
       [](Call& call) { return make_text(to_text(Arguments(call, "safe", {"value"}).need(0), call.work), call.work); }},
  };
  return kFilters;
}

}  // namespace

Builtin find_filter(const std::string& name) {
  const auto found = filters().find(name);
  return found == filters().end() ? nullptr : found->second;
}

}  // namespace elrt::jinja
