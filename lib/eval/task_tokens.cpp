#include "eval/task_tokens.h"

#include <elrt/generator.hpp>

#include <algorithm>

#include "base/error.h"
#include "base/runtime_result.h"

namespace elastify {
namespace {

using Ids = std::vector<std::int32_t>;

// Drops `count` ids from the front, after the beginning-of-text token.
void drop_front(Ids& ids, std::size_t count, std::int32_t bos) {
  const auto begin = ids.begin() + (!ids.empty() && ids.front() == bos && bos >= 0 ? 1 : 0);
  ids.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
}

ScoredTokens tokenize_option(const elrt::Tokenizer& tokenizer, const std::string& examples, const EvalItem& item,
                             std::size_t option) {
  const OptionText text = option_text(item, option);
  const Ids prompt = take(elrt::prompt_tokens(tokenizer, examples + text.prompt));
  ScoredTokens scored{take(elrt::prompt_tokens(tokenizer, examples + text.prompt + text.text)), 1};
  const auto common = static_cast<std::size_t>(
      std::mismatch(prompt.begin(), prompt.end(), scored.ids.begin(), scored.ids.end()).first - prompt.begin());
  scored.from = std::max<std::size_t>(1, common);
  if (scored.from >= scored.ids.size()) {
    fail_data("{}: option {} adds no token to its prompt with this tokenizer: \"{}\"", item.task.id, option,
              item.task.options[option]);
  }
  return scored;
}

std::size_t excess(std::size_t size, std::size_t limit) { return size > limit ? size - limit : 0; }

}  // namespace

TaskTokens tokenize_task(const elrt::Tokenizer& tokenizer, const std::string& examples, const EvalItem& item,
                         std::size_t context_tokens) {
  TaskTokens tokens;
  std::size_t longest = 0, longest_option = 0, shortest_prompt = SIZE_MAX;
  for (std::size_t i = 0; i < item.task.options.size(); ++i) {
    tokens.options.push_back(tokenize_option(tokenizer, examples, item, i));
    const auto& [ids, from] = tokens.options.back();
    longest = std::max(longest, ids.size());
    longest_option = std::max(longest_option, ids.size() - from);
    shortest_prompt = std::min(shortest_prompt, from);
  }
  const std::size_t cut = excess(longest, context_tokens);
  if (cut >= shortest_prompt) return {{}, {}, 0, false, false};
  tokens.shortened = cut > 0;
  for (auto& option : tokens.options) {
    drop_front(option.ids, cut, tokenizer.bos_id());
    option.from -= cut;
  }
  if (!item.leads.empty()) return tokens;
  tokens.prompt = take(elrt::prompt_tokens(tokenizer, examples + option_text(item, 0).prompt));
  tokens.answer_room = std::min(longest_option + kSpareTokens, context_tokens - 1);
  const std::size_t prompt_cut = excess(tokens.prompt.size(), context_tokens - tokens.answer_room);
  drop_front(tokens.prompt, std::min(prompt_cut, tokens.prompt.size() - 1), tokenizer.bos_id());
  return tokens;
}

}  // namespace elastify
