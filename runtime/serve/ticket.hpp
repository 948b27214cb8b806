// One request on its way through the engine: the asker waits on it and may give it up; the engine's thread answers.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/generator.hpp"
#include "elrt/service.hpp"

namespace elrt::serve {

using Clock = std::chrono::steady_clock;

// What is to be done. Owns all that it needs: the asker may have gone when it is worked off.
struct Work {
  std::vector<TokenId> tokens;  // of the whole prompt
  std::uint32_t level = 100;    // without an objective
  GenerateOptions generate;     // max_tokens is set
  Clock::time_point arrival = Clock::now();
  struct Objective {
    Slo slo;         // as asked for
    Latency limits;  // in milliseconds, from the arrival on
    // What may be shortened, and how it becomes what the model reads (ServiceRequest::tokens).
    std::string prompt;
    std::function<Result<std::vector<TokenId>>(std::string_view)> to_tokens;
  };
  std::optional<Objective> objective;

  // When the first token is due; nothing: no objective.
  std::optional<Clock::time_point> deadline() const {
    if (!objective) return std::nullopt;
    return arrival + std::chrono::duration_cast<Clock::duration>(
                         std::chrono::duration<double, std::milli>(objective->limits.ttft_ms));
  }
};

struct Done {
  Generation generation;         // ttft_ms is from the start of the work
  std::uint32_t level = 100;     // that read the prompt
  double queued_ms = 0;          // from the arrival to the start of the work
  std::optional<Answer> answer;  // of an objective; its generation has moved to the field above
  double ttft_ms() const { return queued_ms + generation.ttft_ms; }
};

class Ticket {
 public:
  explicit Ticket(Work work) : work_(std::move(work)) {}

  const Work& work() const { return work_; }

  // The asker's side. Waits until there is text or an end, at most so long; true where there is.
  bool wait(std::chrono::milliseconds most);
  std::string take_text();              // what came since the last call
  bool ended() const;                   // and no text waits
  const Result<Done>& result() const;   // once it has ended
  void give_up() { given_up_ = true; }  // nobody waits for the rest
  bool given_up() const { return given_up_; }

  // The engine's side.
  void add_text(std::string_view piece);
  void end(Result<Done> result);

 private:
  const Work work_;
  std::atomic<bool> given_up_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::optional<Result<Done>> result_;
};

}  // namespace elrt::serve
