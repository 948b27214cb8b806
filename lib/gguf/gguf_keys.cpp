#include "gguf/gguf_keys.h"

#include <cstdlib>

#include "base/error.h"

namespace elastify {

using elrt::gguf::Value;

const Value* GgufKeys::find(const std::string& key) const {
  asked_.insert(key);
  const auto found = metadata_.find(key);
  return found == metadata_.end() ? nullptr : &found->second;
}

void GgufKeys::wrong_type(const std::string& key, const char* expected) const {
  fail_data("{}: key {} is not {}", source_, key, expected);
}

bool GgufKeys::has(const std::string& key) const { return find(key) != nullptr; }

std::optional<std::int64_t> GgufKeys::integer(const std::string& key) const {
  if (find(key) == nullptr) return std::nullopt;
  const auto found = elrt::gguf::find_integer(metadata_, key);
  if (!found) wrong_type(key, "a whole number");
  return found;
}

std::optional<double> GgufKeys::number(const std::string& key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* found = std::get_if<float>(value)) return std::strtod(fmt::format("{}", *found).c_str(), nullptr);
  if (const auto* found = std::get_if<double>(value)) return *found;
  const auto found = elrt::gguf::find_integer(metadata_, key);
  if (!found) wrong_type(key, "a number");
  return static_cast<double>(*found);
}

std::optional<bool> GgufKeys::flag(const std::string& key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto* found = std::get_if<bool>(value);
  if (found == nullptr) wrong_type(key, "true or false");
  return *found;
}

std::optional<std::string> GgufKeys::text(const std::string& key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto* found = std::get_if<std::string>(value);
  if (found == nullptr) wrong_type(key, "a string");
  return *found;
}

const std::vector<std::string>* GgufKeys::texts(const std::string& key) const {
  const Value* value = find(key);
  if (value == nullptr) return nullptr;
  const auto* found = std::get_if<std::vector<std::string>>(value);
  if (found == nullptr) wrong_type(key, "a list of strings");
  return found;
}

const std::vector<float>* GgufKeys::floats(const std::string& key) const {
  const Value* value = find(key);
  if (value == nullptr) return nullptr;
  const auto* found = std::get_if<std::vector<float>>(value);
  if (found == nullptr) wrong_type(key, "a list of float32");
  return found;
}

std::optional<std::vector<std::int64_t>> GgufKeys::integers(const std::string& key) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto widen = [&](const auto* list) -> std::optional<std::vector<std::int64_t>> {
    if (list == nullptr) return std::nullopt;
    return std::vector<std::int64_t>(list->begin(), list->end());
  };
  if (auto found = widen(std::get_if<std::vector<std::uint32_t>>(value))) return found;
  if (auto found = widen(std::get_if<std::vector<std::int32_t>>(value))) return found;
  if (auto found = widen(std::get_if<std::vector<std::uint64_t>>(value))) return found;
  if (auto found = widen(std::get_if<std::vector<std::int64_t>>(value))) return found;
  if (auto found = widen(std::get_if<std::vector<std::uint16_t>>(value))) return found;
  if (auto found = widen(std::get_if<std::vector<std::uint8_t>>(value))) return found;
  if (auto found = widen(std::get_if<std::vector<bool>>(value))) return found;
  wrong_type(key, "a list of whole numbers");
}

std::optional<std::vector<std::int64_t>> GgufKeys::per_layer(const std::string& key, std::int64_t layers) const {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  std::vector<std::int64_t> all;
  if (const auto one = elrt::gguf::find_integer(metadata_, key)) {
    all.assign(static_cast<std::size_t>(layers), *one);
  } else {
    all = *integers(key);
  }
  if (static_cast<std::int64_t>(all.size()) != layers) {
    fail_data("{}: key {} has {} entries: expected one number, or one for each of the {} layers", source_, key,
              all.size(), layers);
  }
  for (std::size_t layer = 0; layer < all.size(); ++layer) {
    if (all[layer] < 0) fail_data("{}: key {} is {} for layer {}", source_, key, all[layer], layer);
  }
  return all;
}

std::int64_t GgufKeys::need_integer(const std::string& key) const {
  const auto found = integer(key);
  if (!found) fail_data("{}: key {} is missing", source_, key);
  return *found;
}

std::vector<std::string> GgufKeys::unread(const std::string& prefix) const {
  std::vector<std::string> names;
  for (auto at = metadata_.lower_bound(prefix); at != metadata_.end() && at->first.starts_with(prefix); ++at) {
    if (!asked_.contains(at->first)) names.push_back(at->first);
  }
  return names;
}

}  // namespace elastify
