// Messages, tools and variables as the values that a template reads.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/json_text.hpp"
#include "elrt/chat.hpp"
#include "jinja/value.hpp"

namespace elrt {

// How a template wants messages; found out by trying (chat_template.cpp).
struct ContentStyle {
  enum class Null { kMissing, kNone, kEmpty };  // a message without content: no such key, None, or an empty string
  bool parts = false;                           // a list of {"type": "text", "text": ...}, not one string
  Null null = Null::kMissing;
};

// Strings are marked as strangers'.
jinja::Value to_value(const json::Value& value);
// kInvalidArgument where `text` is not what `what` should be.
Result<json::Value> parse_argument(std::string_view text, const char* what, bool object);

Result<jinja::Value> message_values(std::span<const ChatMessage> messages, const ContentStyle& style);

}  // namespace elrt
