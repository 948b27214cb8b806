#include "tasks/bank.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "tasks/bank_check.h"
#include "tasks/family_reader.h"
#include "tasks/json_place.h"
#include "tasks/text_template.h"

namespace elastify {
namespace {

std::vector<fs::path> json_files(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

int pool_index(const TaskBank& bank, std::string_view type) {
  const auto found = std::lower_bound(bank.pools.begin(), bank.pools.end(), type,
                                      [](const ValuePool& pool, std::string_view t) { return pool.type < t; });
  return found != bank.pools.end() && found->type == type ? static_cast<int>(found - bank.pools.begin())
                                                          : TextTemplate::kLiteral;
}

// Values may refer to any type of any file: all types first, then their values.
class PoolsReader {
 public:
  PoolsReader(TaskBank& bank, BankSources& sources, BankReport& report)
      : bank_(bank), sources_(sources), report_(report) {}

  void read(const fs::path& directory) {
    for (const auto& path : json_files(directory)) {
      const std::string name = "pools/" + path.filename().string();
      if (auto document = read_strict_json(path, name, report_.problems))
        documents_.emplace_back(name, std::move(*document));
    }
    if (documents_.empty())
      report_.problems.push_back(fmt::format("{}: expected files with pools of values, *.json", directory.string()));
    for (const auto& [name, document] : documents_) collect(JsonPlace(document, name, "", report_.problems));
    for (const auto& [type, place] : types_) bank_.pools.push_back({type, {}, false, {}});
    for (std::size_t i = 0; i < bank_.pools.size(); ++i) read_pool(i);
  }

 private:
  void collect(const JsonPlace& root) {
    for (const auto& [type, place] : root.members()) {
      if (type == "about") {
        place.text();
      } else if (type == "generic_words") {
        for (const auto& word : place.texts()) sources_.generic_words.insert(word);
      } else if (!types_.emplace(type, place).second) {
        place.problem("the type is defined twice");
      }
    }
  }

  void read_pool(std::size_t index) {
    ValuePool& pool = bank_.pools[index];
    const JsonPlace& place = types_.at(pool.type);
    bool all = false;
    pool.values = read_templates(
        place, [this](std::string_view type) { return pool_index(bank_, type); }, true, &all);
    pool.named = !all;
    sources_.split_pools.resize(bank_.pools.size());
    sources_.split_pools[index] = !all;
  }

  TaskBank& bank_;
  BankSources& sources_;
  BankReport& report_;
  std::vector<std::pair<std::string, nlohmann::json>> documents_;
  std::map<std::string, JsonPlace> types_;
};

// The number of values of every pool, and whether they differ between splits. A type that contains itself is a problem.
class PoolSizes {
 public:
  PoolSizes(TaskBank& bank, BankReport& report) : bank_(bank), report_(report), state_(bank.pools.size(), State::kNew) {
    for (std::size_t i = 0; i < bank_.pools.size(); ++i) visit(i);
  }

 private:
  enum class State { kNew, kOpen, kDone };

  void visit(std::size_t index) {
    ValuePool& pool = bank_.pools[index];
    if (state_[index] == State::kDone) return;
    if (state_[index] == State::kOpen) {
      report_.problems.push_back(fmt::format("pools: the type {} contains itself", pool.type));
      return;
    }
    state_[index] = State::kOpen;
    for (const Split split : kSplits) {
      double count = 0;
      for (const auto& value : pool.values[split]) {
        double ways = 1;
        for (const auto& piece : value.pieces) {
          if (piece.slot == TextTemplate::kLiteral) continue;
          const auto other = static_cast<std::size_t>(piece.slot);
          visit(other);
          ways *= bank_.pools[other].value_count[split];
          pool.named = pool.named || bank_.pools[other].named;
        }
        count += ways;
      }
      pool.value_count[split] = count;
    }
    state_[index] = State::kDone;
  }

  TaskBank& bank_;
  BankReport& report_;
  std::vector<State> state_;
};

}  // namespace

std::string_view split_name(Split split) {
  constexpr std::array<std::string_view, 3> kNames{"train", "validation", "test"};
  return kNames[static_cast<std::size_t>(split)];
}

const Family& TaskBank::family(std::string_view name) const {
  std::vector<std::string> known;
  for (const auto& family : families) {
    if (family.name == name) return family;
    known.push_back(family.name);
  }
  fail_usage("the task bank has no family {}; it has {}", name, fmt::join(known, ", "));
}

TaskBank read_task_bank(const fs::path& directory, BankReport& report) {
  if (!fs::is_directory(directory))
    fail_data("{} is not a folder: expected a task bank (pools/*.json and one .json file per family)",
              directory.string());
  TaskBank bank;
  BankSources sources;
  PoolsReader(bank, sources, report).read(directory / "pools");
  PoolSizes(bank, report);
  for (const auto& path : json_files(directory)) {
    const std::string name = path.filename().string();
    const auto document = read_strict_json(path, name, report.problems);
    if (!document) continue;
    const JsonPlace root(*document, name, "", report.problems);
    if (const auto about = root.find("about")) about->text();
    bank.families.push_back(
        read_family(root, path.stem().string(), [&](std::string_view type) { return pool_index(bank, type); }));
  }
  if (bank.families.empty())
    report.problems.push_back(fmt::format("{}: expected one .json file per family, found none", directory.string()));
  if (!bank.pools.empty()) check_bank(bank, sources, report);
  return bank;
}

TaskBank load_task_bank(const fs::path& directory) {
  BankReport report;
  TaskBank bank = read_task_bank(directory, report);
  for (const auto& warning : report.warnings) spdlog::debug("{}", warning);
  if (!report.problems.empty()) {
    fail_data("the task bank {} has {} problem{}:\n  {}", directory.string(), report.problems.size(),
              report.problems.size() == 1 ? "" : "s", fmt::join(report.problems, "\n  "));
  }
  return bank;
}

}  // namespace elastify
