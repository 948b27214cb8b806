#include "jinja/access.hpp"

#include <algorithm>
#include <limits>

#include "jinja/arguments.hpp"

namespace elrt::jinja {
namespace {

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();

std::size_t limit(std::int64_t count) { return count < 0 ? kAll : static_cast<std::size_t>(count); }

Value texts(std::vector<Text> parts, Work& work) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (Text& part : parts) items.push_back(make_text(std::move(part), work));
  return make_list(std::move(items), work);
}

// Where a list or str of `size` entries is cut: Python's slice.indices.
struct Cut {
  std::int64_t begin, end, step;
};
Cut cut(const Value& begin, const Value& end, const Value& step, std::size_t size) {
  const auto read = [](const Value& value, std::int64_t otherwise) {
    if (value.is_none()) return otherwise;
    if (!value.is_whole()) refuse("a slice needs ints, found a " + type_name(value));
    return value.whole();
  };
  const auto count = static_cast<std::int64_t>(size);
  const std::int64_t by = read(step, 1);
  if (by == 0 || by == std::numeric_limits<std::int64_t>::min())
    refuse("a slice's step cannot be " + std::to_string(by));
  const std::int64_t low = by < 0 ? -1 : 0, high = by < 0 ? count - 1 : count;
  const auto place = [&](const Value& value, std::int64_t otherwise) {
    std::int64_t at = read(value, otherwise);
    if (value.is_none()) return at;
    if (at < 0) at = at < -count ? low : at + count;
    return std::clamp(at, low, high);
  };
  return {place(begin, by < 0 ? high : low), place(end, by < 0 ? low : high), by};
}

std::vector<std::size_t> indices(const Cut& cut) {
  std::vector<std::size_t> all;
  for (std::int64_t i = cut.begin; cut.step > 0 ? i < cut.end : i > cut.end; i += cut.step) {
    all.push_back(static_cast<std::size_t>(i));
    if (cut.step > 0 ? cut.end - i <= cut.step : i - cut.end <= -cut.step) break;
  }
  return all;
}

// One character, or nothing where there are not so many.
const Value* character(const Text& text, std::int64_t index, Work& work, Value& made) {
  const std::vector<std::size_t> starts = character_starts(text);
  work.step(1 + starts.size() / 16);
  const auto count = static_cast<std::int64_t>(starts.size());
  if (index < 0) index += count;
  if (index < 0 || index >= count) return nullptr;
  const auto at = static_cast<std::size_t>(index);
  made = text.part(starts[at], (at + 1 < starts.size() ? starts[at + 1] : text.size()) - starts[at]);
  return &made;
}

// --- methods of str

Value strip_method(const Text& self, Call& call, const char* name, bool left, bool right) {
  const Arguments given(call, name, {"chars"});
  const Value* characters = given.find(0);
  const bool space = characters == nullptr || characters->is_none();
  return make_text(strip(self, space ? nullptr : &given.text(0).bytes, left, right), call.work);
}

Value split_method(const Text& self, Call& call, bool from_right) {
  const Arguments given(call, "split", {"sep", "maxsplit"});
  const std::size_t most = limit(given.whole(1, -1));
  if (given.find(0) == nullptr || given.find(0)->is_none()) {
    if (from_right && most != kAll) refuse("rsplit at white space with a limit is not supported");
    return texts(split_at_space(self, most), call.work);
  }
  if (given.text(0).empty()) refuse("split with an empty separator");
  return texts(
      from_right ? split_from_right(self, given.text(0).view(), most) : split(self, given.text(0).view(), most),
      call.work);
}

bool affix(const Text& self, const Value& asked, bool front) {
  if (const List* list = asked.list(); list != nullptr && list->tuple)
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& one) { return affix(self, one, front); });
  if (asked.text() == nullptr) refuse("startswith and endswith need a str, found a " + type_name(asked));
  return front ? self.view().starts_with(asked.text()->view()) : self.view().ends_with(asked.text()->view());
}

Value affix_method(const Text& self, Call& call, bool front) {
  const Arguments given(call, front ? "startswith" : "endswith", {"prefix"});
  return affix(self, given.need(0), front);
}

Value without_affix(const Text& self, Call& call, bool front) {
  const Arguments given(call, front ? "removeprefix" : "removesuffix", {"affix"});
  const std::size_t size = given.text(0).size();
  if (!affix(self, given.need(0), front)) return self;
  return make_text(front ? self.part(size) : self.part(0, self.size() - size), call.work);
}

Value find_method(const Text& self, Call& call, bool last) {
  const Arguments given(call, "find", {"sub"});
  const std::size_t at = last ? self.bytes.rfind(given.text(0).bytes) : self.bytes.find(given.text(0).bytes);
  if (at == std::string::npos) return std::int64_t{-1};
  return static_cast<std::int64_t>(count_characters(self.view().substr(0, at)));
}

Value join_method(const Text& self, Call& call) {
  const Arguments given(call, "join", {"iterable"});
  Text out;
  bool first = true;
  for (const Value& item : iterate(given.need(0), call.work)) {
    if (item.text() == nullptr) refuse("join needs strs, found a " + type_name(item));
    if (!first) out += self;
    out += *item.text(), first = false;
    call.work.made(item.text()->size() + self.size());
  }
  return out;
}

using TextMethod = Value (*)(const Text&, Call&);
struct NamedMethod {
  const char* name;
  TextMethod run;
};

Value case_method(const Text& self, Call& call, Case to) {
  const Arguments none(call, "a method that changes case", {});
  return make_text(change_case(self, to), call.work);
}

constexpr NamedMethod kTextMethods[] = {
    {"strip", [](const Text& self, Call& call) { return strip_method(self, call, "strip", true, true); }},
    {"lstrip", [](const Text& self, Call& call) { return strip_method(self, call, "lstrip", true, false); }},
    {"rstrip", [](const Text& self, Call& call) { return strip_method(self, call, "rstrip", false, true); }},
    {"split", [](const Text& self, Call& call) { return split_method(self, call, false); }},
    {"rsplit", [](const Text& self, Call& call) { return split_method(self, call, true); }},
    {"startswith", [](const Text& self, Call& call) { return affix_method(self, call, true); }},
    {"endswith", [](const Text& self, Call& call) { return affix_method(self, call, false); }},
    {"removeprefix", [](const Text& self, Call& call) { return without_affix(self, call, true); }},
    {"removesuffix", [](const Text& self, Call& call) { return without_affix(self, call, false); }},
    {"find", [](const Text& self, Call& call) { return find_method(self, call, false); }},
    {"rfind", [](const Text& self, Call& call) { return find_method(self, call, true); }},
    {"join", join_method},
    {"upper", [](const Text& self, Call& call) { return case_method(self, call, Case::kUpper); }},
    {"lower", [](const Text& self, Call& call) { return case_method(self, call, Case::kLower); }},
    {"title", [](const Text& self, Call& call) { return case_method(self, call, Case::kTitle); }},
    {"capitalize", [](const Text& self, Call& call) { return case_method(self, call, Case::kCapital); }},
    {"splitlines",
     [](const Text& self, Call& call) {
       const Arguments none(call, "splitlines", {});
       return texts(split_lines(self), call.work);
     }},
    {"count",
     [](const Text& self, Call& call) -> Value {
       const Arguments given(call, "count", {"sub"});
       if (given.text(0).empty()) refuse("count of an empty str is not supported");
       return static_cast<std::int64_t>(split(self, given.text(0).view(), kAll).size()) - 1;
     }},
    {"replace",
     [](const Text& self, Call& call) {
       const Arguments given(call, "replace", {"old", "new", "count"});
       const std::size_t pieces = given.text(0).empty() ? self.size() + 1 : self.size() / given.text(0).size();
       call.work.made(pieces * given.text(1).size());  // at most; before it is made
       return make_text(replace(self, given.text(0), given.text(1), limit(given.whole(2, -1))), call.work);
     }},
    {"isdigit",
     [](const Text& self, Call& call) -> Value {
       const Arguments none(call, "isdigit", {});
       return !self.empty() && self.bytes.find_first_not_of("0123456789") == std::string::npos;
     }},
};

constexpr const char* kOtherMethods[] = {
    "append",    "extend",    "insert",     "pop",         "popitem",  "clear",   "update",  "setdefault",
    "remove",    "sort",      "reverse",    "copy",        "fromkeys", "format",  "encode",  "format_map",
    "translate", "partition", "rpartition", "isalpha",     "isalnum",  "isspace", "isupper", "islower",
    "istitle",   "isnumeric", "isdecimal",  "zfill",       "center",   "ljust",   "rjust",   "expandtabs",
    "casefold",  "swapcase",  "maketrans",  "isidentifier"};

Value method(std::string name, std::function<Value(Call&)> run) { return Function{std::move(name), std::move(run)}; }

Value dict_method(const Value& self, const std::string& name) {
  if (name == "get") {
    return method(name, [self](Call& call) -> Value {
      const Arguments given(call, "get", {"key", "default"});
      const Text* key = given.need(0).text();
      const Value* found = key == nullptr ? nullptr : self.dict()->find(key->bytes);
      if (found != nullptr) return *found;
      return given.find(1) != nullptr ? *given.find(1) : Value(None{});
    });
  }
  if (name != "items" && name != "keys" && name != "values") return {};
  return method(name, [self, name](Call& call) {
    const Arguments none(call, name.c_str(), {});
    std::vector<Value> all;
    for (const auto& [key, value] : self.dict()->members) {
      if (name == "items")
        all.push_back(make_list({key, value}, call.work, true));
      else
        all.push_back(name == "keys" ? Value(key) : value);
    }
    return make_list(std::move(all), call.work);
  });
}

Value list_method(const Value& self, const std::string& name) {
  if (name != "index" && name != "count") return {};
  return method(name, [self, name](Call& call) -> Value {
    const Arguments given(call, name.c_str(), {"value"});
    const auto& items = self.list()->items;
    std::int64_t count = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!equal(items[i], given.need(0), call.work)) continue;
      if (name == "index") return static_cast<std::int64_t>(i);
      ++count;
    }
    if (name == "index") refuse("index: the value is not in the list");
    return count;
  });
}

Value loop_attribute(const Loop& loop, const std::string& name) {
  const std::size_t count = loop.items->size();
  const auto number = [](std::size_t value) { return Value(static_cast<std::int64_t>(value)); };
  if (name == "index") return number(loop.index + 1);
  if (name == "index0") return number(loop.index);
  if (name == "revindex") return number(count - loop.index);
  if (name == "revindex0") return number(count - loop.index - 1);
  if (name == "first") return loop.index == 0;
  if (name == "last") return loop.index + 1 == count;
  if (name == "length") return number(count);
  if (name == "depth") return number(1);
  if (name == "depth0") return number(0);
  if (name == "previtem") return loop.index == 0 ? Value::undefined("previtem") : (*loop.items)[loop.index - 1];
  if (name == "nextitem") return loop.index + 1 == count ? Value::undefined("nextitem") : (*loop.items)[loop.index + 1];
  if (name != "cycle") refuse("loop." + name + " is not supported");
  return method(name, [index = loop.index](Call& call) {
    if (call.positional.empty()) refuse("loop.cycle needs values");
    return call.positional[index % call.positional.size()];
  });
}

}  // namespace

Value method_of(const Value& value, const std::string& name) {
  const bool known =
      std::any_of(std::begin(kOtherMethods), std::end(kOtherMethods), [&](const char* other) { return name == other; });
  if (value.text() != nullptr) {
    for (const NamedMethod& entry : kTextMethods) {
      if (name == entry.name)
        return method(name, [value, &entry](Call& call) { return entry.run(*value.text(), call); });
    }
  }
  if (value.dict() != nullptr) {
    if (Value found = dict_method(value, name); !found.is_undefined()) return found;
  }
  if (value.list() != nullptr) {
    if (Value found = list_method(value, name); !found.is_undefined()) return found;
  }
  const bool object = value.text() != nullptr || value.dict() != nullptr || value.list() != nullptr;
  if (known && object && (value.dict() == nullptr || value.dict()->find(name) == nullptr))
    refuse("the method " + name + " of a " + type_name(value) + " is not supported");
  return Value::undefined(name);
}

Value attribute_of(const Value& value, const std::string& name, Work& work) {
  work.step();
  if (value.is_undefined()) refuse("'" + value.as<Undefined>()->name + "' is undefined, so it has no " + name);
  if (name.starts_with("__")) refuse("the attribute " + name + " is not supported");
  if (const Loop* loop = value.loop()) return loop_attribute(*loop, name);
  if (const Namespace* space = value.space()) {
    const Value* found = space->attributes.find(name);
    return found != nullptr ? *found : Value::undefined(name);
  }
  if (Value found = method_of(value, name); !found.is_undefined()) return found;
  const Value* found = value.dict() != nullptr ? value.dict()->find(name) : nullptr;
  return found != nullptr ? *found : Value::undefined(name);
}

Value item_of(const Value& value, const Value& index, Work& work) {
  work.step();
  if (value.is_undefined()) refuse("'" + value.as<Undefined>()->name + "' is undefined, so it has no entries");
  if (value.dict() != nullptr && index.text() != nullptr) {
    work.step(value.dict()->members.size() / 8);
    if (const Value* found = value.dict()->find(index.text()->bytes)) return *found;
  }
  if (index.is_whole()) {
    if (const Text* text = value.text()) {
      Value made;
      if (const Value* found = character(*text, index.whole(), work, made)) return *found;
    }
    if (const List* list = value.list()) {
      const auto count = static_cast<std::int64_t>(list->items.size());
      const std::int64_t at = index.whole() < 0 ? index.whole() + count : index.whole();
      if (at >= 0 && at < count) return list->items[static_cast<std::size_t>(at)];
    }
    return Value::undefined("entry " + std::to_string(index.whole()));
  }
  if (index.text() != nullptr) return attribute_of(value, index.text()->bytes, work);
  return Value::undefined("an entry");
}

Value slice_of(const Value& value, const Value& begin, const Value& end, const Value& step, Work& work) {
  if (const List* list = value.list()) {
    std::vector<Value> items;
    for (const std::size_t i : indices(cut(begin, end, step, list->items.size()))) items.push_back(list->items[i]);
    work.step(items.size());
    return make_list(std::move(items), work, list->tuple);
  }
  if (const Text* text = value.text()) {
    const std::vector<std::size_t> starts = character_starts(*text);
    work.step(starts.size() / 16);
    Text out;
    for (const std::size_t i : indices(cut(begin, end, step, starts.size())))
      out += text->part(starts[i], (i + 1 < starts.size() ? starts[i + 1] : text->size()) - starts[i]);
    return make_text(std::move(out), work);
  }
  if (value.is_undefined()) refuse("'" + value.as<Undefined>()->name + "' is undefined, so it cannot be sliced");
  refuse("a " + type_name(value) + " cannot be sliced");
}

}  // namespace elrt::jinja
