// The methods that are compared: how each turns a checkpoint into a model of a level's size.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "baselines/activation_stats.h"
#include "profile/importance.h"
#include "reorder/plan.h"
#include "reorder/reorder.h"

namespace elastify {

// A method's model at one level, before recovery.
struct Candidate {
  ModelWeights weights;    // whole, units in the method's order: the level is a prefix of every block
  LevelPlan plan;          // whose widths may be 0
  UnitTap tap;             // set where units are chosen token by token instead
  std::string infeasible;  // not empty: why the method has no such level; nothing else is set then
  nlohmann::json notes = nlohmann::json::object();  // what was chosen, for people
};

enum class Recovery {
  kAdapter,  // one LoRA, as every level of a build
  kWhole,    // all weights, from nothing
  kNone      // an upper bound
};

// What methods are made from. Scores and statistics are computed when first asked for and, where `cache` is set, kept
// in files there under `key`.
class MethodInputs {
 public:
  MethodInputs(const Decoder& full, const TokenRows& calibration, std::uint64_t seed, std::int64_t neuron_multiple)
      : full_(full), calibration_(calibration), seed_(seed), neuron_multiple_(neuron_multiple) {}

  fs::path cache;
  std::string key;
  std::function<Candidate(std::int64_t level)> ours;  // from the run directory

  const Decoder& full() const { return full_; }
  const ModelConfig& config() const { return full_.config(); }
  const TokenRows& calibration() const { return calibration_; }
  std::uint64_t seed() const { return seed_; }
  std::int64_t neuron_multiple() const { return neuron_multiple_; }
  const ActivationStats& stats();
  const UnitScores& weight_taylor();

 private:
  const Decoder& full_;
  const TokenRows& calibration_;
  std::uint64_t seed_;
  std::int64_t neuron_multiple_;
  std::optional<ActivationStats> stats_;
  std::optional<UnitScores> weight_taylor_;
};

struct Method {
  const char* name;
  const char* help;
  Recovery recovery;
  Candidate (*make)(MethodInputs& inputs, std::int64_t level);
  // Time that its first level needs for scores, as forward passes over the calibration text: for estimates.
  double calibration_passes = 0;
};

const std::vector<Method>& method_table();
// The methods of these names in the table's order; all where there are none. Throws Error(kUsage) that lists the names.
std::vector<const Method*> find_methods(const std::vector<std::string>& names);

// Copies of the blocks with their units in the new order; the rest is shared.
ModelWeights reordered_weights(const ModelWeights& weights, const UnitOrder& order);

}  // namespace elastify
