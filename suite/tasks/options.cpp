#include "tasks/options.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

#include "data/words.h"
#include "tasks/text_template.h"

namespace elastify {
namespace {

using Tuple = std::vector<std::string>;  // one value per answer slot

constexpr const char* kBehindLink = ": ";

bool holds(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool repeats_itself(const Tuple& tuple) {
  return std::set<std::string>(tuple.begin(), tuple.end()).size() != tuple.size();
}

// Asks lend each other answers only where their questions read the same: else the question's words alone would tell
// which answers belong to it.
bool lends(const Ask& a, const Ask& b, Split split) {
  const auto &x = a.questions[split], &y = b.questions[split];
  return a.kind == b.kind && std::equal(x.begin(), x.end(), y.begin(), y.end(),
                                        [](const auto& p, const auto& q) { return p.source == q.source; });
}

const Ask* lending_ask(const Draft& draft, const DraftFact& fact, const Ask& to) {
  const auto& asks = draft.relation_of(fact).asks;
  const auto found =
      std::find_if(asks.begin(), asks.end(), [&](const Ask& ask) { return lends(ask, to, draft.split()); });
  return found == asks.end() ? nullptr : &*found;
}

Tuple right_tuple(const DraftFact& fact, const Ask& ask) {
  Tuple tuple;
  for (const int slot : ask.answer_slots) tuple.push_back(fact.values[static_cast<std::size_t>(slot)]);
  return tuple;
}

// Wrong tuples that share no value with the right one where a slot has others: first those of other facts of the
// relation, whole, so that they too stand in one sentence; then values put together. Each value stands in one tuple.
std::vector<Tuple> rival_tuples(const Draft& draft, const Question& question, const Tuple& right) {
  const Ask& ask = ask_of(draft, question);
  const DraftFact& asked = draft.facts()[question.fact];
  std::vector<std::vector<std::string>> rivals;
  std::size_t most = 0;
  for (const int slot : ask.answer_slots) {
    rivals.push_back(rival_values(draft, question, slot));
    most = std::max(most, rivals.back().size());
  }
  std::vector<Tuple> tuples;
  const auto take = [&](const Tuple& tuple) {
    for (std::size_t k = 0; k < tuple.size(); ++k) {
      if (tuple[k] != right[k]) std::erase(rivals[k], tuple[k]);
    }
    if (!repeats_itself(tuple)) tuples.push_back(tuple);
  };
  std::vector<std::size_t> order(draft.facts().size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  draft.draws().shuffle(order);
  for (const std::size_t index : order) {
    if (index == question.fact || draft.facts()[index].relation != asked.relation) continue;
    const Tuple tuple = right_tuple(draft.facts()[index], ask);
    bool free = true;
    for (std::size_t k = 0; k < tuple.size(); ++k) free = free && holds(rivals[k], tuple[k]);
    if (free && tuples.size() + 1 < kOptions) take(tuple);
  }
  for (std::size_t i = 0; i < most && tuples.size() + 1 < kOptions; ++i) {
    Tuple tuple = right;
    bool whole = true;  // a slot that has run out, but had rivals, would repeat the right value
    for (std::size_t k = 0; k < tuple.size(); ++k) {
      if (!rivals[k].empty())
        tuple[k] = rivals[k].front();
      else
        whole = whole && rival_values(draft, question, ask.answer_slots[k]).empty();
    }
    if (!whole || tuple == right) break;
    take(tuple);
  }
  return tuples;
}

// The four combinations of the right tuple with `other` in two slots in which they differ, the right one first; nothing
// where there are no such slots.
std::vector<Tuple> grid(Draws& draws, const Tuple& right, const Tuple& other) {
  std::vector<std::size_t> open;
  for (std::size_t k = 0; k < right.size(); ++k) {
    if (right[k] != other[k]) open.push_back(k);
  }
  if (open.size() < 2) return {};
  draws.shuffle(open);
  std::vector<Tuple> tuples(kOptions, right);
  for (std::size_t i = 0; i < kOptions; ++i) {
    for (std::size_t side = 0; side < 2; ++side) {
      if (((i >> side) & 1) != 0) tuples[i][open[side]] = other[open[side]];
    }
  }
  draws.shuffle(tuples);
  std::swap(*std::find(tuples.begin(), tuples.end(), right), tuples.front());
  return std::any_of(tuples.begin(), tuples.end(), repeats_itself) ? std::vector<Tuple>{} : tuples;
}

// Facts of the asked one's relation whose link and answer could stand in wrong options: no value of theirs is right or
// stands in the question.
std::vector<std::size_t> link_rivals(const Draft& draft, const Question& question) {
  const DraftFact& asked = draft.facts()[question.fact];
  std::vector<int> slots = ask_of(draft, question).answer_slots;
  slots.push_back(question.hop->slot);
  std::vector<std::size_t> rivals;
  for (std::size_t i = 0; i < draft.facts().size(); ++i) {
    const DraftFact& other = draft.facts()[i];
    const bool good = other.relation == asked.relation && std::all_of(slots.begin(), slots.end(), [&](int slot) {
                        const std::string& value = other.values[static_cast<std::size_t>(slot)];
                        return !holds(asked.values, value) && !holds_words(question.text, value);
                      });
    if (good) rivals.push_back(i);
  }
  return rivals;
}

// Can a question name `value` through a fact?
bool is_link(const Draft& draft, const std::string& value) {
  return std::any_of(draft.facts().begin(), draft.facts().end(), [&](const DraftFact& fact) {
    const auto& refer = draft.relation_of(fact).refer;
    return std::any_of(refer.begin(), refer.end(),
                       [&](const auto& named) { return fact.values[static_cast<std::size_t>(named.first)] == value; });
  });
}

// Adds one option, unless its text already stands there.
void add_option(Options& options, const TextTemplate& answer, const DraftFact& fact, const std::vector<int>& slots,
                const Tuple& tuple) {
  Options added;
  std::vector<std::string> values;
  const std::string text = answer_text(fill_template(answer, [&](int slot) {
    const auto at = std::find(slots.begin(), slots.end(), slot);
    const std::string& value = at == slots.end() ? fact.values[static_cast<std::size_t>(slot)]
                                                 : tuple[static_cast<std::size_t>(at - slots.begin())];
    if (!holds(values, value)) values.push_back(value);
    return value;
  }));
  for (const auto& other : options.texts) {
    if (fold_text(other) == fold_text(text)) return;
  }
  options.texts.push_back(text);
  options.values.push_back(std::move(values));
}

void add_values(Options& options, const Draft& draft, const Question& question) {
  constexpr std::size_t kGrid = 50;
  const Ask& ask = ask_of(draft, question);
  const DraftFact& fact = draft.facts()[question.fact];
  const Tuple right = right_tuple(fact, ask);
  auto tuples = rival_tuples(draft, question, right);
  if (!tuples.empty() && draft.draws().percent(kGrid)) {
    if (auto combined = grid(draft.draws(), right, tuples.front()); !combined.empty()) tuples = std::move(combined);
  }
  if (tuples.empty() || tuples.front() != right) tuples.insert(tuples.begin(), right);
  const TextTemplate answer = answer_template(draft, question);
  for (const auto& tuple : tuples) add_option(options, answer, fact, ask.answer_slots, tuple);
}

// Right and wrong links, each with the right and the wrong answer: either hop alone leaves two of the four.
void add_linked(Options& options, const Draft& draft, const Question& question) {
  const TextTemplate answer = answer_template(draft, question);
  const DraftFact& right = draft.facts()[question.fact];
  add_option(options, answer, right, {}, {});
  auto rivals = link_rivals(draft, question);
  if (rivals.empty()) return;
  const auto is_asked_through = [&](std::size_t fact) {
    return is_link(draft, draft.facts()[fact].values[static_cast<std::size_t>(question.hop->slot)]);
  };
  if (std::any_of(rivals.begin(), rivals.end(), is_asked_through)) std::erase_if(rivals, std::not_fn(is_asked_through));
  const DraftFact& other = draft.facts()[draft.draws().pick(rivals)];
  std::vector<DraftFact> wrong(kOptions - 1, right);
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    const auto take = [&](int slot) {
      wrong[i].values[static_cast<std::size_t>(slot)] = other.values[static_cast<std::size_t>(slot)];
    };
    if (i != 1) take(question.hop->slot);
    if (i != 0)
      std::for_each(ask_of(draft, question).answer_slots.begin(), ask_of(draft, question).answer_slots.end(), take);
  }
  draft.draws().shuffle(wrong);
  for (const DraftFact& fact : wrong) add_option(options, answer, fact, {}, {});
}

void add_lent(Options& options, const Draft& draft, const Question& question) {
  auto facts = lenders(draft, question);
  std::erase(facts, question.fact);
  draft.draws().shuffle(facts);
  facts.insert(facts.begin(), question.fact);
  for (const std::size_t index : facts) {
    if (options.texts.size() == kOptions) break;
    const DraftFact& fact = draft.facts()[index];
    const Ask& ask =
        index == question.fact ? ask_of(draft, question) : *lending_ask(draft, fact, ask_of(draft, question));
    const auto& answers = ask.answers[draft.split()];
    add_option(options, answers[question.answer_wording % answers.size()], fact, ask.answer_slots,
               right_tuple(fact, ask));
  }
}

}  // namespace

std::string answer_text(const std::string& filled) {
  const bool sentence = !filled.empty() && std::string_view(".!?").find(filled.back()) != std::string_view::npos;
  return sentence ? with_capital(filled) : filled;
}

TextTemplate answer_template(const Draft& draft, const Question& question) {
  const DraftFact& asked = draft.facts()[question.fact];
  TextTemplate answer = ask_of(draft, question).answers[draft.split()][question.answer_wording];
  if (!question.hop || answer.mentions(question.hop->slot)) return answer;
  const std::string mark =
      "{" + draft.relation_of(asked).slots[static_cast<std::size_t>(question.hop->slot)].name + "}";
  answer.source = mark + kBehindLink + answer.source;
  answer.pieces.insert(answer.pieces.begin(), {{mark, question.hop->slot}, {kBehindLink, TextTemplate::kLiteral}});
  return answer;
}

std::vector<std::string> rival_values(const Draft& draft, const Question& question, int slot) {
  const DraftFact& fact = draft.facts()[question.fact];
  const std::string& right = fact.values[static_cast<std::size_t>(slot)];
  // What the question names cannot be right: a reader would see it without the context.
  const auto barred = [&](const std::string& value) { return value == right || holds_words(question.text, value); };
  std::vector<std::string> near, far;
  for (const auto& other : draft.facts()) {
    const std::string& value = other.relation == fact.relation ? other.values[static_cast<std::size_t>(slot)] : right;
    if (!barred(value) && !holds(near, value)) near.push_back(value);
  }
  for (const auto& value : draft.values(draft.relation_of(fact).slots[static_cast<std::size_t>(slot)].pool)) {
    if (!barred(value) && !holds(near, value)) far.push_back(value);
  }
  draft.draws().shuffle(near);
  draft.draws().shuffle(far);
  near.insert(near.end(), far.begin(), far.end());
  return near;
}

std::vector<std::size_t> lenders(const Draft& draft, const Question& question) {
  std::vector<std::size_t> facts;
  for (std::size_t i = 0; i < draft.facts().size(); ++i) {
    if (lending_ask(draft, draft.facts()[i], ask_of(draft, question)) != nullptr) facts.push_back(i);
  }
  return facts;
}

Options make_options(const Draft& draft, const Question& question) {
  Options options;
  if (question.hop)
    add_linked(options, draft, question);
  else if (question.near_miss == NearMiss::kLent)
    add_lent(options, draft, question);
  else
    add_values(options, draft, question);
  options.right = draft.draws().below(options.texts.size());
  // The right one was added first; the others are already in random order, and a swap keeps each place equally likely.
  std::swap(options.texts[0], options.texts[options.right]);
  std::swap(options.values[0], options.values[options.right]);
  return options;
}

}  // namespace elastify
