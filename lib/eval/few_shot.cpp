#include "eval/few_shot.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"

namespace elastify {
namespace {

bool may_show(const EvalItem& example, const EvalItem& item) {
  const TaskItem &a = example.task, &b = item.task;
  if (!item.leads.empty()) return example.leads != item.leads;
  return a.id != b.id && a.question != b.question && (b.context.empty() || a.context != b.context);
}

}  // namespace

FewShot::FewShot(const std::vector<EvalItem>& items, std::size_t count, std::uint64_t seed) : count_(count) {
  if (count == 0) return;
  for (const auto& item : items) families_[item.task.family].push_back(&item);
  for (auto& [family, members] : families_) {
    std::stable_sort(members.begin(), members.end(), [&](const EvalItem* a, const EvalItem* b) {
      return derive_seed(seed, "few-shot " + a->task.id) < derive_seed(seed, "few-shot " + b->task.id);
    });
  }
}

std::string FewShot::examples_for(const EvalItem& item) const {
  if (count_ == 0) return "";
  std::string text;
  std::size_t shown = 0;
  for (const EvalItem* example : families_.at(item.task.family)) {
    if (!may_show(*example, item)) continue;
    const OptionText solved = option_text(*example, example->task.answer);
    text += solved.prompt + solved.text + "\n\n";
    if (++shown == count_) return text;
  }
  fail_usage("--few-shot {}: {} has only {} other questions over other contexts to show with {}", count_,
             item.task.family, shown, item.task.id);
}

}  // namespace elastify
