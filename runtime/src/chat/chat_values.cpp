#include "chat/chat_values.hpp"

#include <algorithm>
#include <cmath>

#include "base/utf8.hpp"

namespace elrt {
namespace {

using jinja::Dict;
using jinja::List;
using jinja::Text;
using jinja::Value;

// Roles that cannot be part of a forgery: some templates put them between a control token's brackets.
Text role_text(const std::string& role) {
  static constexpr std::string_view kRoles[] = {"system", "user",     "assistant", "tool",
                                                "model",  "function", "developer", "ipython"};
  const bool known = std::find(std::begin(kRoles), std::end(kRoles), role) != std::end(kRoles);
  return Text(role, known ? Text::kOwn : Text::kForeign);
}

Text foreign(const std::string& text) { return Text(text, Text::kForeign); }

Value content_of(const ChatMessage& message, const ContentStyle& style) {
  if (message.no_content) return style.null == ContentStyle::Null::kNone ? Value(jinja::None{}) : Value(Text());
  if (!style.parts) return foreign(message.content);
  Dict part;
  part.set(Text("type"), Text("text"));
  part.set(Text("text"), foreign(message.content));
  return List{{part}, false, part.depth + 1};
}

std::string place(std::size_t index) { return "message " + std::to_string(index + 1); }

// As transformers hands them over: null is no field, and what the model thought goes by both names that templates read.
Result<void> add_fields(const std::string& text, const std::string& place, Dict& dict) {
  if (text.empty()) return {};
  auto fields = parse_argument(text, "a message's fields", true);
  if (!fields) return invalid_argument(fields.failure().message + ", in " + place);
  Value thought = Value::undefined("");
  for (const json::Member& member : *fields->as<std::vector<json::Member>>()) {
    if (member.key == "role" || member.key == "content")
      return invalid_argument("chat: " + place + " has its " + member.key + " twice");
    if (member.value.as<std::nullptr_t>() != nullptr) continue;
    dict.set(foreign(member.key), to_value(member.value));
  }
  for (const char* name : {"reasoning", "thinking", "reasoning_content"}) {
    if (const Value* found = dict.find(name)) thought = *found;
  }
  if (thought.is_undefined()) return {};
  if (dict.find("thinking") == nullptr) dict.set(Text("thinking"), thought);
  dict.set(Text("reasoning_content"), thought);
  return {};
}

}  // namespace

Value to_value(const json::Value& value) {
  if (const bool* flag = value.as<bool>()) return *flag;
  if (const double* number = value.as<double>()) {
    const bool exact = value.whole && std::fabs(*number) <= 9007199254740992.0;  // 2^53
    return exact ? Value(static_cast<std::int64_t>(*number)) : Value(*number);
  }
  if (const std::string* text = value.as<std::string>()) return foreign(*text);
  if (const auto* items = value.as<std::vector<json::Value>>()) {
    List list;
    for (const json::Value& item : *items) {
      list.items.push_back(to_value(item));
      list.depth = std::max(list.depth, list.items.back().depth() + 1);
    }
    return list;
  }
  if (const auto* members = value.as<std::vector<json::Member>>()) {
    Dict dict;
    for (const json::Member& member : *members) dict.set(foreign(member.key), to_value(member.value));
    return dict;
  }
  return jinja::None{};
}

Result<json::Value> parse_argument(std::string_view text, const char* what, bool object) {
  auto parsed = json::parse(text);
  if (!parsed) return invalid_argument(std::string("chat: ") + what + " are " + parsed.failure().message);
  const bool fits =
      object ? parsed->as<std::vector<json::Member>>() != nullptr : parsed->as<std::vector<json::Value>>() != nullptr;
  if (!fits)
    return invalid_argument(std::string("chat: ") + what + " should be a JSON " + (object ? "object" : "list"));
  return parsed;
}

Result<Value> message_values(std::span<const ChatMessage> messages, const ContentStyle& style) {
  List list;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    if (message.role.empty()) return invalid_argument("chat: " + place(i) + " has no role");
    if (!utf8::is_valid(message.content) || !utf8::is_valid(message.role))
      return invalid_argument("chat: " + place(i) + " is not UTF-8");
    Dict dict;
    dict.set(Text("role"), role_text(message.role));
    if (!message.no_content || style.null != ContentStyle::Null::kMissing)
      dict.set(Text("content"), content_of(message, style));
    if (auto done = add_fields(message.fields, place(i), dict); !done) return done.take_failure();
    list.depth = std::max(list.depth, dict.depth + 1);
    list.items.emplace_back(std::move(dict));
  }
  return Value(std::move(list));
}

}  // namespace elrt
