// Generated contexts: reproducible, answerable from the context alone, and without a way round it.
#include "tasks/generator.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "bank_copy.h"
#include "base/error.h"
#include "data/words.h"
#include "tasks/checker.h"
#include "tasks/shortcuts.h"

namespace {

using namespace elastify;

std::vector<std::filesystem::path> banks() {
  return {elastify_test::golden_bank(), std::filesystem::path(ELASTIFY_SOURCE_DIR) / "datasets/tasks"};
}

// Calls use(family, split, item) for `count` items of every family of every bank.
template <typename Use>
void for_items(std::uint64_t count, std::initializer_list<Split> splits, Use&& use) {
  for (const auto& path : banks()) {
    const TaskGenerator generator(load_task_bank(path));
    for (const auto& family : generator.bank().families) {
      for (const Split split : splits) {
        for (std::uint64_t i = 0; i < count; ++i) {
          for (const auto& item : generator.generate(split, family.name, 11, i).items) use(family, split, item);
        }
      }
    }
  }
}

// In the sentence of the asked fact: "Who brings the cake?" of "Leo brings the cake."
bool answer_stands_first(const TaskItem& item) {
  const auto first_of = [](const std::string& sentence, const std::string& value) {
    return std::min(sentence.find(value), sentence.find(with_capital(value)));
  };
  const std::string sentence =
      item.context.substr(item.relevant[0].begin, item.relevant[0].end - item.relevant[0].begin);
  std::size_t answer = std::string::npos, given = std::string::npos;
  for (const auto& value : item.option_values[item.answer]) answer = std::min(answer, first_of(sentence, value));
  for (const auto& [slot, value] : item.query->given) given = std::min(given, first_of(sentence, value));
  return answer < given;
}

}  // namespace

TEST_CASE("equal arguments give equal bytes in any order", "[tasks][unit]") {
  const TaskGenerator one(load_task_bank(elastify_test::golden_bank())),
      other(load_task_bank(elastify_test::golden_bank()));
  std::map<std::uint64_t, std::string> lines;
  for (std::uint64_t i = 0; i < 30; ++i) lines[i] = format_task(one.generate(Split::kTrain, "notes", 5, i).items[0]);
  for (std::uint64_t i = 30; i-- > 0;) {
    other.generate(Split::kTest, "calls", 5, i);
    CHECK(format_task(other.generate(Split::kTrain, "notes", 5, i).items[0]) == lines[i]);
  }
  std::set<std::string> contexts;
  for (std::uint64_t i = 0; i < 30; ++i) contexts.insert(one.generate(Split::kTrain, "notes", 5, i).text);
  CHECK(contexts.size() == 30);
  CHECK(one.generate(Split::kTrain, "notes", 6, 0).text != one.generate(Split::kTrain, "notes", 5, 0).text);
}

TEST_CASE("every answer is derived again from the item alone", "[tasks][unit]") {
  for_items(300, {Split::kTrain, Split::kValidation, Split::kTest},
            [](const Family& family, Split split, const TaskItem& item) {
              const auto problems = check_task(item);
              if (problems.empty()) return;
              FAIL_CHECK(family.name << " " << split_name(split) << " " << item.id << ": " << problems.front() << "\n"
                                     << task_prompt(item));
            });
}

TEST_CASE("contexts keep to the family's ranges and to caps", "[tasks][unit]") {
  for (const auto& path : banks()) {
    const TaskGenerator generator(load_task_bank(path));
    for (const auto& family : generator.bank().families) {
      Difficulty easy;
      easy.max_facts = 3;
      easy.max_filler = 1;
      easy.max_hops = 1;
      for (std::uint64_t i = 0; i < 100; ++i) {
        const auto full = generator.generate(Split::kTrain, family.name, 1, i);
        CHECK(full.facts.size() >= static_cast<std::size_t>(family.facts.low));
        CHECK(full.facts.size() <= static_cast<std::size_t>(family.facts.high));
        CHECK(full.items.size() == 1);
        const auto small = generator.generate(Split::kTrain, family.name, 1, i, easy);
        CHECK(small.facts.size() <= 3);
        CHECK(small.items[0].hops == 1);
        CHECK(small.text.size() < 600);
      }
    }
  }
}

TEST_CASE("several questions over one context differ and are sound", "[tasks][unit]") {
  for (const auto& path : banks()) {
    const TaskGenerator generator(load_task_bank(path));
    for (const auto& family : generator.bank().families) {
      Difficulty many;
      many.max_questions = 5;
      std::size_t total = 0;
      for (std::uint64_t i = 0; i < 60; ++i) {
        const auto context = generator.generate(Split::kTrain, family.name, 2, i, many);
        std::set<std::string> ids;
        std::set<std::pair<std::size_t, std::size_t>>
            asked;  // sentences of what is asked: one answer would tell another
        for (const auto& item : context.items) {
          for (const auto& span : item.relevant) CHECK(asked.insert({span.begin, span.end}).second);
          CHECK(item.context == context.text);
          CHECK(check_task(item).empty());
          ids.insert(item.id);
        }
        CHECK(ids.size() == context.items.size());
        CHECK(context.items.size() <= 5);
        total += context.items.size();
      }
      CHECK(total > 60 * 2);
    }
  }
}

TEST_CASE("the right option is at every place equally often", "[tasks][unit]") {
  for (const auto& path : banks()) {
    const TaskGenerator generator(load_task_bank(path));
    for (const auto& family : generator.bank().families) {
      std::map<std::size_t, std::vector<double>> counts;  // by number of options
      for (std::uint64_t i = 0; i < 1500; ++i) {
        const auto item = generator.generate(Split::kTrain, family.name, 4, i).items[0];
        auto& places = counts[item.options.size()];
        places.resize(item.options.size());
        ++places[item.answer];
      }
      const auto& four = counts[4];
      REQUIRE(four.size() == 4);
      double total = 0;
      for (const double n : four) total += n;
      CHECK(total > 1000);
      double chi = 0;
      for (const double n : four) chi += (n - total / 4) * (n - total / 4) / (total / 4);
      CHECK(chi < 16.3);  // 3 degrees of freedom, 0.1 %
    }
  }
}

TEST_CASE("items of the shipped families have four options", "[tasks][unit]") {
  const TaskGenerator generator(load_task_bank(banks()[1]));
  for (const auto& family : generator.bank().families) {
    for (const Split split : kSplits) {
      for (std::uint64_t i = 0; i < 100; ++i)
        CHECK(generator.generate(split, family.name, 6, i).items[0].options.size() == 4);
    }
  }
}

TEST_CASE("facts stand anywhere in the context", "[tasks][unit]") {
  std::map<std::string, std::pair<double, double>> sums;
  for_items(400, {Split::kTrain}, [&](const Family& family, Split, const TaskItem& item) {
    std::size_t before = 0;
    for (const auto& fact : item.facts) before += fact.span.begin < item.relevant[0].begin ? 1 : 0;
    if (item.hops != 1) return;
    sums[family.name].first += static_cast<double>(before) / static_cast<double>(item.facts.size() - 1);
    sums[family.name].second += 1;
  });
  for (const auto& [family, sum] : sums) {
    INFO(family);
    CHECK(std::abs(sum.first / sum.second - 0.5) <
          4 * 0.35 / std::sqrt(sum.second));  // the figure's own deviation is below 0.35
  }
}

TEST_CASE("counting words finds no answer", "[tasks][unit]") {
  std::map<std::string, std::array<double, 5>> sums;
  for_items(1200, {Split::kTrain}, [&](const Family& family, Split, const TaskItem& item) {
    const Shortcuts chances = shortcut_chances(item);
    auto& sum = sums[family.name];
    sum[0] += chances.overlap;
    sum[1] += chances.mentions;
    sum[2] += chances.fewest;
    sum[3] += 1.0 / static_cast<double>(item.options.size());
    sum[4] += 1;
  });
  for (const auto& [family, sum] : sums) {
    INFO(family);
    const double chance = sum[3] / sum[4];
    for (int i = 0; i < 3; ++i) {
      CAPTURE(i, sum[static_cast<std::size_t>(i)] / sum[4], chance);
      CHECK(std::abs(sum[static_cast<std::size_t>(i)] / sum[4] - chance) < 0.05);
    }
  }
}

TEST_CASE("lent answers tell nothing by how many share a function", "[tasks][unit]") {
  // If the asked fact's relation were commoner among the options than others, options alone would tell.
  const TaskGenerator generator(load_task_bank(elastify_test::golden_bank()));
  double right = 0, expected = 0, n = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    const auto item = generator.generate(Split::kTrain, "calls", 9, i).items[0];
    std::map<std::string, double> functions;
    for (const auto& option : item.options) ++functions[option.substr(0, option.find('('))];
    if (functions.size() != 2 || item.options.size() != 4) continue;
    const double own = functions[item.options[item.answer].substr(0, item.options[item.answer].find('('))];
    if (own == 2) continue;  // two and two
    right += own == 3 ? 1 : 0;
    expected += 0.75;
    ++n;
  }
  REQUIRE(n > 200);
  CHECK(std::abs(right - expected) < 4 * std::sqrt(n * 0.75 * 0.25));
}

TEST_CASE("splits share no named value", "[tasks][unit]") {
  for (const auto& path : banks()) {
    const TaskBank bank = load_task_bank(path);
    const TaskGenerator generator(bank);
    for (const auto& family : bank.families) {
      std::map<std::string, Split> seen;
      for (const Split split : kSplits) {
        for (std::uint64_t i = 0; i < 150; ++i) {
          const auto context = generator.generate(split, family.name, 1, i);
          for (const auto& fact : context.facts) {
            for (const auto& relation : family.relations) {
              if (relation.name != fact.relation) continue;
              for (const auto& slot : relation.slots) {
                if (!bank.pools[static_cast<std::size_t>(slot.pool)].named) continue;
                const auto [found, fresh] = seen.emplace(fold_text(fact.slots.at(slot.name)), split);
                if (!fresh && found->second != split) FAIL_CHECK(family.name << ": " << found->first);
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("two hops keep their share and mark both sentences", "[tasks][unit]") {
  const TaskGenerator generator(load_task_bank(elastify_test::golden_bank()));
  int two_hops = 0;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const auto item = generator.generate(Split::kTrain, "notes", 1, i).items[0];
    CHECK(item.relevant.size() == static_cast<std::size_t>(item.hops));
    two_hops += item.hops == 2 ? 1 : 0;
  }
  CHECK(two_hops > 50);  // a quarter of 300, three deviations of 7.5
  CHECK(two_hops < 100);
}

TEST_CASE("most answers stand after what the question names", "[tasks][unit]") {
  std::size_t back = 0, all = 0;
  for_items(120, {Split::kTrain, Split::kTest}, [&](const Family&, Split, const TaskItem& item) {
    if (item.hops != 1) return;
    back += answer_stands_first(item);
    ++all;
  });
  const double share = static_cast<double>(back) / static_cast<double>(all);
  CHECK(share > 0.08);
  CHECK(share < 0.25);  // about 45 % of the questions that could be asked
}

TEST_CASE("contexts have the shares that their difficulty asks for", "[tasks][unit]") {
  const TaskGenerator generator(load_task_bank(elastify_test::golden_bank()));
  struct Counts {
    int two_hops = 0, first = 0, one_relation = 0;
  };
  const auto count = [&](const Difficulty& difficulty) {
    Counts counts;
    for (std::uint64_t i = 0; i < 200; ++i) {
      const auto context = generator.generate(Split::kTrain, "notes", 4, i, difficulty);
      const auto& item = context.items[0];
      CHECK(check_task(item).empty());
      counts.two_hops += item.hops == 2;
      counts.first += item.hops == 1 && answer_stands_first(item);
      std::set<std::string> relations;
      for (const auto& fact : context.facts) relations.insert(fact.relation);
      counts.one_relation += relations.size() == 1;
    }
    return counts;
  };
  Difficulty difficulty;
  const Counts usual = count(difficulty);
  CHECK(usual.one_relation < 20);
  difficulty.two_hops = 0;
  CHECK(count(difficulty).two_hops == 0);
  difficulty.one_relation = 100;
  CHECK(count(difficulty).one_relation == 200);
  difficulty.read_back = 0;
  CHECK(count(difficulty).first == 0);
  difficulty.read_back = 100;
  CHECK(count(difficulty).first > usual.first + 20);
  difficulty.two_hops = 100;
  CHECK(count(difficulty).two_hops > 180);  // a context whose chain leaves too few options is drawn again without
}

TEST_CASE("options of two hops combine a wrong link and a wrong answer with the right ones", "[tasks][unit]") {
  std::size_t seen = 0;
  for_items(120, {Split::kTrain, Split::kTest}, [&](const Family&, Split, const TaskItem& item) {
    if (item.hops == 1) return;
    ++seen;
    const auto& [slot, reference] = *item.query->referred.begin();
    CHECK(item.query->answer.starts_with("{" + slot + "}: "));
    std::map<std::string, int> links, answers;
    for (const std::string& option : item.options) {
      const auto colon = option.find(": ");
      REQUIRE(colon != std::string::npos);
      ++links[option.substr(0, colon)];
      ++answers[option.substr(colon)];
    }
    CHECK(item.options.size() == 4);
    CHECK((links.size() == 2 && links.begin()->second == 2));
    CHECK((answers.size() == 2 && answers.begin()->second == 2));
  });
  CHECK(seen > 50);
}

TEST_CASE("a question of two hops without a wrong link is left out", "[tasks][unit]") {
  const TaskGenerator generator(load_task_bank(std::filesystem::path(ELASTIFY_SOURCE_DIR) / "datasets/tasks"));
  Difficulty difficulty;
  difficulty.two_hops = 40;
  difficulty.read_back = 50;
  difficulty.max_questions = 8;
  std::size_t hops = 0;
  for (std::int64_t facts = 2; facts <= 5; ++facts) {
    difficulty.max_facts = facts;
    difficulty.max_filler = facts;
    for (std::uint64_t i = 0; i < 100; ++i) {
      for (const auto& family : generator.bank().families) {
        for (const auto& item : generator.generate(Split::kTrain, family.name, 8, i, difficulty).items) {
          CHECK(item.options.size() > 1);
          hops += item.hops == 2;
        }
      }
    }
  }
  CHECK(hops > 200);
}

TEST_CASE("unknown families and caps out of range are refused", "[tasks][unit]") {
  const TaskGenerator generator(load_task_bank(elastify_test::golden_bank()));
  CHECK_THROWS_AS(generator.generate(Split::kTrain, "poems", 1, 0), Error);
  Difficulty none;
  none.max_questions = 0;
  CHECK_THROWS_AS(generator.generate(Split::kTrain, "notes", 1, 0, none), Error);
  Difficulty one;
  one.max_facts = 1;
  CHECK_THROWS_AS(generator.generate(Split::kTrain, "notes", 1, 0, one), Error);
  Difficulty mute;
  mute.max_wordings = 0;
  CHECK_THROWS_AS(generator.generate(Split::kTrain, "notes", 1, 0, mute), Error);
}

TEST_CASE("a cap on wordings leaves the first ones only", "[tasks][unit]") {
  const TaskGenerator generator(load_task_bank(elastify_test::golden_bank()));
  Difficulty one;
  one.max_wordings = 1;
  const auto sentences = [&](const Difficulty& difficulty) {
    std::map<std::string, std::set<std::string>> found;  // relation to sentences without values
    for (std::uint64_t i = 0; i < 60; ++i) {
      const auto context = generator.generate(Split::kTrain, "notes", 1, i, difficulty);
      for (const auto& fact : context.facts) {
        std::string sentence =
            elastify::fold_text(context.text.substr(fact.span.begin, fact.span.end - fact.span.begin));
        for (const auto& [slot, value] : fact.slots) {
          const std::string folded = elastify::fold_text(value);
          for (std::size_t at = sentence.find(folded); at != std::string::npos; at = sentence.find(folded))
            sentence.replace(at, folded.size(), "<" + slot + ">");
        }
        found[fact.relation].insert(sentence);
      }
      for (const auto& item : context.items) CHECK(check_task(item).empty());
    }
    return found;
  };
  for (const auto& [relation, wordings] : sentences(one)) {
    INFO(relation);
    CHECK(wordings.size() == 1);
  }
  std::size_t most = 0;
  for (const auto& [relation, wordings] : sentences({})) most = std::max(most, wordings.size());
  CHECK(most > 1);
}
