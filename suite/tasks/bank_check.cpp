#include "tasks/bank_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "data/words.h"

namespace elastify {
namespace {

// A list of templates with its place; pool_of maps a mark to its pool.
struct TemplateList {
  std::string place;
  const Templates* templates;
  std::function<int(int)> pool_of;
  bool frozen;  // must differ between splits; answers need not
};

int same_pool(int slot) { return slot; }

std::vector<TemplateList> lists_of(const TaskBank& bank) {
  std::vector<TemplateList> lists;
  for (const auto& family : bank.families) {
    const std::string file = family.name + ".json ";
    lists.push_back({file + "openings", &family.openings, same_pool, true});
    lists.push_back({file + "filler", &family.filler, same_pool, true});
    for (std::size_t r = 0; r < family.relations.size(); ++r) {
      const Relation& relation = family.relations[r];
      const std::string place = fmt::format("{}relations[{}:{}].", file, r, relation.name);
      const auto pool_of = [&relation](int slot) { return relation.slots[static_cast<std::size_t>(slot)].pool; };
      lists.push_back({place + "statements", &relation.statements, pool_of, true});
      for (std::size_t a = 0; a < relation.asks.size(); ++a) {
        lists.push_back({fmt::format("{}asks[{}].questions", place, a), &relation.asks[a].questions, pool_of, true});
        lists.push_back({fmt::format("{}asks[{}].answers", place, a), &relation.asks[a].answers, pool_of, false});
      }
      for (const auto& [slot, phrases] : relation.refer) {
        lists.push_back(
            {place + "refer." + relation.slots[static_cast<std::size_t>(slot)].name, &phrases, pool_of, true});
      }
    }
  }
  return lists;
}

std::string shape_of(const TextTemplate& text, const TaskBank& bank, const TemplateList& list) {
  std::string shape;
  for (const auto& piece : text.pieces) {
    const bool literal = piece.slot == TextTemplate::kLiteral;
    shape += literal ? piece.text
                     : fmt::format("{{{}}}", bank.pools[static_cast<std::size_t>(list.pool_of(piece.slot))].type);
  }
  return fold_text(shape);
}

void check_templates(const TaskBank& bank, const std::vector<TemplateList>& lists, BankReport& report) {
  struct Seen {
    Split split;
    std::string place, list;
  };
  std::map<std::string, Seen> seen;
  for (const auto& list : lists) {
    if (!list.frozen) continue;
    for (const Split split : kSplits) {
      const auto& texts = (*list.templates)[split];
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::string place = fmt::format("{}.{}[{}]", list.place, split_name(split), i);
        const auto [found, fresh] = seen.emplace(shape_of(texts[i], bank, list), Seen{split, place, list.place});
        if (fresh) continue;
        if (found->second.split != split) {
          report.problems.push_back(
              fmt::format("{}: \"{}\" also stands in another split: {}", place, texts[i].source, found->second.place));
        } else if (found->second.list == list.place) {
          report.warnings.push_back(fmt::format("{}: \"{}\" stands twice in its list", place, texts[i].source));
        }
      }
    }
  }
}

void check_values(const TaskBank& bank, const BankSources& sources, BankReport& report) {
  static const std::set<std::string> kFunctionWords{"a",  "an", "the", "of",   "and",  "or", "in", "on",
                                                    "at", "to", "for", "with", "from", "by", "my", "s"};
  std::set<std::string> generic = kFunctionWords;
  for (const auto& text : sources.generic_words) {
    for (const auto& word : words_of(text)) generic.insert(word);
  }
  std::map<std::string, std::map<Split, std::string>> places_of_word;
  for (std::size_t p = 0; p < bank.pools.size(); ++p) {
    const ValuePool& pool = bank.pools[p];
    if (p >= sources.split_pools.size() || !sources.split_pools[p]) continue;
    std::map<std::string, Split> seen;
    for (const Split split : kSplits) {
      for (const auto& value : pool.values[split]) {
        const auto [found, fresh] = seen.emplace(fold_text(value.source), split);
        if (!fresh && found->second != split) {
          report.problems.push_back(fmt::format("pools {}: the value \"{}\" stands in {} and {}", pool.type,
                                                value.source, split_name(found->second), split_name(split)));
        } else if (!fresh) {
          report.warnings.push_back(
              fmt::format("pools {}.{}: the value \"{}\" stands twice", pool.type, split_name(split), value.source));
        }
        for (const auto& piece : value.pieces) {
          if (piece.slot != TextTemplate::kLiteral) continue;
          for (const auto& word : words_of(piece.text))
            places_of_word[word].emplace(split,
                                         fmt::format("{} \"{}\" ({})", pool.type, value.source, split_name(split)));
        }
      }
    }
  }
  for (const auto& [word, places] : places_of_word) {
    if (places.size() < 2 || generic.count(word) != 0) continue;
    std::vector<std::string> where;
    for (const auto& [split, place] : places) where.push_back(place);
    report.warnings.push_back(
        fmt::format("pools: the word {} stands in values of several splits: {}", word, fmt::join(where, ", ")));
  }
}

// A model cannot know a word that training never showed.
void check_vocabulary(const TaskBank& bank, const std::vector<TemplateList>& lists, BankReport& report) {
  std::set<std::string> known;
  const auto learn = [&](const TextTemplate& text) {
    for (const auto& piece : text.pieces) {
      if (piece.slot != TextTemplate::kLiteral) continue;
      for (const auto& word : words_of(piece.text)) known.insert(word);
    }
  };
  for (const auto& pool : bank.pools)
    std::for_each(pool.values[Split::kTrain].begin(), pool.values[Split::kTrain].end(), learn);
  for (const auto& list : lists)
    std::for_each((*list.templates)[Split::kTrain].begin(), (*list.templates)[Split::kTrain].end(), learn);
  std::set<std::string> reported;
  for (const auto& list : lists) {
    for (const Split split : {Split::kValidation, Split::kTest}) {
      for (std::size_t i = 0; i < (*list.templates)[split].size(); ++i) {
        for (const auto& piece : (*list.templates)[split][i].pieces) {
          if (piece.slot != TextTemplate::kLiteral) continue;
          for (const auto& word : words_of(piece.text)) {
            if (known.count(word) != 0 || !reported.insert(word).second) continue;
            report.warnings.push_back(fmt::format("{}.{}[{}]: the word {} stands in no training text", list.place,
                                                  split_name(split), i, word));
          }
        }
      }
    }
  }
}

void check_asks(const TaskBank& bank, BankReport& report) {
  for (const auto& family : bank.families) {
    for (std::size_t r = 0; r < family.relations.size(); ++r) {
      const Relation& relation = family.relations[r];
      for (std::size_t a = 0; a < relation.asks.size(); ++a) {
        for (const Split split : kSplits) {
          const bool varied =
              std::any_of(relation.asks[a].answer_slots.begin(), relation.asks[a].answer_slots.end(), [&](int slot) {
                return bank.pools[static_cast<std::size_t>(relation.slots[static_cast<std::size_t>(slot)].pool)]
                           .value_count[split] >= 2;
              });
          if (varied || relation.asks[a].answer_slots.empty()) continue;
          report.problems.push_back(
              fmt::format("{}.json relations[{}:{}].asks[{}]: at least 2 options are needed, but every answer slot has "
                          "fewer than 2 values in {}",
                          family.name, r, relation.name, a, split_name(split)));
        }
      }
    }
  }
}

void check_amounts(const TaskBank& bank, const std::vector<TemplateList>& lists, BankReport& report) {
  constexpr BySplit<std::size_t> kFewest{{5, 2, 3}};
  for (const auto& list : lists) {
    if (!list.frozen || list.place.find(".refer.") != std::string::npos) continue;
    for (const Split split : kSplits) {
      const std::size_t count = (*list.templates)[split].size();
      if (count < kFewest[split])
        report.warnings.push_back(fmt::format("{}.{}: {} texts are few; {} or more are meant", list.place,
                                              split_name(split), count, kFewest[split]));
    }
  }
  for (const auto& family : bank.families) {
    for (const Split split : kSplits) {
      const auto count = static_cast<std::int64_t>(family.filler[split].size());
      if (count < family.filler_sentences.high) {
        report.warnings.push_back(fmt::format("{}.json filler.{}: {} texts, fewer than filler_sentences allows ({})",
                                              family.name, split_name(split), count, family.filler_sentences.high));
      }
    }
    std::size_t pairs = 0;
    for (const auto& by : family.relations) {
      for (const auto& [slot, phrases] : by.refer) {
        for (const auto& about : family.relations) {
          if (&about == &by) continue;
          for (const auto& ask : about.asks) {
            pairs +=
                static_cast<std::size_t>(std::count_if(ask.given.begin(), ask.given.end(), [&, s = slot](int given) {
                  return about.slots[static_cast<std::size_t>(given)].pool ==
                         by.slots[static_cast<std::size_t>(s)].pool;
                }));
          }
        }
      }
    }
    if (pairs == 0)
      report.warnings.push_back(
          fmt::format("{}.json: no two-hop questions: no refer fits a given slot of another relation", family.name));
  }
}

}  // namespace

void check_bank(const TaskBank& bank, const BankSources& sources, BankReport& report) {
  const auto lists = lists_of(bank);
  check_templates(bank, lists, report);
  check_values(bank, sources, report);
  check_asks(bank, report);
  check_vocabulary(bank, lists, report);
  check_amounts(bank, lists, report);
}

}  // namespace elastify
