#include "eval/context_mode.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"

namespace elastify {
namespace {

struct Word {
  std::string_view text;
  bool new_line = false;  // a line break stands before it
};

std::vector<Word> split_words(std::string_view text) {
  std::vector<Word> words;
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = std::min(text.find_first_not_of(" \t\r\n", at), text.size());
    const auto end = std::min(text.find_first_of(" \t\r\n", begin), text.size());
    if (end > begin)
      words.push_back(
          {text.substr(begin, end - begin), text.substr(at, begin - at).find('\n') != std::string_view::npos});
    at = end;
  }
  return words;
}

// Another context of the family, every one with equal chance. `contexts` are different from each other.
const std::string& other_context(const std::vector<std::string>& contexts, const EvalItem& item, std::uint64_t seed) {
  const auto own = std::find(contexts.begin(), contexts.end(), item.task.context) - contexts.begin();
  const auto step = 1 + derive_seed(seed, "shuffled " + item.task.id) % (contexts.size() - 1);
  return contexts[(static_cast<std::size_t>(own) + step) % contexts.size()];
}

void shuffle_contexts(std::vector<EvalItem>& items, std::uint64_t seed) {
  std::map<std::string, std::vector<std::string>> contexts;
  for (const auto& item : items) {
    if (!item.task.context.empty()) contexts[item.task.family].push_back(item.task.context);
  }
  for (auto& [family, texts] : contexts) {
    std::sort(texts.begin(), texts.end());
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
    if (texts.size() < 2)
      fail_usage("--context shuffled: all items of {} have the same context; expected at least two different ones",
                 family);
  }
  for (auto& item : items) {
    if (!item.task.context.empty()) item.task.context = other_context(contexts.at(item.task.family), item, seed);
  }
}

void warn_of_bare_families(const std::vector<EvalItem>& items, ContextMode mode) {
  std::map<std::string, bool> has_context;
  for (const auto& item : items) has_context[item.task.family] |= !item.task.context.empty();
  for (const auto& [family, has] : has_context) {
    if (!has)
      spdlog::warn("--context {} changes nothing for {}: its items have no context",
                   kContextModes[static_cast<std::size_t>(mode)], family);
  }
}

}  // namespace

ContextMode context_mode(const std::string& name) {
  const auto found = std::find(kContextModes.begin(), kContextModes.end(), name);
  if (found == kContextModes.end()) fail_usage("context '{}' is unknown: use full, none, shuffled or half", name);
  return static_cast<ContextMode>(found - kContextModes.begin());
}

std::string half_of_words(std::string_view text, std::uint64_t seed) {
  const auto words = split_words(text);
  std::vector<std::size_t> order(words.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937_64 random(seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  order.resize(words.size() / 2);
  std::sort(order.begin(), order.end());
  std::string kept;
  std::size_t last = 0;  // words before this one have been looked at
  for (const std::size_t index : order) {
    const bool new_line = std::any_of(words.begin() + static_cast<std::ptrdiff_t>(last),
                                      words.begin() + static_cast<std::ptrdiff_t>(index + 1),
                                      [](const Word& word) { return word.new_line; });
    if (!kept.empty()) kept += new_line ? '\n' : ' ';
    kept += words[index].text;
    last = index + 1;
  }
  return kept;
}

std::vector<EvalItem> with_contexts(std::vector<EvalItem> items, ContextMode mode, std::uint64_t seed) {
  if (mode == ContextMode::kFull) return items;
  if (std::none_of(items.begin(), items.end(), [](const EvalItem& item) { return !item.task.context.empty(); })) {
    fail_usage("--context {}: no item has a context, so that there is nothing to change",
               kContextModes[static_cast<std::size_t>(mode)]);
  }
  warn_of_bare_families(items, mode);
  if (mode == ContextMode::kShuffled) shuffle_contexts(items, seed);
  for (auto& item : items) {
    if (mode == ContextMode::kNone) item.task.context.clear();
    if (mode == ContextMode::kHalf)
      item.task.context = half_of_words(item.task.context, derive_seed(seed, "half " + item.task.id));
  }
  return items;
}

}  // namespace elastify
