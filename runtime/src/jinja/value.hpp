// What expressions of a template compute: Python's values, as far as chat templates use them. Values are cheap to copy:
// strings, lists and dicts are shared and never change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "jinja/text.hpp"

namespace elrt::jinja {

struct Value;
struct Call;

struct Undefined {
  std::string name;  // what was asked for
};
struct None {};

struct List {
  std::vector<Value> items;
  bool tuple = false;
  int depth = 1;  // of the nesting
};

struct Dict {
  std::vector<std::pair<Text, Value>> members;  // in order
  int depth = 1;

  const Value* find(std::string_view key) const;
  void set(const Text& key, Value value);
};

struct Namespace {
  Dict attributes;  // the only thing that changes
};

// `loop` within a for.
struct Loop {
  std::size_t index = 0;  // from 0
  std::shared_ptr<const std::vector<Value>> items;
};

struct Function {
  std::string name;
  std::function<Value(Call&)> run;
};

struct Value {
  std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const Text>, std::shared_ptr<const List>,
               std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, std::shared_ptr<const Loop>,
               std::shared_ptr<const Function>>
      content;

  Value() = default;
  Value(None none) : content(none) {}                                                 // NOLINT
  Value(bool flag) : content(flag) {}                                                 // NOLINT
  Value(std::int64_t number) : content(number) {}                                     // NOLINT
  Value(double number) : content(number) {}                                           // NOLINT
  Value(Text text) : content(std::make_shared<const Text>(std::move(text))) {}        // NOLINT
  Value(List list) : content(std::make_shared<const List>(std::move(list))) {}        // NOLINT
  Value(Dict dict) : content(std::make_shared<const Dict>(std::move(dict))) {}        // NOLINT
  Value(Function run) : content(std::make_shared<const Function>(std::move(run))) {}  // NOLINT
  Value(std::shared_ptr<Namespace> space) : content(std::move(space)) {}              // NOLINT
  Value(std::shared_ptr<const Loop> loop) : content(std::move(loop)) {}               // NOLINT
  template <typename T>
  Value(T*) = delete;  // no pointer is a bool
  static Value undefined(std::string name) {
    Value value;
    value.content = Undefined{std::move(name)};
    return value;
  }

  // The content if it has the type, else nullptr.
  template <typename T>
  const T* as() const {
    return std::get_if<T>(&content);
  }
  const Text* text() const { return pointee<const Text>(); }
  const List* list() const { return pointee<const List>(); }
  const Dict* dict() const { return pointee<const Dict>(); }
  Namespace* space() const { return pointee<Namespace>(); }
  const Loop* loop() const { return pointee<const Loop>(); }
  const Function* function() const { return pointee<const Function>(); }
  bool is_undefined() const { return as<Undefined>() != nullptr; }
  bool is_none() const { return as<None>() != nullptr; }
  bool is_number() const { return as<bool>() != nullptr || as<std::int64_t>() != nullptr || as<double>() != nullptr; }
  bool is_whole() const { return as<bool>() != nullptr || as<std::int64_t>() != nullptr; }
  std::int64_t whole() const {
    return as<bool>() != nullptr ? static_cast<std::int64_t>(*as<bool>()) : *as<std::int64_t>();
  }
  double number() const { return as<double>() != nullptr ? *as<double>() : static_cast<double>(whole()); }
  int depth() const;

 private:
  template <typename T>
  T* pointee() const {
    const auto* pointer = std::get_if<std::shared_ptr<T>>(&content);
    return pointer == nullptr ? nullptr : pointer->get();
  }
};

// A call of a function, method, filter or test; for the latter two, positional[0] is what it is applied to.
struct Call {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  class Work& work;
};

// Why a template cannot be used, or does not want to be. Caught where the room's functions return.
struct Refusal {
  enum class Kind { kTemplate, kRaised };
  std::string message;
  Kind kind = Kind::kTemplate;
  int line = 0;  // 0: not yet known
};
[[noreturn]] void refuse(std::string message);

// What a rendering may still spend. Every evaluated node is a step; every byte and entry that is made is counted.
class Work {
 public:
  void step(std::size_t count = 1);
  void made(std::size_t bytes);
  // The most nesting of values, so that recursion over them stays shallow.
  static constexpr int kMaxDepth = 64;

 private:
  std::size_t steps_ = 0, bytes_ = 0;
};

std::string type_name(const Value& value);  // Python's, as messages name it
bool truth(const Value& value);
bool equal(const Value& a, const Value& b, Work& work);
// Below 0, 0 or above; refuses what Python does not order.
int compare(const Value& a, const Value& b);
bool contains(const Value& container, const Value& item, Work& work);
std::vector<Value> iterate(const Value& value, Work& work);  // dicts give keys, strings characters
Text to_text(const Value& value, Work& work);                // str()
Text to_repr(const Value& value, Work& work);                // repr()
std::string float_text(double number);                       // repr() of a float

struct JsonStyle {
  int indent = -1;  // -1: one line
  bool ensure_ascii = false, sort_keys = false;
  std::string item_separator = ", ", key_separator = ": ";
};
Text to_json(const Value& value, const JsonStyle& style, Work& work);  // json.dumps

Value make_list(std::vector<Value> items, Work& work, bool tuple = false);
Value make_text(Text text, Work& work);
Value make_dict(Dict dict, Work& work);

}  // namespace elrt::jinja
