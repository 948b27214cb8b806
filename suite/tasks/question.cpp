#include "tasks/question.h"

#include <algorithm>

#include "data/words.h"
#include "tasks/text_template.h"

namespace elastify {
namespace {

std::vector<std::string> values_at(const DraftFact& fact, const std::vector<int>& slots) {
  std::vector<std::string> values;
  for (const int slot : slots) values.push_back(fact.values[static_cast<std::size_t>(slot)]);
  return values;
}

const TextTemplate& phrase_of(const Draft& draft, const Hop& hop) {
  return draft.relation_of(draft.facts()[hop.fact]).refer.at(hop.refer_slot)[draft.split()][hop.wording];
}

// Can `slots` of the fact find it among all facts?
bool unique(const Draft& draft, std::size_t fact, const std::vector<int>& slots) {
  const DraftFact& found = draft.facts()[fact];
  return draft.facts_with(found.relation, slots, values_at(found, slots)).size() == 1;
}

bool answers_itself(const Draft& draft, const Question& question) {
  const auto values = values_at(draft.facts()[question.fact], ask_of(draft, question).answer_slots);
  return std::any_of(values.begin(), values.end(),
                     [&](const std::string& value) { return holds_words(question.text, value); });
}

// Where the first of the slots' values begins in the fact's sentence.
std::size_t first_place(const DraftFact& fact, const std::vector<int>& slots) {
  std::size_t first = std::string::npos;
  for (const std::string& value : values_at(fact, slots))
    first = std::min({first, fact.sentence.find(value), fact.sentence.find(with_capital(value))});
  return first;
}

void choose_words(const Draft& draft, Question& question) {
  const DraftFact& asked = draft.facts()[question.fact];
  const Ask& ask = ask_of(draft, question);
  question.answer_wording = draft.draw_wording(ask.answers[draft.split()].size());
  const auto& wordings = ask.questions[draft.split()];
  question.text = with_capital(fill_template(wordings[draft.draw_wording(wordings.size())], [&](int slot) {
    if (!question.hop || question.hop->slot != slot) return asked.values[static_cast<std::size_t>(slot)];
    const DraftFact& by = draft.facts()[question.hop->fact];
    return fill_template(phrase_of(draft, *question.hop),
                         [&](int inner) { return by.values[static_cast<std::size_t>(inner)]; });
  }));
}

// Every ask of every fact whose given slots find that fact alone.
std::vector<Question> determined_questions(const Draft& draft) {
  std::vector<Question> questions;
  for (std::size_t fact = 0; fact < draft.facts().size(); ++fact) {
    const auto& asks = draft.relation_of(draft.facts()[fact]).asks;
    for (std::size_t ask = 0; ask < asks.size(); ++ask) {
      if (!unique(draft, fact, asks[ask].given)) continue;
      questions.emplace_back();
      questions.back().fact = fact;
      questions.back().ask = ask;
    }
  }
  return questions;
}

// Facts of other relations that can name a given slot's value, each with a phrase.
std::vector<Hop> hops_to(const Draft& draft, const Question& about) {
  std::vector<Hop> hops;
  const DraftFact& asked = draft.facts()[about.fact];
  for (const int given : ask_of(draft, about).given) {
    const int pool = draft.relation_of(asked).slots[static_cast<std::size_t>(given)].pool;
    for (std::size_t other = 0; other < draft.facts().size(); ++other) {
      const DraftFact& by = draft.facts()[other];
      if (by.relation == asked.relation) continue;
      for (const auto& [slot, phrases] : draft.relation_of(by).refer) {
        const bool linked = draft.relation_of(by).slots[static_cast<std::size_t>(slot)].pool == pool &&
                            by.values[static_cast<std::size_t>(slot)] == asked.values[static_cast<std::size_t>(given)];
        if (linked) hops.push_back({other, given, slot, draft.draw_wording(phrases[draft.split()].size())});
      }
    }
  }
  return hops;
}

}  // namespace

const Ask& ask_of(const Draft& draft, const Question& question) {
  return draft.relation_of(draft.facts()[question.fact]).asks[question.ask];
}

bool reads_back(const Draft& draft, const Question& question) {
  const auto back = [](const DraftFact& fact, const std::vector<int>& answers, const std::vector<int>& given) {
    return first_place(fact, answers) < first_place(fact, given);
  };
  const Ask& ask = ask_of(draft, question);
  if (back(draft.facts()[question.fact], ask.answer_slots, ask.given)) return true;
  return question.hop &&
         back(draft.facts()[question.hop->fact], {question.hop->refer_slot}, slots_in(phrase_of(draft, *question.hop)));
}

std::vector<int> slots_in(const TextTemplate& text) {
  std::vector<int> slots;
  for (const auto& piece : text.pieces) {
    if (piece.slot != TextTemplate::kLiteral && std::find(slots.begin(), slots.end(), piece.slot) == slots.end())
      slots.push_back(piece.slot);
  }
  return slots;
}

bool is_determined(const Draft& draft, const Question& question) {
  return unique(draft, question.fact, ask_of(draft, question).given) &&
         (!question.hop || unique(draft, question.hop->fact, slots_in(phrase_of(draft, *question.hop))));
}

std::vector<Question> single_hop_questions(const Draft& draft) {
  std::vector<Question> questions = determined_questions(draft);
  for (auto& question : questions) choose_words(draft, question);
  std::erase_if(questions, [&](const Question& question) { return answers_itself(draft, question); });
  return questions;
}

std::vector<Question> two_hop_questions(const Draft& draft) {
  std::vector<Question> questions;
  for (const Question& about : determined_questions(draft)) {
    for (const Hop& hop : hops_to(draft, about)) {
      Question question = about;
      question.hop = hop;
      choose_words(draft, question);
      if (is_determined(draft, question) && !answers_itself(draft, question)) questions.push_back(std::move(question));
    }
  }
  return questions;
}

}  // namespace elastify
