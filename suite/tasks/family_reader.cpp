#include "tasks/family_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tasks/text_template.h"

namespace elastify {
namespace {

constexpr int kNone = TextTemplate::kLiteral;

int slot_index(const Relation& relation, std::string_view name) {
  for (std::size_t i = 0; i < relation.slots.size(); ++i) {
    if (relation.slots[i].name == name) return static_cast<int>(i);
  }
  return kNone;
}

bool holds(const std::vector<int>& list, int value) { return std::find(list.begin(), list.end(), value) != list.end(); }

// Calls check(template, problem sink) for every template of `place`, which holds what read_templates has read.
template <typename Check>
void check_each(const JsonPlace& place, const Relation& relation, Check&& check) {
  for (const auto& [split, list] : place.members()) {
    if (!list.value().is_array()) continue;
    for (const auto& element : list.elements()) {
      if (!element.value().is_string()) continue;
      const std::string& source = element.value().template get_ref<const std::string&>();
      std::string problem;  // has been reported
      const TextTemplate text = cut_template(
          source, [&](std::string_view name) { return slot_index(relation, name); }, problem);
      if (problem.empty()) check(text, element);
    }
  }
}

CountRange read_range(const JsonPlace& place, std::int64_t least) {
  const auto& value = place.value();
  const bool good = value.is_array() && value.size() == 2 && value[0].is_number_unsigned() &&
                    value[1].is_number_unsigned() && value[0] >= least && value[0] <= value[1] && value[1] <= 1000;
  if (good) return {value[0].get<std::int64_t>(), value[1].get<std::int64_t>()};
  place.problem(fmt::format("expected [least, most], whole numbers from {} to 1000, found {}", least, value.dump()));
  return {};
}

std::vector<int> read_slot_list(const JsonPlace& place, const Relation& relation) {
  std::vector<int> slots;
  for (const auto& element : place.elements()) {
    const std::string name = element.text();
    if (name.empty()) continue;
    const int slot = slot_index(relation, name);
    if (slot == kNone)
      element.problem(fmt::format("the relation has no slot {}", name));
    else if (holds(slots, slot))
      element.problem(fmt::format("slot {} stands twice", name));
    else
      slots.push_back(slot);
  }
  return slots;
}

std::string names_of(const Relation& relation, const std::vector<int>& slots) {
  std::vector<std::string> names;
  for (const int slot : slots)
    names.push_back(fmt::format("{{{}}}", relation.slots[static_cast<std::size_t>(slot)].name));
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, " "));
}

class RelationReader {
 public:
  RelationReader(const JsonPlace& place, const std::function<int(std::string_view)>& pool_of)
      : place_(place), pool_of_(pool_of) {}

  Relation read() {
    if (!place_.has_only({"name", "slots", "statements", "asks", "refer"})) return relation_;
    if (const auto name = place_.get("name")) relation_.name = name->text();
    read_slots();
    if (const auto statements = place_.get("statements")) read_statements(*statements);
    if (const auto asks = place_.get("asks")) {
      for (const auto& ask : asks->elements()) relation_.asks.push_back(read_ask(ask));
      if (relation_.asks.empty() && asks->value().is_array()) asks->problem("expected at least one ask");
    }
    if (const auto refer = place_.find("refer")) read_refer(*refer);
    return relation_;
  }

 private:
  Templates templates(const JsonPlace& place, bool all_allowed) {
    return read_templates(
        place, [this](std::string_view name) { return slot_index(relation_, name); }, all_allowed);
  }

  void read_slots() {
    const auto slots = place_.get("slots");
    if (!slots) return;
    for (const auto& [name, type] : slots->members()) {
      const std::string pool = type.text();
      if (pool.empty()) continue;
      const int index = pool_of_(pool);
      if (index == kNone) type.problem(fmt::format("no pool has the type {}", pool));
      // Kept in any case: else every template that uses the slot would be reported too.
      relation_.slots.push_back({name, std::max(index, 0)});
    }
    if (slots->value().is_object() && slots->value().empty()) slots->problem("expected at least one slot");
  }

  void read_statements(const JsonPlace& place) {
    relation_.statements = templates(place, false);
    check_each(place, relation_, [&](const TextTemplate& text, const JsonPlace& at) {
      for (std::size_t slot = 0; slot < relation_.slots.size(); ++slot) {
        if (!text.mentions(static_cast<int>(slot))) {
          at.problem(fmt::format("a statement holds every slot of its relation; {{{}}} is missing from \"{}\"",
                                 relation_.slots[slot].name, text.source));
        }
      }
    });
  }

  Ask read_ask(const JsonPlace& place) {
    Ask ask;
    if (!place.has_only({"answer_slots", "given", "questions", "answers", "kind"})) return ask;
    if (const auto kind = place.find("kind")) ask.kind = kind->text();
    const auto answer_slots = place.get("answer_slots"), given = place.get("given");
    if (!answer_slots || !given) return ask;
    ask.answer_slots = read_slot_list(*answer_slots, relation_);
    ask.given = read_slot_list(*given, relation_);
    if (ask.answer_slots.empty() && answer_slots->value().is_array())
      answer_slots->problem("expected at least one slot");
    for (const int slot : ask.answer_slots) {
      if (holds(ask.given, slot)) given->problem(fmt::format("{} is asked for and given", names_of(relation_, {slot})));
    }
    if (const auto questions = place.get("questions")) read_questions(*questions, ask);
    if (const auto answers = place.get("answers")) read_answers(*answers, ask);
    return ask;
  }

  void read_questions(const JsonPlace& place, Ask& ask) {
    ask.questions = templates(place, false);
    check_each(place, relation_, [&](const TextTemplate& text, const JsonPlace& at) {
      for (std::size_t i = 0; i < relation_.slots.size(); ++i) {
        const int slot = static_cast<int>(i);
        if (text.mentions(slot) != holds(ask.given, slot)) {
          at.problem(fmt::format("a question holds exactly the given slots ({}); {{{}}} is {} \"{}\"",
                                 names_of(relation_, ask.given), relation_.slots[i].name,
                                 text.mentions(slot) ? "too many in" : "missing from", text.source));
        }
      }
    });
  }

  void read_answers(const JsonPlace& place, Ask& ask) {
    ask.answers = templates(place, true);
    check_each(place, relation_, [&](const TextTemplate& text, const JsonPlace& at) {
      for (std::size_t i = 0; i < relation_.slots.size(); ++i) {
        const int slot = static_cast<int>(i);
        const std::string& name = relation_.slots[i].name;
        if (holds(ask.answer_slots, slot)) {
          if (!text.mentions(slot))
            at.problem(
                fmt::format("an answer holds its answer_slots; {{{}}} is missing from \"{}\"", name, text.source));
        } else if (text.mentions(slot) && (!holds(ask.given, slot) || !ask.kind.empty())) {
          at.problem(fmt::format("{{{}}} is neither asked for nor given (or given, in an ask with a kind): \"{}\"",
                                 name, text.source));
        }
      }
    });
  }

  void read_refer(const JsonPlace& place) {
    for (const auto& [name, phrases] : place.members()) {
      const int slot = slot_index(relation_, name);
      if (slot == kNone) {
        phrases.problem(fmt::format("the relation has no slot {}", name));
        continue;
      }
      relation_.refer[slot] = templates(phrases, false);
      check_each(phrases, relation_, [&](const TextTemplate& text, const JsonPlace& at) {
        if (text.mentions(slot))
          at.problem(fmt::format("a phrase must not hold what it refers to: \"{}\"", text.source));
        const bool empty =
            std::all_of(text.pieces.begin(), text.pieces.end(), [](const auto& piece) { return piece.slot == kNone; });
        if (empty)
          at.problem(fmt::format("a phrase holds at least one other slot of the relation: \"{}\"", text.source));
      });
    }
  }

  const JsonPlace& place_;
  const std::function<int(std::string_view)>& pool_of_;
  Relation relation_;
};

}  // namespace

Templates read_templates(const JsonPlace& place, const std::function<int(std::string_view)>& index_of, bool all_allowed,
                         bool* all) {
  Templates templates;
  const bool same = all_allowed && place.find("all").has_value();
  if (all != nullptr) *all = same;
  const bool usable = same ? place.has_only({"all"}) : place.has_only({"train", "validation", "test"});
  if (!usable) return templates;
  for (const Split split : kSplits) {
    if (same && split != Split::kTrain) {
      templates[split] = templates[Split::kTrain];
      continue;
    }
    const auto list = same ? place.find("all") : place.get(std::string(split_name(split)));
    if (!list) continue;
    for (const auto& element : list->elements()) {
      const std::string source = element.text();
      if (source.empty()) continue;
      std::string problem;
      auto text = cut_template(source, index_of, problem);
      if (!problem.empty()) element.problem(problem);
      templates[split].push_back(std::move(text));
    }
    if (list->value().is_array() && list->value().empty()) list->problem("expected at least one text");
  }
  return templates;
}

Family read_family(const JsonPlace& root, const std::string& expected_name,
                   const std::function<int(std::string_view)>& pool_of) {
  Family family;
  family.name = expected_name;
  if (!root.has_only(
          {"about", "family", "slo", "layout", "facts", "filler_sentences", "openings", "relations", "filler"}))
    return family;
  if (const auto name = root.get("family"); name && name->text() != expected_name) {
    name->problem(fmt::format("expected the name of the file, {}", expected_name));
  }
  if (const auto slo = root.get("slo")) {
    const auto& value = slo->value();
    const bool good = value.is_array() && value.size() == 2 && value[0].is_number() && value[1].is_number() &&
                      value[0] > 0 && value[0] <= 1 && value[1] > 0 && value[1] <= 1;
    if (good)
      family.slo = {value[0].get<double>(), value[1].get<double>()};
    else
      slo->problem(fmt::format("expected [TTFT, TPOT], shares in (0, 1], found {}", value.dump()));
  }
  if (const auto layout = root.get("layout")) {
    family.lines = layout->value() == "lines";
    if (!family.lines && layout->value() != "prose")
      layout->problem(fmt::format("expected prose or lines, found {}", layout->value().dump()));
  }
  if (const auto facts = root.get("facts")) family.facts = read_range(*facts, 2);
  if (const auto filler = root.get("filler_sentences")) family.filler_sentences = read_range(*filler, 0);
  if (const auto openings = root.get("openings")) family.openings = read_templates(*openings, pool_of, false);
  if (const auto filler = root.get("filler")) family.filler = read_templates(*filler, pool_of, false);
  const auto relations = root.get("relations");
  std::set<std::string> names;
  for (const auto& place : relations ? relations->elements("name") : std::vector<JsonPlace>{}) {
    family.relations.push_back(RelationReader(place, pool_of).read());
    if (!names.insert(family.relations.back().name).second) place.problem("another relation has the same name");
  }
  if (relations && relations->value().is_array() && family.relations.empty())
    relations->problem("expected at least one relation");
  return family;
}

}  // namespace elastify
