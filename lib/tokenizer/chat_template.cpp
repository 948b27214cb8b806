#include "tokenizer/chat_template.h"

#include "gguf/gguf_file.h"
#include "tokenizer/gguf.h"
#include "tokenizer/import.h"
#include "tokenizer/sidecar.h"

namespace elastify {

std::string read_chat_template(const fs::path& folder) {
  if (is_gguf(folder)) return read_chat_template_gguf(folder);
  if (fs::is_regular_file(folder / "chat_template.jinja")) return read_file(folder / "chat_template.jinja");
  if (is_gguf(folder / kTokenizerGguf)) return read_chat_template_gguf(folder / kTokenizerGguf);
  const nlohmann::json config = read_sidecar(folder / "tokenizer_config.json");
  if (!config.contains("chat_template")) return "";
  const nlohmann::json& found = config["chat_template"];
  return found.is_string() ? found.get<std::string>() : found.is_null() ? "" : found.dump();
}

}  // namespace elastify
