#include "tasks/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "data/words.h"
#include "tasks/options.h"

namespace elastify {
namespace {

using Facts = std::vector<const TaskFact*>;

class Checker {
 public:
  explicit Checker(const TaskItem& item) : item_(item) {}

  std::vector<std::string> run() {
    if (!item_.query) return {"it has no query to derive the answer from"};
    if (item_.answer >= item_.options.size())
      return {fmt::format("answer {} is not one of {} options", item_.answer, item_.options.size())};
    check_facts();
    check_options();
    check_query();
    return problems_;
  }

 private:
  template <typename... Args>
  void problem(fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  bool good_span(const ByteSpan& span) const {
    const auto boundary = [&](std::size_t at) {
      return at == item_.context.size() || (static_cast<unsigned char>(item_.context[at]) & 0xc0) != 0x80;
    };
    return span.begin < span.end && span.end <= item_.context.size() && boundary(span.begin) && boundary(span.end);
  }

  void check_facts() {
    if (item_.fact_count != item_.facts.size())
      problem("fact_count is {}, but there are {} facts", item_.fact_count, item_.facts.size());
    for (const auto& fact : item_.facts) {
      if (!good_span(fact.span)) {
        problem("span [{}, {}) of a fact lies outside the context or cuts a character", fact.span.begin, fact.span.end);
        continue;
      }
      const std::string_view sentence =
          std::string_view(item_.context).substr(fact.span.begin, fact.span.end - fact.span.begin);
      for (const auto& [slot, value] : fact.slots) {
        if (!holds_words(sentence, value)) problem("the sentence \"{}\" does not hold {} {}", sentence, slot, value);
      }
    }
  }

  void check_options() {
    if (item_.option_values.size() != item_.options.size()) {
      problem("option_values has {} entries for {} options", item_.option_values.size(), item_.options.size());
      return;
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < item_.options.size(); ++i) {
      if (!seen.insert(fold_text(item_.options[i])).second)
        problem("option {} equals another one: \"{}\"", i, item_.options[i]);
      if (item_.option_values[i].empty()) problem("option {} holds no value", i);
      for (const auto& value : item_.option_values[i]) {
        if (!holds_words(item_.options[i], value)) problem("option {} does not hold its value {}", i, value);
        if (!holds_words(item_.context, value))
          problem("value {} of option {} does not stand in the context", value, i);
      }
    }
  }

  Facts matching(const std::string& relation, const SlotValues& given) const {
    Facts found;
    for (const auto& fact : item_.facts) {
      const bool same = fact.relation == relation && std::all_of(given.begin(), given.end(), [&](const auto& wanted) {
                          const auto at = fact.slots.find(wanted.first);
                          return at != fact.slots.end() && at->second == wanted.second;
                        });
      if (same) found.push_back(&fact);
    }
    return found;
  }

  void check_query() {
    const TaskQuery& query = *item_.query;
    SlotValues given = query.given;
    Facts used;
    check_named(query.given);
    for (const auto& [slot, reference] : query.referred) {
      check_named(reference.given);
      const Facts facts = matching(reference.relation, reference.given);
      if (facts.size() != 1 || facts[0]->slots.count(reference.slot) == 0) {
        problem("the reference through {} fits {} facts: expected one", reference.relation, facts.size());
        return;
      }
      used.push_back(facts[0]);
      given[slot] = facts[0]->slots.at(reference.slot);
    }
    const Facts facts = matching(query.relation, given);
    if (facts.size() != 1) {
      problem("the query fits {} facts of {}: expected one", facts.size(), query.relation);
      return;
    }
    used.push_back(facts[0]);
    check_answer(*facts[0], given);
    check_relevant(used);
    const int hops = query.referred.empty() ? 1 : 2;
    if (item_.hops != hops) problem("hops is {}, but the query takes {}", item_.hops, hops);
  }

  void check_named(const SlotValues& given) {
    for (const auto& [slot, value] : given) {
      if (!holds_words(item_.question, value)) problem("the question does not name {} {}", slot, value);
    }
  }

  void check_answer(const TaskFact& fact, const SlotValues& given) {
    std::string expected;
    const std::string& pattern = item_.query->answer;
    for (std::size_t at = 0; at < pattern.size();) {
      const auto open = std::min(pattern.find('{', at), pattern.size());
      const auto close = std::min(pattern.find('}', open), pattern.size());
      expected += pattern.substr(at, open - at);
      at = close + 1;
      if (open == pattern.size()) break;
      const std::string slot = pattern.substr(open + 1, close - open - 1);
      const auto value = fact.slots.find(slot);
      if (value == fact.slots.end()) {
        problem("the answer names {}, which {} does not have", slot, fact.relation);
        return;
      }
      expected += value->second;
      if (given.count(slot) == 0 && holds_words(item_.question, value->second))
        problem("the question holds the answer's value {}", value->second);
    }
    expected = answer_text(expected);
    if (item_.options[item_.answer] != expected)
      problem("the answer is \"{}\", but option {} is \"{}\"", expected, item_.answer, item_.options[item_.answer]);
    for (std::size_t i = 0; i < item_.options.size(); ++i) {
      if (i != item_.answer && fold_text(item_.options[i]) == fold_text(expected))
        problem("option {} is an answer too", i);
    }
  }

  void check_relevant(const Facts& used) {
    std::vector<ByteSpan> expected;
    for (const auto* fact : used) expected.push_back(fact->span);
    auto found = item_.relevant;
    const auto earlier = [](const ByteSpan& a, const ByteSpan& b) { return a.begin < b.begin; };
    std::sort(expected.begin(), expected.end(), earlier);
    std::sort(found.begin(), found.end(), earlier);
    if (found != expected)
      problem("relevant is not the {} sentence{} that the query uses", expected.size(),
              expected.size() == 1 ? "" : "s");
  }

  const TaskItem& item_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> check_task(const TaskItem& item) { return Checker(item).run(); }

}  // namespace elastify
