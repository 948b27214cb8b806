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
  if (found.is_null()) return "";
  if (found.is_string()) return found.get<std::string>();
  for (const nlohmann::json& named : found.is_array() ? found : nlohmann::json::array()) {
    const bool whole = named.is_object() && named.contains("template") && named["template"].is_string();
    if (whole && named.value("name", nlohmann::json()) == "default") return named["template"].get<std::string>();
  }
  fail_data("tokenizer: {}: chat_template should be a template, or a list of named ones with one named \"default\"",
            (folder / "tokenizer_config.json").string());
}

}  // namespace elastify
