// Typed reading of a foreign file's keys. What is missing is the caller's to decide; what has the wrong type is an
// error.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gguf/gguf_file.h"

namespace elastify {

// Every getter throws Error(kBadData) that names the file, the key, what was expected and what was found. Remembers
// which keys were asked for. The file must outlive the reader.
class GgufKeys {
 public:
  explicit GgufKeys(const GgufFile& file) : metadata_(file.metadata), source_(file.path.string()) {}

  const std::string& source() const { return source_; }
  bool has(const std::string& key) const;
  std::optional<std::int64_t> integer(const std::string& key) const;  // of any integer type
  // Float32 is read as the shortest decimal that rounds to it: what the model's author wrote (1e-05, not
  // 9.9999997e-06).
  std::optional<double> number(const std::string& key) const;
  std::optional<bool> flag(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;
  // One number for every layer, or a list of `layers` of them. Negative ones are refused.
  std::optional<std::vector<std::int64_t>> per_layer(const std::string& key, std::int64_t layers) const;
  // nullptr: missing.
  const std::vector<std::string>* texts(const std::string& key) const;
  const std::vector<float>* floats(const std::string& key) const;
  std::optional<std::vector<std::int64_t>> integers(const std::string& key) const;  // a list; bool: 0, 1

  std::int64_t need_integer(const std::string& key) const;
  // Keys that begin with `prefix` and that nobody asked for.
  std::vector<std::string> unread(const std::string& prefix) const;

 private:
  const elrt::gguf::Value* find(const std::string& key) const;
  [[noreturn]] void wrong_type(const std::string& key, const char* expected) const;

  const elrt::gguf::Metadata& metadata_;
  std::string source_;
  mutable std::set<std::string> asked_;
};

}  // namespace elastify
