#include "tasks/draft.h"

#include <algorithm>
#include <numeric>

#include "data/words.h"
#include "tasks/text_template.h"

namespace elastify {

Draft::Draft(const TaskBank& bank, const Family& family, Split split, Draws& draws, std::size_t max_wordings)
    : bank_(bank),
      family_(family),
      split_(split),
      draws_(draws),
      max_wordings_(max_wordings),
      values_(bank.pools.size()),
      used_statements_(family.relations.size()) {}

std::string Draft::expand(int pool) {
  const TextTemplate& value = draws_.pick(bank_.pools[static_cast<std::size_t>(pool)].values[split_]);
  return fill_template(value, [this](int inner) { return expand(inner); });
}

bool Draft::clashes(int pool, const std::string& value) const {
  const auto& held = values(pool);
  return std::any_of(held.begin(), held.end(),
                     [&](const std::string& other) { return holds_words(value, other) || holds_words(other, value); });
}

std::string Draft::draw_value(int pool) {
  constexpr int kTries = 24;
  for (int i = 0; i < kTries; ++i) {
    std::string value = expand(pool);
    if (clashes(pool, value)) continue;
    values_[static_cast<std::size_t>(pool)].push_back(value);
    return value;
  }
  return values(pool).empty() ? expand(pool) : draws_.pick(values(pool));
}

std::string Draft::repeat_value(int pool) {
  return values(pool).empty() ? draw_value(pool) : draws_.pick(values(pool));
}

void Draft::add_fact(std::size_t relation, std::vector<std::string> values) {
  const Relation& kind = family_.relations[relation];
  values.resize(kind.slots.size());
  for (std::size_t slot = 0; slot < values.size(); ++slot) {
    if (values[slot].empty()) values[slot] = draw_value(kind.slots[slot].pool);
  }
  const auto& statements = kind.statements[split_];
  auto& used = used_statements_[relation];
  std::size_t wording = draw_wording(statements.size());
  for (int i = 0; i < 3 && std::find(used.begin(), used.end(), wording) != used.end(); ++i)
    wording = draw_wording(statements.size());
  used.push_back(wording);
  std::string sentence = with_capital(
      fill_template(statements[wording], [&](int slot) { return values[static_cast<std::size_t>(slot)]; }));
  facts_.push_back({relation, std::move(values), std::move(sentence)});
}

void Draft::set_opening() {
  opening_ =
      with_capital(fill_template(draws_.pick(family_.openings[split_]), [this](int pool) { return draw_value(pool); }));
}

void Draft::add_filler(std::size_t count, std::vector<std::size_t> wanted) {
  const auto& templates = family_.filler[split_];
  std::vector<std::size_t> order(templates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  draws_.shuffle(order);
  const auto useful = [&](std::size_t index) {
    return std::any_of(templates[index].pieces.begin(), templates[index].pieces.end(), [&](const auto& piece) {
      return piece.slot != TextTemplate::kLiteral && wanted[static_cast<std::size_t>(piece.slot)] > 0;
    });
  };
  for (std::size_t n = 0; n < count && !order.empty(); ++n) {
    auto next = std::find_if(order.begin(), order.end(), useful);
    if (next == order.end()) next = order.begin();
    std::vector<std::string> own;  // a sentence does not name a value twice
    const auto value_of = [&](int pool) {
      constexpr std::size_t kRepeated = 60;
      auto& want = wanted[static_cast<std::size_t>(pool)];
      std::string value;
      if (want > 0) {
        --want;
        value = draw_value(pool);
      } else {
        value = draws_.percent(kRepeated) ? repeat_value(pool) : draw_value(pool);
      }
      if (std::find(own.begin(), own.end(), value) != own.end()) value = draw_value(pool);
      own.push_back(value);
      return value;
    };
    filler_.push_back(with_capital(fill_template(templates[*next], value_of)));
    order.erase(next);
  }
}

std::vector<std::size_t> Draft::facts_with(std::size_t relation, const std::vector<int>& slots,
                                           const std::vector<std::string>& values) const {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < facts_.size(); ++i) {
    bool same = facts_[i].relation == relation;
    for (std::size_t k = 0; same && k < slots.size(); ++k)
      same = facts_[i].values[static_cast<std::size_t>(slots[k])] == values[k];
    if (same) found.push_back(i);
  }
  return found;
}

std::string Draft::arrange(std::vector<ByteSpan>& spans) {
  std::vector<std::size_t> order(facts_.size() + filler_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  draws_.shuffle(order);
  spans.assign(facts_.size(), {});
  std::string text = opening_;
  for (const std::size_t index : order) {
    text += text.empty() ? "" : family_.lines ? "\n- " : " ";
    const bool fact = index < facts_.size();
    const std::size_t begin = text.size();
    text += fact ? facts_[index].sentence : filler_[index - facts_.size()];
    if (fact) spans[index] = {begin, text.size()};
  }
  return text;
}

}  // namespace elastify
