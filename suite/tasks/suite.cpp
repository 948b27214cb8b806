#include "tasks/suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/output_folder.h"
#include "data/words.h"
#include "tasks/checker.h"
#include "tasks/shortcuts.h"

namespace elastify {
namespace {

using nlohmann::json;

struct Sums {
  std::int64_t items = 0;
  double words = 0, options = 0, chance = 0, two_hops = 0;
  Shortcuts shortcuts;
  std::vector<double> places;

  void add(const TaskItem& item) {
    ++items;
    words += static_cast<double>(words_of(item.context).size());
    options += static_cast<double>(item.options.size());
    chance += 1.0 / static_cast<double>(item.options.size());
    two_hops += item.hops == 2 ? 1 : 0;
    const Shortcuts chances = shortcut_chances(item);
    shortcuts.overlap += chances.overlap;
    shortcuts.mentions += chances.mentions;
    shortcuts.fewest += chances.fewest;
    shortcuts.lookup += chances.lookup;
    shortcuts.pairs += chances.pairs;
    places.resize(std::max(places.size(), item.options.size()));
    ++places[item.answer];
  }

  json means(const std::string& family, Split split) const {
    const double n = static_cast<double>(std::max<std::int64_t>(items, 1));
    std::vector<double> shares = places;
    for (auto& share : shares) share /= n;
    return {{"family", family},
            {"split", split_name(split)},
            {"items", items},
            {"words", words / n},
            {"options", options / n},
            {"chance", chance / n},
            {"overlap", shortcuts.overlap / n},
            {"mentions", shortcuts.mentions / n},
            {"fewest", shortcuts.fewest / n},
            {"lookup", shortcuts.lookup / n},
            {"pairs", shortcuts.pairs / n},
            {"two_hops", two_hops / n},
            {"answer_places", shares}};
  }
};

// What the splits have in common, counted in the items themselves.
class SplitWatch {
 public:
  explicit SplitWatch(const TaskBank& bank) {
    for (const auto& family : bank.families) {
      for (const auto& relation : family.relations) {
        for (const auto& slot : relation.slots) {
          const ValuePool& pool = bank.pools[static_cast<std::size_t>(slot.pool)];
          if (pool.named) type_of_[family.name + "/" + relation.name + "/" + slot.name] = pool.type;
        }
      }
    }
  }

  void add(Split split, const TaskItem& item) {
    const auto bit = static_cast<unsigned char>(1u << static_cast<unsigned>(split));
    for (const auto& fact : item.facts) {
      sentences_[fold_text(std::string_view(item.context).substr(fact.span.begin, fact.span.end - fact.span.begin))] |=
          bit;
      for (const auto& [slot, value] : fact.slots) {
        const auto type = type_of_.find(item.family + "/" + fact.relation + "/" + slot);
        if (type != type_of_.end()) values_[type->second + " " + fold_text(value)] |= bit;
      }
    }
  }

  std::vector<std::string> shared_values() const { return shared(values_); }
  std::size_t shared_sentences() const { return shared(sentences_).size(); }

 private:
  static std::vector<std::string> shared(const std::map<std::string, unsigned char>& splits_of) {
    std::vector<std::string> found;
    for (const auto& [text, splits] : splits_of) {
      if ((splits & (splits - 1)) != 0) found.push_back(text);
    }
    return found;
  }

  std::map<std::string, std::string> type_of_;
  std::map<std::string, unsigned char> values_, sentences_;  // text to the splits that hold it, one bit each
};

void check_item(const TaskItem& item) {
  const auto problems = check_task(item);
  if (!problems.empty()) fail_data("task {} is wrong: {}", item.id, fmt::join(problems, "; "));
}

}  // namespace

json make_suite(SuiteRequest request) {
  const TaskGenerator generator(load_task_bank(request.bank));
  if (!request.out.empty()) {
    request.out = output_path(request.out);
    std::vector<std::string> names;
    for (const Split split : kSplits) names.push_back(std::string(split_name(split)) + ".jsonl");
    if (request.recovery.items > 0) names.emplace_back("recovery.jsonl");
    claim_outputs(request.out, names);
  }
  SplitWatch watch(generator.bank());
  json rows = json::array();
  const auto families = generator.bank().families.size();
  for (const Split split : kSplits) {
    std::optional<AtomicFile> file;
    if (!request.out.empty()) file.emplace(request.out / (std::string(split_name(split)) + ".jsonl"));
    std::vector<Sums> sums(families);
    Progress progress(fmt::format("tasks: {}", split_name(split)),
                      request.items[split] * static_cast<std::int64_t>(families), "items");
    Difficulty difficulty;
    if (split == Split::kTrain) difficulty.max_questions = static_cast<std::size_t>(request.questions);
    std::int64_t written = 0;
    const auto add = [&](Sums& sum, const TaskItem& item) {
      check_item(item);
      watch.add(split, item);
      sum.add(item);
      const std::string line = format_task(item) + "\n";
      if (file) file->write(line.data(), line.size());
      progress.update(++written);
    };
    const std::int64_t wanted = request.items[split];
    const auto short_of_items = [&](const Sums& sum) { return sum.items < wanted; };
    for (std::uint64_t i = 0; std::any_of(sums.begin(), sums.end(), short_of_items); ++i) {
      for (std::size_t f = 0; f < families; ++f) {
        if (!short_of_items(sums[f])) continue;
        const auto context = generator.generate(split, generator.bank().families[f].name, request.seed, i, difficulty);
        for (const TaskItem& item : context.items) {
          if (short_of_items(sums[f])) add(sums[f], item);
        }
      }
    }
    if (file) file->commit();
    for (std::size_t f = 0; f < families; ++f) rows.push_back(sums[f].means(generator.bank().families[f].name, split));
  }
  if (!request.out.empty() && request.recovery.items > 0) {
    write_recovery_items(generator, request.recovery, request.seed, request.out / "recovery.jsonl");
  }
  const auto shared = watch.shared_values();
  if (!shared.empty()) fail_data("{} named values stand in two splits: {}", shared.size(), fmt::join(shared, ", "));
  return {{"bank", request.bank.string()},
          {"seed", request.seed},
          {"items", {request.items.of[0], request.items.of[1], request.items.of[2]}},
          {"families", rows},
          {"shared_values", shared.size()},
          {"shared_sentences", watch.shared_sentences()}};
}

std::string format_suite(const json& result) {
  std::string text = fmt::format("{:<16} {:<10} {:>6} {:>6} {:>7} {:>7} {:>8} {:>9} {:>7} {:>7} {:>7} {:>8}\n",
                                 "family", "split", "items", "words", "options", "chance", "overlap", "mentions",
                                 "fewest", "lookup", "pairs", "two hops");
  for (const auto& row : result.at("families")) {
    const auto percent = [&](const char* key) { return 100 * row.at(key).get<double>(); };
    text += fmt::format(
        "{:<16} {:<10} {:>6} {:>6.0f} {:>7.2f} {:>6.1f}% {:>7.1f}% {:>8.1f}% {:>6.1f}% {:>6.1f}% {:>6.1f}% {:>7.1f}%\n",
        row.at("family").get<std::string>(), row.at("split").get<std::string>(), row.at("items").get<std::int64_t>(),
        row.at("words").get<double>(), row.at("options").get<double>(), percent("chance"), percent("overlap"),
        percent("mentions"), percent("fewest"), percent("lookup"), percent("pairs"), percent("two_hops"));
  }
  return text + fmt::format("every answer derived again from its item; in two splits: {} named values, {} sentences\n",
                            result.at("shared_values").get<std::int64_t>(),
                            result.at("shared_sentences").get<std::int64_t>());
}

std::string show_tasks(const TaskGenerator& generator, const std::vector<std::string>& families, Split split,
                       std::uint64_t seed, std::int64_t count) {
  std::vector<std::string> names = families;
  if (names.empty()) {
    for (const auto& family : generator.bank().families) names.push_back(family.name);
  }
  std::string text;
  for (const auto& name : names) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto context = generator.generate(split, name, seed, static_cast<std::uint64_t>(i));
      const TaskItem& item = context.items.front();
      text += fmt::format("--- {} ({} facts, {} hop{})\n{}\n", item.id, item.fact_count, item.hops,
                          item.hops == 1 ? "" : "s", task_prompt(item));
      for (std::size_t o = 0; o < item.options.size(); ++o)
        text += fmt::format("  {} {}\n", o == item.answer ? "*" : "-", item.options[o]);
      for (const auto& problem : check_task(item)) text += fmt::format("WRONG: {}\n", problem);
    }
  }
  return text;
}

}  // namespace elastify
