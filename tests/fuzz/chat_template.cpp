// A hostile chat template, and hostile messages for it.
//
// INPUT. Two bytes, little endian: the length of the messages, JSON, which follow; the rest is the template.
#include "base/utf8.hpp"
#include "chat/chat_values.hpp"
#include "fuzz/memory_file.h"
#include "jinja/parser.hpp"
#include "jinja/render.hpp"

using elastify_fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t length = std::min<std::size_t>(bytes[0] | bytes[1] << 8, size - 2);
  const auto* text = reinterpret_cast<const char*>(bytes) + 2;
  const std::string source = elrt::utf8::replace_invalid(std::string_view(text + length, size - 2 - length));
  const auto messages = elrt::parse_chat_messages(std::string_view(text, length));
  if (!messages) require(!messages.failure().message.empty());
  try {
    const elrt::jinja::Block block = elrt::jinja::parse(source);
    if (!messages) return 0;
    auto values = elrt::message_values(messages.value(), {});
    if (!values) return 0;
    const elrt::jinja::Variables variables = {{"messages", std::move(values).value()},
                                              {"add_generation_prompt", true},
                                              {"tools", elrt::jinja::None{}},
                                              {"bos_token", elrt::jinja::Text("<s>")}};
    const elrt::jinja::Text made = elrt::jinja::render(block, variables, std::tm{});
    require(made.marks.size() == made.bytes.size());
  } catch (const elrt::jinja::Refusal& refusal) {
    require(!refusal.message.empty());
  }
  return 0;
}
