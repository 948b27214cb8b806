// The level of each answer in a conversation under an objective.
#pragma once

#include <optional>
#include <string>

#include "run_common.hpp"

namespace elastic_run {

// "0.4 0.7" or "0.4,0.7": shares of the full model's times; "80ms 12ms": milliseconds. Throws a usage error.
elrt::Slo parse_slo(const std::string& text);
std::string describe(const elrt::Slo& slo);

// Levels by this device's latency table. A level other than the present one reads the whole conversation again.
class ChatLevels {
 public:
  // `table`: empty for the one next to the artifact. Throws where it is not there, or of another device.
  ChatLevels(const elrt::Artifact& artifact, const elrt::Session& session, const std::string& table);

  struct Choice {
    std::uint32_t level = 100;
    elrt::Latency predicted, limits;
    bool feasible = false;
  };
  // The largest level that keeps the objective, else the one that comes closest. Ratios are of the time that the full
  // model takes for the whole conversation.
  Choice choose(const elrt::Slo& slo, const elrt::Session& session, elrt::Conversation::Pending pending,
                std::uint32_t max_tokens) const;

 private:
  std::vector<std::uint32_t> levels_;  // the largest first
  elrt::Scheduler scheduler_;
};

}  // namespace elastic_run
