#include <algorithm>
#include <cmath>
#include <string>

#include "elrt/format.h"
#include "model/model_checks.hpp"

namespace elrt {
namespace {

namespace key = format::key;
using gguf::Metadata;
using Counts = std::vector<std::uint32_t>;

std::string quoted(const char* name) { return "key '" + std::string(name) + "' "; }

Result<void> read_percentages(const Metadata& metadata, std::vector<LevelData>* levels) {
  const auto* percent = gguf::find<Counts>(metadata, key::kLevels);
  if (percent == nullptr || percent->empty() || percent->size() > format::kMaxLevels) {
    return bad_data(quoted(key::kLevels) + "is missing or is not 1 to " + std::to_string(format::kMaxLevels) +
                    " u32 values");
  }
  std::uint32_t before = 0;
  for (const std::uint32_t level : *percent) {
    if (level <= before) return bad_data(quoted(key::kLevels) + "is not ascending from 1 at " + std::to_string(level));
    levels->emplace_back().percent = before = level;
  }
  if (before != format::kFullLevel)
    return bad_data(quoted(key::kLevels) + "ends at " + std::to_string(before) + ", expected 100");
  return {};
}

// One plan array, level-major, proven in range, nested and whole at the last level.
Result<void> read_plan(const Metadata& metadata, const char* name, std::uint32_t layers, std::uint32_t full,
                       Counts LevelData::*member, std::vector<LevelData>* levels) {
  const auto* plan = gguf::find<Counts>(metadata, name);
  const std::size_t expected = levels->size() * layers;
  if (plan == nullptr || plan->size() != expected) {
    return bad_data(quoted(name) + "is missing or does not hold " + std::to_string(expected) +
                    " u32 values (levels x layers)");
  }
  for (std::size_t i = 0; i < plan->size(); ++i) {
    const std::uint32_t count = (*plan)[i], low = i < layers ? 0 : (*plan)[i - layers];
    const std::uint32_t least = i / layers + 1 == levels->size() ? full : low;
    if (count < std::max(low, least) || count > full) {
      return bad_data(quoted(name) + "gives layer " + std::to_string(i % layers) + " at level " +
                      std::to_string((*levels)[i / layers].percent) + " a count of " + std::to_string(count) +
                      ", expected " + std::to_string(std::max(low, least)) + " to " + std::to_string(full) +
                      " (levels nest and the last is whole)");
    }
  }
  for (std::size_t level = 0; level < levels->size(); ++level) {
    const auto begin = plan->begin() + static_cast<std::ptrdiff_t>(level * layers);
    ((*levels)[level].*member).assign(begin, begin + layers);
  }
  return {};
}

Result<LevelData*> take_adapter_level(const char* key, std::uint32_t percent, std::vector<LevelData>* levels) {
  const auto found =
      std::find_if(levels->begin(), levels->end(), [&](auto& level) { return level.percent == percent; });
  if (found != levels->end() && found->adapter_rank == 0) return &*found;
  return bad_data(quoted(key) + "lists " + std::to_string(percent) + ", which is no level or has an adapter already");
}

Result<void> read_adapters(const Metadata& metadata, std::vector<LevelData>* levels) {
  if (!metadata.contains(key::kAdapterLevels)) return {};
  const auto* percents = gguf::find<Counts>(metadata, key::kAdapterLevels);
  if (percents == nullptr) return bad_data(quoted(key::kAdapterLevels) + "is not an array of u32");
  if (percents->empty()) return {};
  const auto* ranks = gguf::find<Counts>(metadata, key::kAdapterRank);
  const auto* scales = gguf::find<std::vector<float>>(metadata, key::kAdapterScale);
  if (ranks == nullptr || scales == nullptr || ranks->size() != percents->size() ||
      scales->size() != percents->size()) {
    return bad_data(quoted(key::kAdapterRank) + "and '" + key::kAdapterScale +
                    "' do not hold one value per adapter level");
  }
  for (std::size_t i = 0; i < percents->size(); ++i) {
    auto found = take_adapter_level(key::kAdapterLevels, (*percents)[i], levels);
    if (!found) return found.take_failure();
    if ((*ranks)[i] == 0 || (*ranks)[i] > format::kMaxAdapterRank || !std::isfinite((*scales)[i])) {
      return bad_data(quoted(key::kAdapterRank) + "or the scale of level " + std::to_string((*percents)[i]) +
                      " is out of range");
    }
    found.value()->adapter_rank = (*ranks)[i];
    found.value()->adapter_scale = (*scales)[i];
  }
  return {};
}

Result<void> read_shared_adapter(const Metadata& metadata, std::vector<LevelData>* levels, SharedAdapter* shared) {
  if (!metadata.contains(key::kSharedAdapterLevels)) return {};
  const auto* percents = gguf::find<Counts>(metadata, key::kSharedAdapterLevels);
  if (percents == nullptr) return bad_data(quoted(key::kSharedAdapterLevels) + "is not an array of u32");
  if (percents->empty()) return {};
  const auto* rank = gguf::find<std::uint32_t>(metadata, key::kSharedAdapterRank);
  if (rank == nullptr || *rank == 0 || *rank > format::kMaxAdapterRank) {
    return bad_data(quoted(key::kSharedAdapterRank) + "is missing or not 1 to " +
                    std::to_string(format::kMaxAdapterRank));
  }
  const auto* scales = gguf::find<std::vector<float>>(metadata, key::kSharedAdapterScale);
  if (scales == nullptr || scales->size() != percents->size())
    return bad_data(quoted(key::kSharedAdapterScale) + "does not hold one value per level that uses the adapter");
  for (std::size_t i = 0; i < percents->size(); ++i) {
    if ((*percents)[i] == format::kFullLevel)
      return bad_data(quoted(key::kSharedAdapterLevels) + "lists 100; the full level runs without it");
    auto level = take_adapter_level(key::kSharedAdapterLevels, (*percents)[i], levels);
    if (!level) return level.take_failure();
    if (!std::isfinite((*scales)[i]))
      return bad_data(quoted(key::kSharedAdapterScale) + "is not finite at level " + std::to_string((*percents)[i]));
    level.value()->adapter_rank = *rank;
    level.value()->adapter_scale = (*scales)[i];
    level.value()->adapter_shared = true;
  }
  shared->rank = *rank;
  return {};
}

}  // namespace

Result<void> read_levels(Model* model) {
  const Metadata& metadata = model->header.metadata;
  const ModelShape& shape = model->shape;
  auto* levels = &model->levels;
  if (auto done = read_percentages(metadata, levels); !done) return done;
  if (auto done = read_plan(metadata, key::kPlanKvGroups, shape.blocks, shape.kv_heads, &LevelData::kv_groups, levels);
      !done)
    return done;
  if (auto done = read_plan(metadata, key::kPlanNeurons, shape.blocks, shape.ffn, &LevelData::neurons, levels); !done)
    return done;
  if (auto done = read_adapters(metadata, levels); !done) return done;
  return read_shared_adapter(metadata, levels, &model->shared_adapter);
}

}  // namespace elrt
