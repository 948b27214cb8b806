// The logits after each next token of a text, one by one as plain decoding asks for them; where a smaller level
// guessed right they are there already. See elrt/speculation.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "elrt/sampler.hpp"
#include "elrt/session.hpp"
#include "elrt/speculation.hpp"
#include "text/draft_planner.hpp"

namespace elrt {

class SpeculativeReader {
 public:
  // `sampler` is the caller's own: a guess is drawn from a copy in the state that will draw the real token.
  SpeculativeReader(Session& session, const Sampler& sampler, const SpeculationOptions& options);

  static Result<void> check(const Session& session, const SpeculationOptions& options);

  // Reads `token` and returns the logits after it, [vocab], until the next call. The caller will ask for `further`
  // tokens more at most.
  Result<std::span<const float>> read(TokenId token, std::size_t further);
  // Tokens of the text that were asked for: the session may hold guesses after them.
  std::size_t tokens_read() const { return read_; }
  // Leaves the session as plain decoding would.
  void finish();

  const SpeculationReport& report() const { return report_; }

 private:
  Result<void> draft(TokenId token, std::uint32_t guesses);  // adds up to so many to the batch
  Result<std::span<const float>> verify(TokenId token, std::size_t further);
  void close_pass();

  Session& session_;
  const Sampler& sampler_;
  Sampler guesser_;
  SpeculationOptions options_;
  DraftPlanner planner_;
  SpeculationReport report_;
  std::vector<TokenId> batch_;     // of the last pass: a token and the guesses after it
  std::span<const float> logits_;  // after each of them
  std::size_t used_ = 0;           // of the batch, those asked for
  std::size_t read_;
};

}  // namespace elrt
