#include "pretrain/curriculum.h"

#include <algorithm>
#include <cmath>

#include "tasks/unit_draw.h"

namespace elastify {
namespace {

constexpr double kMostWordings = 14;  // as many as the banks' training splits hold of most statements

std::size_t percent(double share) { return static_cast<std::size_t>(std::lround(100 * share)); }

}  // namespace

double next_level(const PretrainDataConfig& data, double level, double done, std::int64_t answers, std::int64_t right) {
  if (data.curriculum_right == 0) return 1;
  const double by_clock =
      data.curriculum_share > 0 ? 2 * done / data.curriculum_share - 1 : 1;  // from half of the share on
  const bool learned =
      answers > 0 && static_cast<double>(right) >= data.curriculum_right * static_cast<double>(answers);
  return std::clamp(learned ? level + data.curriculum_step : level, std::clamp(by_clock, 0.0, 1.0), 1.0);
}

Difficulty difficulty_at(double level, const PretrainDataConfig& data, std::mt19937_64& random) {
  Difficulty difficulty;
  difficulty.max_questions = static_cast<std::size_t>(data.questions);
  difficulty.read_back = percent(data.read_back);
  difficulty.two_hops = percent(data.two_hops);
  if (unit_draw(random) < data.easy_share) level *= unit_draw(random);
  if (level >= 1) return difficulty;
  difficulty.one_relation = percent(data.one_relation * (1 - level));
  difficulty.max_facts = data.curriculum_facts + static_cast<std::int64_t>(level * 8);
  difficulty.max_filler = static_cast<std::int64_t>(level * 12);
  difficulty.max_wordings = 1 + static_cast<std::size_t>(level * kMostWordings);
  if (level < data.hops_from) difficulty.max_hops = 1;
  return difficulty;
}

}  // namespace elastify
