#include "tokenizer/import.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "tokenizer/added.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/gguf.h"
#include "tokenizer/json.h"
#include "tokenizer/llama2c.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer/special.h"

namespace elastify {
namespace {

namespace fs = std::filesystem;

bool is_llama2c_name(const fs::path& path) {
  return path.filename().string().starts_with("tok") && path.extension() == ".bin";
}

fs::path find_in_directory(const fs::path& directory) {
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tokenizer.bin", kTokenizerGguf}) {
    if (fs::is_regular_file(directory / name)) return directory / name;
  }
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (entry.is_regular_file() && is_llama2c_name(entry.path())) found.push_back(entry.path());
  }
  if (found.empty()) {
    fail_data("tokenizer: {} has none; expected tokenizer.json, tokenizer.model, tokenizer.bin or tok*.bin",
              directory.string());
  }
  if (found.size() > 1) {
    std::sort(found.begin(), found.end());
    fail_data("tokenizer: {} has several tok*.bin ({}, {}, ...); name one", directory.string(),
              found[0].filename().string(), found[1].filename().string());
  }
  return found[0];
}

fs::path find_file(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return find_in_directory(path);
  if (!fs::is_regular_file(path, error)) fail_data("tokenizer: {} is neither a file nor a directory", path.string());
  if (is_gguf(path)) return path;
  const bool known = path.extension() == ".json" || path.extension() == ".model" || is_llama2c_name(path);
  return known ? path : find_in_directory(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

elrt::TokenizerSpec read(const fs::path& file, std::int64_t vocab_size) {
  if (is_gguf(file)) return read_tokenizer_gguf(file);
  const bool is_json = file.extension() == ".json", is_model = file.extension() == ".model";
  if (!is_json && !is_model) return read_tokenizer_llama2c(file, vocab_size);  // without sidecars
  elrt::TokenizerSpec spec = is_json ? read_tokenizer_json(file) : read_tokenizer_sentencepiece(file);
  read_added_tokens(file.parent_path(), vocab_size, spec);
  read_special_tokens(file.parent_path(), spec);
  return spec;
}

}  // namespace

elrt::TokenizerSpec import_tokenizer(const fs::path& path, std::int64_t vocab_size, const fs::path& checkpoint) {
  const fs::path file = find_file(path);
  elrt::TokenizerSpec spec = read(file, vocab_size);
  if (!checkpoint.empty() && !is_gguf(checkpoint)) read_text_ends(checkpoint, spec);
  spec.chat_template = read_chat_template(is_gguf(file) ? file : file.parent_path());
  if (spec.chat_template.empty() && !checkpoint.empty()) spec.chat_template = read_chat_template(checkpoint);
  if (vocab_size > 0 && static_cast<std::int64_t>(spec.tokens.size()) > vocab_size) {
    fail_data("tokenizer: {} has {} tokens, but the model has only {}", file.string(), spec.tokens.size(), vocab_size);
  }
  const elrt::Result<elrt::Tokenizer> tokenizer = elrt::Tokenizer::create(spec);
  if (!tokenizer) fail_data("tokenizer: {}: {}", file.string(), tokenizer.failure().message);
  return spec;
}

}  // namespace elastify
