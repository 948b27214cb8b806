#include "tasks/recovery_suite.h"

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/log.h"
#include "tasks/renaming.h"
#include "tasks/unit_draw.h"
#include "tasks/word_noise.h"

namespace elastify {
namespace {

// Two values may be given one invented name, though hardly ever.
bool options_differ(const TaskItem& item) {
  return std::set<std::string>(item.options.begin(), item.options.end()).size() == item.options.size();
}

std::vector<TaskItem> recovery_items(const TaskGenerator& generator, const RecoveryRequest& request,
                                     const std::string& family, std::uint64_t seed, std::uint64_t index) {
  Difficulty difficulty;
  difficulty.max_questions = static_cast<std::size_t>(request.questions);
  TaskContext context = generator.generate(Split::kTrain, family, derive_seed(seed, "recovery"), index, difficulty);
  std::mt19937_64 random(derive_seed(seed, "recovery wording", index));
  add_word_noise(context, request.word_noise * unit_draw(random), random);
  rename_values(context, generator.bank(), request.rename_share, random);
  std::vector<TaskItem> items;
  for (const TaskItem& item : context.items) {
    if (!options_differ(item)) continue;
    TaskItem& kept = items.emplace_back();
    kept.id = "recovery-" + item.id;
    kept.family = item.family;
    kept.slo = item.slo;
    kept.context = item.context;
    kept.question = item.question;
    kept.options = item.options;
    kept.answer = item.answer;
  }
  return items;
}

}  // namespace

void write_recovery_items(const TaskGenerator& generator, const RecoveryRequest& request, std::uint64_t seed,
                          const fs::path& path) {
  const auto& families = generator.bank().families;
  std::vector<std::int64_t> missing(families.size(), request.items);
  Progress progress("tasks: recovery", request.items * static_cast<std::int64_t>(families.size()), "items");
  AtomicFile file(path);
  std::int64_t written = 0;
  for (std::uint64_t index = 0; std::any_of(missing.begin(), missing.end(), [](std::int64_t n) { return n > 0; });
       ++index) {
    for (std::size_t f = 0; f < families.size(); ++f) {
      if (missing[f] == 0) continue;
      for (const TaskItem& item : recovery_items(generator, request, families[f].name, seed, index)) {
        if (missing[f] == 0) break;
        const std::string line = format_task(item) + "\n";
        file.write(line.data(), line.size());
        --missing[f];
        progress.update(++written);
      }
    }
  }
  file.commit();
}

}  // namespace elastify
