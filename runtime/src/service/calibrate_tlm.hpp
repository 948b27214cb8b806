// The part of a calibration that measures the tiny language model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "elrt/artifact.hpp"
#include "elrt/latency_table.hpp"
#include "elrt/result.hpp"
#include "elrt/tlm.hpp"
#include "elrt/tokenizer.hpp"

namespace elrt {

// Measures what a request spends on the TLM for prompts of given numbers of language model tokens. The prompts are
// everyday sentences, so that the ratio between both tokenizers' tokens is that of real prompts.
class TlmTimer {
 public:
  static Result<TlmTimer> create(const Artifact& artifact, std::uint32_t threads,
                                 const std::vector<std::uint32_t>& lengths);

  // Runs it once, so that its weights are in memory.
  Result<void> warm_up();
  // One sample more at lengths[index].
  Result<void> measure(std::size_t index);
  // Medians, made non-decreasing in the length.
  TlmLatency medians() const;

 private:
  struct Times {
    double decision_ms = 0, score_ms = 0;
  };
  TlmTimer(Tlm tlm, std::shared_ptr<const Tokenizer> tokenizer, std::vector<std::string> prompts);
  Result<Times> run(const std::string& prompt);
  std::vector<double> median_of(double Times::*field) const;

  Tlm tlm_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<std::string> prompts_;
  std::vector<std::vector<Times>> samples_;  // [length][repeat]
};

}  // namespace elrt
