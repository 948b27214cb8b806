#include "tasks/renaming.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <vector>

#include "tasks/unit_draw.h"

namespace elastify {
namespace {

template <typename Choices>
auto choose(const Choices& choices, std::mt19937_64& random) {
  return choices[random() % std::size(choices)];
}

bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80;
}

std::string capitalised(std::string word) {
  word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
  return word;
}

// Words of three letters and more are invented again with chance 0.7; short ones ("of", "the") and numbers stay.
std::string rename(const std::string& value, std::mt19937_64& random) {
  std::string renamed;
  for (std::size_t begin = 0; begin < value.size();) {
    std::size_t end = begin;
    while (end < value.size() && is_letter(value[end])) ++end;
    const std::string word = value.substr(begin, end - begin);
    if (word.size() >= 3 && chance(0.7, random)) {
      const std::string invented = invent_word(random);
      renamed += std::isupper(static_cast<unsigned char>(word[0])) != 0 ? capitalised(invented) : invented;
    } else {
      renamed += word;
    }
    if (end < value.size()) renamed += value[end];
    begin = end + 1;
  }
  return renamed;
}

using Renaming = std::pair<std::string, std::string>;  // value, new name

void replace_all(const std::vector<Renaming>& renamings, std::string& text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const bool starts_word = at == 0 || !is_letter(text[at - 1]);
    const auto matches = [&](const Renaming& renaming) {
      const std::size_t end = at + renaming.first.size();
      return starts_word && text.compare(at, renaming.first.size(), renaming.first) == 0 &&
             (end >= text.size() || !is_letter(text[end]));
    };
    const auto found = std::find_if(renamings.begin(), renamings.end(), matches);
    if (found == renamings.end()) {
      result += text[at++];
    } else {
      result += found->second;
      at += found->first.size();
    }
  }
  text = std::move(result);
}

void rename_slots(const std::vector<Renaming>& renamings, SlotValues& slots) {
  for (auto& [slot, value] : slots) replace_all(renamings, value);
}

const Relation* relation_of(const Family& family, const std::string& name) {
  const auto found =
      std::find_if(family.relations.begin(), family.relations.end(), [&](const Relation& r) { return r.name == name; });
  return found == family.relations.end() ? nullptr : &*found;
}

// Every named value of the facts once, in the order of the facts.
std::vector<std::string> named_values(const TaskContext& context, const TaskBank& bank) {
  const Family& family = bank.family(context.family);
  std::vector<std::string> values;
  for (const TaskFact& fact : context.facts) {
    const Relation* relation = relation_of(family, fact.relation);
    if (relation == nullptr) continue;
    for (const RelationSlot& slot : relation->slots) {
      const auto value = fact.slots.find(slot.name);
      if (value == fact.slots.end() || !bank.pools[static_cast<std::size_t>(slot.pool)].named) continue;
      if (std::find(values.begin(), values.end(), value->second) == values.end()) values.push_back(value->second);
    }
  }
  return values;
}

}  // namespace

std::string invent_word(std::mt19937_64& random) {
  using namespace std::string_view_literals;
  static constexpr std::array kOnsets = {""sv,   "b"sv,  "br"sv, "c"sv,  "ch"sv, "cl"sv, "d"sv,  "dr"sv, "f"sv,
                                         "fl"sv, "g"sv,  "gr"sv, "h"sv,  "j"sv,  "k"sv,  "l"sv,  "m"sv,  "n"sv,
                                         "p"sv,  "pl"sv, "pr"sv, "qu"sv, "r"sv,  "s"sv,  "sh"sv, "sk"sv, "sp"sv,
                                         "st"sv, "t"sv,  "th"sv, "tr"sv, "v"sv,  "w"sv,  "z"sv};
  static constexpr std::array kVowels = {"a"sv, "a"sv,  "e"sv,  "e"sv,  "i"sv,  "i"sv,  "o"sv,  "o"sv,
                                         "u"sv, "ai"sv, "ea"sv, "ee"sv, "ie"sv, "oo"sv, "ou"sv, "y"sv};
  static constexpr std::array kCodas = {""sv,  ""sv,   ""sv,   ""sv,   "n"sv,  "r"sv,  "l"sv, "s"sv, "t"sv,
                                        "m"sv, "ck"sv, "nd"sv, "rt"sv, "sh"sv, "ng"sv, "x"sv, "d"sv, "p"sv};
  std::string word;
  for (std::size_t syllables = 1 + random() % 3; syllables > 0; --syllables) {
    word += choose(kOnsets, random);
    word += choose(kVowels, random);
    word += choose(kCodas, random);
  }
  return word.size() >= 3 ? word : word + "na";
}

void rename_values(TaskContext& context, const TaskBank& bank, double share, std::mt19937_64& random) {
  std::vector<Renaming> renamings;
  for (const std::string& value : named_values(context, bank)) {
    if (!chance(share, random)) continue;
    const std::string name = rename(value, random);
    renamings.emplace_back(value, name);
    if (capitalised(value) != value)
      renamings.emplace_back(capitalised(value), capitalised(name));  // at the start of a sentence
  }
  // Longest first: a value may begin with another.
  std::stable_sort(renamings.begin(), renamings.end(),
                   [](const Renaming& a, const Renaming& b) { return a.first.size() > b.first.size(); });
  replace_all(renamings, context.text);
  for (TaskFact& fact : context.facts) rename_slots(renamings, fact.slots);
  for (TaskItem& item : context.items) {
    item.context = context.text;
    replace_all(renamings, item.question);
    for (std::string& option : item.options) replace_all(renamings, option);
    for (auto& values : item.option_values) {
      for (std::string& value : values) replace_all(renamings, value);
    }
    if (!item.query) continue;
    rename_slots(renamings, item.query->given);
    for (auto& [slot, reference] : item.query->referred) rename_slots(renamings, reference.given);
  }
}

}  // namespace elastify
