// Messages as JSON, in the form that chat servers take.
#include "base/guarded.hpp"
#include "base/json_text.hpp"
#include "elrt/chat.hpp"

namespace elrt {
namespace {

std::string json_of(const json::Value& value) {
  if (const bool* flag = value.as<bool>()) return *flag ? "true" : "false";
  if (const double* number = value.as<double>()) {
    char text[64];
    std::snprintf(text, sizeof(text), value.whole ? "%.0f" : "%.17g", *number);
    const bool plain = std::string(text).find_first_of(".en") == std::string::npos;
    return !value.whole && plain ? std::string(text) + ".0" : text;
  }
  if (const std::string* text = value.as<std::string>()) return json::quoted(*text);
  std::string out;
  if (const auto* items = value.as<std::vector<json::Value>>()) {
    for (const json::Value& item : *items) out += (out.empty() ? "" : ", ") + json_of(item);
    return "[" + out + "]";
  }
  if (const auto* members = value.as<std::vector<json::Member>>()) {
    for (const json::Member& member : *members)
      out += (out.empty() ? "" : ", ") + json::quoted(member.key) + ": " + json_of(member.value);
    return "{" + out + "}";
  }
  return "null";
}

// A string, null, or a list of text parts.
Result<void> read_content(const json::Value& value, const std::string& place, ChatMessage& message) {
  if (const std::string* text = value.as<std::string>()) {
    message.content = *text;
    return {};
  }
  if (value.as<std::nullptr_t>() != nullptr) {
    message.no_content = true;
    return {};
  }
  const auto* parts = value.as<std::vector<json::Value>>();
  if (parts == nullptr)
    return invalid_argument("chat: the content of " + place + " should be text, text parts or null");
  for (const json::Value& part : *parts) {
    const json::Value *type = part.find("type"), *text = part.find("text");
    const std::string* kind = type == nullptr ? nullptr : type->as<std::string>();
    if (kind == nullptr) return invalid_argument("chat: a part of the content of " + place + " has no type");
    if (*kind != "text")
      return invalid_argument("chat: " + place + " has a part of type " + *kind + "; only text can be read");
    if (text == nullptr || text->as<std::string>() == nullptr)
      return invalid_argument("chat: a text part of " + place + " has no text");
    message.content += *text->as<std::string>();
  }
  return {};
}

Result<ChatMessage> read_message(const json::Value& value, const std::string& place) {
  const auto* members = value.as<std::vector<json::Member>>();
  if (members == nullptr) return invalid_argument("chat: " + place + " should be a JSON object");
  ChatMessage message;
  message.no_content = value.find("content") == nullptr;
  std::string fields;
  for (const json::Member& member : *members) {
    if (member.key == "role") {
      const std::string* role = member.value.as<std::string>();
      if (role == nullptr) return invalid_argument("chat: the role of " + place + " should be text");
      message.role = *role;
    } else if (member.key == "content") {
      if (auto done = read_content(member.value, place, message); !done) return done.take_failure();
    } else {
      fields += (fields.empty() ? "" : ", ") + json::quoted(member.key) + ": " + json_of(member.value);
    }
  }
  if (message.role.empty()) return invalid_argument("chat: " + place + " has no role");
  if (!fields.empty()) message.fields = "{" + fields + "}";
  return message;
}

}  // namespace

Result<std::vector<ChatMessage>> parse_chat_messages(std::string_view text) {
  return guarded("read the messages", [&]() -> Result<std::vector<ChatMessage>> {
    auto parsed = json::parse(text);
    if (!parsed) return invalid_argument("chat: the messages are " + parsed.failure().message);
    const auto* items = parsed->as<std::vector<json::Value>>();
    if (items == nullptr) return invalid_argument("chat: the messages should be a JSON list");
    std::vector<ChatMessage> messages;
    for (const json::Value& item : *items) {
      auto message = read_message(item, "message " + std::to_string(messages.size() + 1));
      if (!message) return message.take_failure();
      messages.push_back(std::move(message).value());
    }
    return messages;
  });
}

std::string chat_messages_json(std::span<const ChatMessage> messages) {
  std::string out;
  for (const ChatMessage& message : messages) {
    out += out.empty() ? "[" : ",\n ";
    out += "{\"role\": " + json::quoted(message.role) +
           ", \"content\": " + (message.no_content ? std::string("null") : json::quoted(message.content));
    if (message.fields.size() > 2) out += ", " + message.fields.substr(1, message.fields.size() - 2);
    out += "}";
  }
  return out.empty() ? "[]" : out + "]";
}

}  // namespace elrt
