#include "export/hf_tokenizer.h"

#include "base/error.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/json_writer.h"

namespace elastify {
namespace {

constexpr const char* kFiles[] = {"tokenizer.json",     "tokenizer.model",         "tokenizer_config.json",
                                  "added_tokens.json",  "special_tokens_map.json", "generation_config.json",
                                  "chat_template.jinja"};

bool known_to_transformers(const fs::path& folder) {
  return !folder.empty() && (fs::exists(folder / "tokenizer.json") || fs::exists(folder / "tokenizer.model"));
}

}  // namespace

void write_hf_tokenizer(const LevelFacts& facts, const fs::path& folder, ExportNotes& notes) {
  if (known_to_transformers(facts.tokenizer_files)) {
    for (const char* name : kFiles) {
      if (fs::is_regular_file(facts.tokenizer_files / name)) fs::copy_file(facts.tokenizer_files / name, folder / name);
    }
  } else {
    write_file(folder / "tokenizer.json", tokenizer_to_json(facts.tokenizer).dump(1) + "\n");
    write_json(folder / "tokenizer_config.json", tokenizer_config_to_json(facts.tokenizer));
    notes.emplace_back("tokenizer.json was made from what the source holds; its owner's own files are not there");
  }
  if (!facts.chat_template.empty() && read_chat_template(folder).empty())
    write_file(folder / "chat_template.jinja", facts.chat_template);
}

}  // namespace elastify
