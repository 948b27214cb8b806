#include "jinja/value.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/utf8.hpp"

namespace elrt::jinja {
namespace {

// Far above what any conversation needs, low enough that a hostile template ends within seconds.
constexpr std::size_t kMaxSteps = 4'000'000;
constexpr std::size_t kMaxMadeBytes = std::size_t{128} << 20;

}  // namespace

void refuse(std::string message) { throw Refusal{std::move(message)}; }

void Work::step(std::size_t count) {
  steps_ += count;
  if (steps_ > kMaxSteps) refuse("it takes more than " + std::to_string(kMaxSteps) + " steps");
}

void Work::made(std::size_t bytes) {
  bytes_ += bytes;
  if (bytes > kMaxMadeBytes || bytes_ > kMaxMadeBytes)
    refuse("it makes more than " + std::to_string(kMaxMadeBytes >> 20) + " MiB of text and lists");
}

const Value* Dict::find(std::string_view key) const {
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto& m) { return m.first.bytes == key; });
  return found == members.end() ? nullptr : &found->second;
}

void Dict::set(const Text& key, Value value) {
  depth = std::max(depth, value.depth() + 1);
  for (auto& [known, content] : members) {
    if (known.bytes == key.bytes) {
      content = std::move(value);
      return;
    }
  }
  members.emplace_back(key, std::move(value));
}

int Value::depth() const {
  if (const List* l = list()) return l->depth;
  if (const Dict* d = dict()) return d->depth;
  return 0;
}

Value make_list(std::vector<Value> items, Work& work, bool tuple) {
  List list{std::move(items), tuple, 1};
  for (const Value& item : list.items) list.depth = std::max(list.depth, item.depth() + 1);
  if (list.depth > Work::kMaxDepth) refuse("lists nest too deeply");
  work.made(list.items.size() * sizeof(Value));
  return list;
}

Value make_text(Text text, Work& work) {
  work.made(text.size());
  return text;
}

Value make_dict(Dict dict, Work& work) {
  if (dict.depth > Work::kMaxDepth) refuse("dicts nest too deeply");
  work.made(dict.members.size() * (sizeof(Value) + sizeof(Text)));
  return dict;
}

std::string type_name(const Value& value) {
  if (value.is_undefined()) return "undefined";
  if (value.is_none()) return "None";
  if (value.as<bool>() != nullptr) return "bool";
  if (value.as<std::int64_t>() != nullptr) return "int";
  if (value.as<double>() != nullptr) return "float";
  if (value.text() != nullptr) return "str";
  if (const List* list = value.list()) return list->tuple ? "tuple" : "list";
  if (value.dict() != nullptr) return "dict";
  if (value.space() != nullptr) return "namespace";
  return value.loop() != nullptr ? "loop" : "function";
}

bool truth(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_number()) return value.number() != 0;
  if (const Text* text = value.text()) return !text->empty();
  if (const List* list = value.list()) return !list->items.empty();
  if (const Dict* dict = value.dict()) return !dict->members.empty();
  return true;
}

bool equal(const Value& a, const Value& b, Work& work) {
  work.step();
  if (a.is_whole() && b.is_whole()) return a.whole() == b.whole();
  if (a.is_number() && b.is_number()) return a.number() == b.number();
  if (a.content.index() != b.content.index()) return false;
  if (a.is_undefined() || a.is_none()) return true;
  if (a.text() != nullptr) return a.text()->bytes == b.text()->bytes;
  if (const List* list = a.list()) {
    const List* other = b.list();
    return list->tuple == other->tuple &&
           std::equal(list->items.begin(), list->items.end(), other->items.begin(), other->items.end(),
                      [&](const Value& x, const Value& y) { return equal(x, y, work); });
  }
  if (const Dict* dict = a.dict()) {
    const Dict* other = b.dict();
    return dict->members.size() == other->members.size() &&
           std::all_of(dict->members.begin(), dict->members.end(), [&](const auto& member) {
             const Value* twin = other->find(member.first.bytes);
             return twin != nullptr && equal(member.second, *twin, work);
           });
  }
  return a.space() == b.space() && a.loop() == b.loop() && a.function() == b.function();
}

int compare(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_whole() && b.is_whole()) return a.whole() < b.whole() ? -1 : a.whole() > b.whole() ? 1 : 0;
    return a.number() < b.number() ? -1 : a.number() > b.number() ? 1 : 0;
  }
  if (a.text() != nullptr && b.text() != nullptr) return a.text()->bytes.compare(b.text()->bytes);
  refuse("a " + type_name(a) + " and a " + type_name(b) + " have no order");
}

bool contains(const Value& container, const Value& item, Work& work) {
  if (container.is_undefined()) return false;
  if (const Text* text = container.text()) {
    if (item.text() == nullptr) refuse("only a str can be in a str, found a " + type_name(item));
    work.step(text->size() / 64);
    return text->bytes.find(item.text()->bytes) != std::string::npos;
  }
  if (const List* list = container.list()) {
    work.step(list->items.size());
    return std::any_of(list->items.begin(), list->items.end(), [&](const Value& v) { return equal(v, item, work); });
  }
  if (const Dict* dict = container.dict()) {
    work.step(dict->members.size());
    return item.text() != nullptr && dict->find(item.text()->bytes) != nullptr;
  }
  refuse("a " + type_name(container) + " contains nothing");
}

std::vector<Value> iterate(const Value& value, Work& work) {
  std::vector<Value> items;
  if (const List* list = value.list()) {
    items = list->items;
  } else if (const Dict* dict = value.dict()) {
    for (const auto& [key, content] : dict->members) items.emplace_back(key);
  } else if (const Text* text = value.text()) {
    const std::vector<std::size_t> starts = character_starts(*text);
    work.made(starts.size() * (sizeof(Value) + sizeof(Text)));
    for (std::size_t i = 0; i < starts.size(); ++i)
      items.emplace_back(text->part(starts[i], (i + 1 < starts.size() ? starts[i + 1] : text->size()) - starts[i]));
  } else if (!value.is_undefined()) {
    refuse("a " + type_name(value) + " cannot be iterated over");
  }
  work.made(items.size() * sizeof(Value));
  return items;
}

std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  char buffer[64];
  const double size = std::fabs(number);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), number, format).ptr;
  std::string text(buffer, end);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

namespace {

Text number_text(const Value& value, const char* yes, const char* no) {
  if (const bool* flag = value.as<bool>()) return Text(*flag ? yes : no);
  if (const std::int64_t* number = value.as<std::int64_t>()) return Text(std::to_string(*number));
  return Text(float_text(*value.as<double>()));
}

std::string hex(char32_t code, std::size_t digits) {
  std::string text;
  for (std::size_t i = digits; i-- > 0;) text += "0123456789abcdef"[(code >> (4 * i)) & 15];
  return text;
}

// repr() of a string: single quotes unless only those occur within.
Text quoted_repr(const Text& text) {
  const bool single = text.bytes.find('\'') != std::string::npos, twice = text.bytes.find('"') != std::string::npos;
  const char quote = single && !twice ? '"' : '\'';
  Text out(std::string(1, quote));
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Char c = utf8::decode(text.view().substr(at));
    std::string shown = text.bytes.substr(at, c.size);
    if (c.code == '\n')
      shown = "\\n";
    else if (c.code == '\r')
      shown = "\\r";
    else if (c.code == '\t')
      shown = "\\t";
    else if (c.code == '\\' || c.code == static_cast<char32_t>(quote))
      shown.insert(0, 1, '\\');
    else if (c.code < 0x20 || c.code == 0x7F || (c.code >= 0x80 && c.code <= 0xA0) || c.code == 0xAD)
      shown = "\\x" + hex(c.code, 2);
    else if (c.code == 0x2028 || c.code == 0x2029)
      shown = "\\u" + hex(c.code, 4);
    out.append(shown, text.marks[at]);
    at += c.size;
  }
  out += Text(std::string(1, quote));
  return out;
}

Text json_string(const Text& text, bool ensure_ascii) {
  Text out("\"");
  for (std::size_t at = 0; at < text.size();) {
    const utf8::Char c = utf8::decode(text.view().substr(at));
    std::string shown = text.bytes.substr(at, c.size);
    constexpr std::string_view kNames = "\"\\bfnrt", kMeanings = "\"\\\b\f\n\r\t";
    const std::size_t name = c.code < 0x80 ? kMeanings.find(static_cast<char>(c.code)) : std::string_view::npos;
    if (name != std::string_view::npos)
      shown = std::string("\\") + kNames[name];
    else if (c.code < 0x20)
      shown = "\\u" + hex(c.code, 4);
    else if (ensure_ascii && c.code >= 0x10000)
      shown =
          "\\u" + hex(0xD800 + ((c.code - 0x10000) >> 10), 4) + "\\u" + hex(0xDC00 + ((c.code - 0x10000) & 0x3FF), 4);
    else if (ensure_ascii && (c.code >= 0x80 || c.code == 0x7F)) {
      if (c.code != 0x7F) shown = "\\u" + hex(c.code, 4);
    }
    out.append(shown, text.marks[at]);
    at += c.size;
  }
  out += Text("\"");
  return out;
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Work& work) : style_(style), work_(work) {}

  void write(const Value& value, int level) {
    work_.step();
    if (value.is_none()) return put("null");
    if (value.is_number()) return put_number(value);
    if (const Text* text = value.text()) {
      out_ += json_string(*text, style_.ensure_ascii);
    } else if (const List* list = value.list()) {
      write_list(*list, level);
    } else if (const Dict* dict = value.dict()) {
      write_dict(*dict, level);
    } else {
      refuse("tojson cannot write a value of type " + type_name(value));
    }
    work_.made(0);
  }
  Text take() { return std::move(out_); }

 private:
  void put(const std::string& text) { out_.append(text, Text::kOwn); }
  void put_number(const Value& value) {
    const double number = value.number();
    if (std::isfinite(number)) return put(number_text(value, "true", "false").bytes);
    put(std::isnan(number) ? "NaN" : number < 0 ? "-Infinity" : "Infinity");
  }
  void line(int level) {
    if (style_.indent >= 0) put("\n" + std::string(static_cast<std::size_t>(style_.indent * level), ' '));
  }
  // With an indent Python ends lines after the comma, without the space.
  void separate(bool first, int level) {
    if (!first) put(style_.item_separator);
    line(level);
  }
  void write_list(const List& list, int level) {
    if (list.items.empty()) return put("[]");
    put("[");
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      separate(i == 0, level + 1);
      write(list.items[i], level + 1);
    }
    line(level);
    put("]");
  }
  void write_dict(const Dict& dict, int level) {
    if (dict.members.empty()) return put("{}");
    auto members = dict.members;
    if (style_.sort_keys)
      std::sort(members.begin(), members.end(), [](auto& a, auto& b) { return a.first.bytes < b.first.bytes; });
    put("{");
    for (std::size_t i = 0; i < members.size(); ++i) {
      separate(i == 0, level + 1);
      out_ += json_string(members[i].first, style_.ensure_ascii);
      put(style_.key_separator);
      write(members[i].second, level + 1);
    }
    line(level);
    put("}");
  }

  const JsonStyle& style_;
  Work& work_;
  Text out_;
};

}  // namespace

Text to_json(const Value& value, const JsonStyle& style, Work& work) {
  JsonWriter writer(style, work);
  writer.write(value, 0);
  return writer.take();
}

Text to_text(const Value& value, Work& work) {
  if (value.is_undefined()) return {};
  if (const Text* text = value.text()) return *text;
  return to_repr(value, work);
}

Text to_repr(const Value& value, Work& work) {
  work.step();
  if (value.is_undefined()) return Text("Undefined");
  if (value.is_none()) return Text("None");
  if (value.is_number()) return number_text(value, "True", "False");
  if (const Text* text = value.text()) return quoted_repr(*text);
  Text out;
  if (const List* list = value.list()) {
    out += Text(list->tuple ? "(" : "[");
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      if (i > 0) out += Text(", ");
      out += to_repr(list->items[i], work);
    }
    out += Text(!list->tuple ? "]" : list->items.size() == 1 ? ",)" : ")");
  } else if (const Dict* dict = value.dict()) {
    out += Text("{");
    for (std::size_t i = 0; i < dict->members.size(); ++i) {
      if (i > 0) out += Text(", ");
      out += quoted_repr(dict->members[i].first);
      out += Text(": ");
      out += to_repr(dict->members[i].second, work);
    }
    out += Text("}");
  } else {
    refuse("a " + type_name(value) + " has no text");
  }
  work.made(out.size());
  return out;
}

}  // namespace elrt::jinja
