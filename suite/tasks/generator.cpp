#include "tasks/generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/hash.h"
#include "tasks/draft.h"
#include "tasks/options.h"
#include "tasks/question.h"

namespace elastify {
namespace {

constexpr std::size_t kLent = 50;  // percent of the questions with lent answers where both kinds can be asked
constexpr int kAttempts = 200;

// A context that leaves the question with fewer options than kOptions is drawn again, as long as there is hope that the
// next one does better: small caps and small pools may not allow more.
std::size_t options_wanted(int attempt) {
  constexpr int kPatience = 8;
  return attempt < kPatience ? kOptions : attempt < 2 * kPatience ? kOptions - 1 : 2;
}

// Facts that hang together for two hops: `by` names a value that `about` is asked with.
struct Link {
  std::size_t by = 0, about = 0;  // relations
  int by_slot = 0, about_slot = 0;
};

std::vector<Link> links_of(const Family& family) {
  std::vector<Link> links;
  for (std::size_t by = 0; by < family.relations.size(); ++by) {
    for (const auto& [by_slot, phrases] : family.relations[by].refer) {
      const int pool = family.relations[by].slots[static_cast<std::size_t>(by_slot)].pool;
      for (std::size_t about = 0; about < family.relations.size(); ++about) {
        if (about == by) continue;
        std::set<int> slots;
        for (const auto& ask : family.relations[about].asks) slots.insert(ask.given.begin(), ask.given.end());
        for (const int slot : slots) {
          if (family.relations[about].slots[static_cast<std::size_t>(slot)].pool == pool)
            links.push_back({by, about, by_slot, slot});
        }
      }
    }
  }
  return links;
}

class Composer {
 public:
  Composer(const TaskBank& bank, const Family& family, Split split, Draws& draws, const Difficulty& difficulty)
      : family_(family),
        draws_(draws),
        difficulty_(difficulty),
        bank_(bank),
        draft_(bank, family, split, draws, difficulty.max_wordings.value_or(SIZE_MAX)) {}

  // False where the drawn context has no question, or its first one fewer than `options` options.
  bool compose(bool two_hops, std::size_t options, TaskContext& context) {
    draft_.set_opening();
    draw_facts(two_hops);
    auto questions = choose_questions(two_hops);
    if (questions.empty()) return false;
    if (!add_rivals(questions.front())) return false;
    std::vector<ByteSpan> spans;
    context.text = draft_.arrange(spans);
    context.facts.clear();
    for (std::size_t i = 0; i < draft_.facts().size(); ++i)
      context.facts.push_back(public_fact(draft_.facts()[i], spans[i]));
    context.items.clear();
    std::set<std::size_t> asked;  // a fact once: the first answer would tell the second
    for (const auto& question : questions) {
      if (context.items.size() == difficulty_.max_questions) break;
      if (!is_determined(draft_, question) || asked.contains(question.fact) ||
          (question.hop && asked.contains(question.hop->fact)))
        continue;
      asked.insert(question.fact);
      if (question.hop) asked.insert(question.hop->fact);
      add_item(question, context);
      // Else what is asked would depend on what can be asked.
      if (context.items.empty() || context.items.front().options.size() < options) return false;
    }
    return true;
  }

 private:
  std::int64_t draw_count(const CountRange& range, const std::optional<std::int64_t>& cap) {
    const std::int64_t high = cap ? std::min(range.high, *cap) : range.high;
    return draws_.between(std::min(range.low, high), high);
  }

  void draw_facts(bool two_hops) {
    std::size_t left = static_cast<std::size_t>(draw_count(family_.facts, difficulty_.max_facts));
    std::vector<std::size_t> relations(family_.relations.size());
    for (std::size_t i = 0; i < relations.size(); ++i) relations[i] = i;
    draws_.shuffle(relations);
    const auto links = links_of(family_);
    if (two_hops && !links.empty()) left -= draw_chains(draws_.pick(links), left, relations);
    const bool one_relation = difficulty_.one_relation > 0 && !two_hops && draws_.percent(difficulty_.one_relation);
    for (bool first = !two_hops; left > 0; first = false) {
      if (relations.empty()) relations.push_back(draws_.below(family_.relations.size()));
      // Several facts of one relation make a question hard: its words fit all of them.
      const std::size_t group = std::min(left, one_relation ? left
                                               : first      ? 2 + draws_.below(3)
                                                            : 1 + draws_.below(6) / 3 + draws_.below(6) / 5);
      for (std::size_t i = 0; i < group; ++i) draft_.add_fact(relations.back());
      relations.pop_back();
      left -= group;
    }
  }

  // Several chains, so that what stands twice does not tell what is asked. Returns the number of facts.
  std::size_t draw_chains(const Link& link, std::size_t limit, std::vector<std::size_t>& relations) {
    const std::size_t most = std::max<std::size_t>(1, limit / 2), chains = std::min(most, 2 + draws_.below(2));
    const Relation &by = family_.relations[link.by], &about = family_.relations[link.about];
    for (std::size_t i = 0; i < chains; ++i) {
      draft_.add_fact(link.by);
      std::vector<std::string> values(about.slots.size());
      values[static_cast<std::size_t>(link.about_slot)] =
          draft_.facts().back().values[static_cast<std::size_t>(link.by_slot)];
      draft_.add_fact(link.about, std::move(values));
    }
    std::erase_if(relations,
                  [&](std::size_t r) { return &family_.relations[r] == &by || &family_.relations[r] == &about; });
    return 2 * chains;
  }

  // The first is the one that the context was drawn for, further ones in random order.
  std::vector<Question> choose_questions(bool two_hops) {
    std::vector<Question> hops =
        difficulty_.max_hops.value_or(2) > 1 ? two_hop_questions(draft_) : std::vector<Question>{};
    std::vector<Question> singles = single_hop_questions(draft_);
    // The kind of near misses is drawn before the question: else those that allow one kind only would show by it.
    for (auto& question : singles) question.near_miss = NearMiss::kLent;
    constexpr std::size_t kFewestLenders = 3;
    std::erase_if(singles, [&](const Question& question) {
      return ask_of(draft_, question).kind.empty() || lenders(draft_, question).size() < kFewestLenders;
    });
    std::vector<Question> by_value = single_hop_questions(draft_);
    const auto without_rivals = [&](const Question& question) { return !has_rivals(question); };
    std::erase_if(by_value, without_rivals);
    std::erase_if(hops, without_rivals);
    const auto reads_back_too_often = [&](const Question& question) {
      return reads_back(draft_, question) && !draws_.percent(difficulty_.read_back);
    };
    for (auto* questions : {&singles, &by_value, &hops}) std::erase_if(*questions, reads_back_too_often);
    const bool lent = by_value.empty() || (!singles.empty() && draws_.percent(kLent));
    std::vector<Question> first = two_hops ? hops : lent ? singles : by_value;
    if (first.empty()) return {};
    std::vector<Question> chosen{draws_.pick(first)};
    if (difficulty_.max_questions > 1) {
      std::vector<Question> more = lent ? singles : by_value;
      more.insert(more.end(), hops.begin(), hops.end());
      draws_.shuffle(more);
      std::erase_if(more, [&](const Question& question) { return same(question, chosen.front()); });
      chosen.insert(chosen.end(), more.begin(), more.end());
    }
    return chosen;
  }

  static bool same(const Question& a, const Question& b) {
    return a.fact == b.fact && a.ask == b.ask && a.hop.has_value() == b.hop.has_value() &&
           (!a.hop || (a.hop->fact == b.hop->fact && a.hop->slot == b.hop->slot));
  }

  // An answer of several values, a link among them, needs another fact of its relation: of values that stand in
  // different sentences, no reader would think that they belong together.
  bool has_rivals(const Question& question) const {
    const auto& slots = ask_of(draft_, question).answer_slots;
    const std::size_t relation = draft_.facts()[question.fact].relation;
    const auto facts = std::count_if(draft_.facts().begin(), draft_.facts().end(),
                                     [&](const DraftFact& fact) { return fact.relation == relation; });
    return (slots.size() < 2 && !question.hop) || facts > 1;
  }

  // Brings the values that the question lacks for its options: further facts of its relation, then filler. False where
  // a fact made it ambiguous.
  bool add_rivals(const Question& question) {
    std::vector<std::size_t> wanted(bank_.pools.size());
    if (question.near_miss == NearMiss::kValues) {
      const std::size_t most =
          static_cast<std::size_t>(std::min(family_.facts.high, difficulty_.max_facts.value_or(family_.facts.high)));
      while (missing(question) > 0 && draft_.facts().size() < most)
        draft_.add_fact(draft_.facts()[question.fact].relation);
      const auto& slots = ask_of(draft_, question).answer_slots;
      const auto pool =
          draft_.relation_of(draft_.facts()[question.fact]).slots[static_cast<std::size_t>(slots.front())].pool;
      if (slots.size() == 1) wanted[static_cast<std::size_t>(pool)] = missing(question);
    }
    draft_.add_filler(static_cast<std::size_t>(draw_count(family_.filler_sentences, difficulty_.max_filler)),
                      std::move(wanted));
    return is_determined(draft_, question);
  }

  // Values that the best supplied answer slot needs for all options.
  std::size_t missing(const Question& question) const {
    std::size_t most = 0;
    for (const int slot : ask_of(draft_, question).answer_slots)
      most = std::max(most, rival_values(draft_, question, slot).size());
    return kOptions - 1 - std::min(most, kOptions - 1);
  }

  TaskFact public_fact(const DraftFact& fact, const ByteSpan& span) const {
    const Relation& relation = draft_.relation_of(fact);
    TaskFact shown{relation.name, {}, span};
    for (std::size_t slot = 0; slot < relation.slots.size(); ++slot)
      shown.slots[relation.slots[slot].name] = fact.values[slot];
    return shown;
  }

  void add_item(const Question& question, TaskContext& context) const {
    Options options = make_options(draft_, question);
    if (options.texts.size() < 2) return;
    TaskItem item;
    item.family = family_.name;
    item.slo = family_.slo;
    item.context = context.text;
    item.question = question.text;
    item.options = std::move(options.texts);
    item.option_values = std::move(options.values);
    item.answer = options.right;
    item.hops = question.hop ? 2 : 1;
    item.fact_count = context.facts.size();
    item.facts = context.facts;
    item.relevant.push_back(context.facts[question.fact].span);
    if (question.hop) item.relevant.push_back(context.facts[question.hop->fact].span);
    std::sort(item.relevant.begin(), item.relevant.end(),
              [](const ByteSpan& a, const ByteSpan& b) { return a.begin < b.begin; });
    item.query = query_of(question);
    context.items.push_back(std::move(item));
  }

  TaskQuery query_of(const Question& question) const {
    const DraftFact& asked = draft_.facts()[question.fact];
    const Relation& relation = draft_.relation_of(asked);
    const Ask& ask = ask_of(draft_, question);
    TaskQuery query{relation.name, {}, {}, answer_template(draft_, question).source};
    for (const int slot : ask.given) {
      const std::string& name = relation.slots[static_cast<std::size_t>(slot)].name;
      if (question.hop && question.hop->slot == slot)
        query.referred[name] = reference_of(*question.hop);
      else
        query.given[name] = asked.values[static_cast<std::size_t>(slot)];
    }
    return query;
  }

  TaskReference reference_of(const Hop& hop) const {
    const DraftFact& fact = draft_.facts()[hop.fact];
    const Relation& relation = draft_.relation_of(fact);
    TaskReference reference{relation.name, relation.slots[static_cast<std::size_t>(hop.refer_slot)].name, {}};
    for (const int slot : slots_in(relation.refer.at(hop.refer_slot)[draft_.split()][hop.wording])) {
      reference.given[relation.slots[static_cast<std::size_t>(slot)].name] =
          fact.values[static_cast<std::size_t>(slot)];
    }
    return reference;
  }

  const Family& family_;
  Draws& draws_;
  const Difficulty& difficulty_;
  const TaskBank& bank_;
  Draft draft_;
};

void check(const Difficulty& difficulty) {
  if (difficulty.max_questions < 1) fail_usage("max_questions: expected at least 1, found 0");
  if (difficulty.max_facts.value_or(2) < 2)
    fail_usage("max_facts: expected at least 2, found {}", *difficulty.max_facts);
  if (difficulty.max_filler.value_or(0) < 0)
    fail_usage("max_filler: expected at least 0, found {}", *difficulty.max_filler);
  if (difficulty.max_wordings.value_or(1) < 1) fail_usage("max_wordings: expected at least 1, found 0");
  if (difficulty.max_hops.value_or(1) < 1 || difficulty.max_hops.value_or(1) > 2)
    fail_usage("max_hops: expected 1 or 2, found {}", *difficulty.max_hops);
}

}  // namespace

TaskContext TaskGenerator::generate(Split split, std::string_view family_name, std::uint64_t seed, std::uint64_t index,
                                    const Difficulty& difficulty) const {
  check(difficulty);
  const Family& family = bank_.family(family_name);
  Draws draws(derive_seed(seed, fmt::format("tasks {} {}", split_name(split), family.name), index));
  TaskContext context;
  context.family = family.name;
  const bool hops_possible = difficulty.max_hops.value_or(2) > 1 && !links_of(family).empty();
  bool two_hops = hops_possible && draws.percent(difficulty.two_hops);
  bool found = false;
  for (int attempt = 0; attempt < kAttempts && !found; ++attempt) {
    if (attempt == kAttempts / 5) two_hops = false;  // too few facts are allowed for both hops and options
    found = Composer(bank_, family, split, draws, difficulty).compose(two_hops, options_wanted(attempt), context);
  }
  if (!found) {
    fail_data(
        "family {} gives no question in {} tries (split {}, index {}): its relations need more facts per context or "
        "more values",
        family.name, kAttempts, split_name(split), index);
  }
  for (std::size_t i = 0; i < context.items.size(); ++i) {
    context.items[i].id =
        fmt::format("{}-{}-{:06}", family.name, split_name(split), index) + (i == 0 ? "" : fmt::format(".{}", i));
  }
  return context;
}

}  // namespace elastify
