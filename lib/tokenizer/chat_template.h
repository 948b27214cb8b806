// The template that turns a conversation into text, next to a tokenizer.
#pragma once

#include <filesystem>
#include <string>

namespace elastify {

// The text of `folder`'s chat template: chat_template.jinja, else chat_template of tokenizer_config.json; of several
// named ones the default. Of a model in GGUF, that of the file. Empty: none. Throws Error(kBadData) where it is no
// text.
std::string read_chat_template(const std::filesystem::path& folder);

}  // namespace elastify
