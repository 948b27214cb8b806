// Logs go to stderr (error, warn, info, debug); stdout belongs to results.
// spdlog is used for levels, formatting and thread safety.
#pragma once

#include <spdlog/spdlog.h>

#include <cstdint>
#include <functional>
#include <string>

#include "base/stopwatch.h"

namespace elastify {

// Sends all logs to stderr at `level` (error, warn, info, debug). Throws Error(kUsage) on another word.
void set_up_log(const std::string& level);

// A warning that this process has not given before, in the same words.
void warn_once(const std::string& text);

// "1.5 GiB", "12.0 KiB": for people, never parsed.
std::string format_bytes(double bytes);
// "3 m 20 s", "1 h 5 m"
std::string format_duration(double seconds);

// What a build of several stages adds to every line of progress: "BEFORE: 3/10 rows, ..., 10 s left; WHOLE".
struct ProgressFrame {
  std::string before;                               // "stage 2 of 7, "
  std::function<std::string(double left_s)> whole;  // from the time that the line's own work will still take
};
// Until the next call; one with nothing in it ends it. For one thread at a time.
void set_progress_frame(ProgressFrame frame);

// One line on stderr at most every two seconds: what, how far, speed in `unit`/s, time left. Silent for short work.
class Progress {
 public:
  Progress(std::string what, std::int64_t total, std::string unit);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` counts from the start of the work; `detail` is appended (for example the current loss).
  void update(std::int64_t done, const std::string& detail = "");
  // Work done before this process started (a resumed stage): kept out of the speed.
  void resume_at(std::int64_t done) { resumed_at_ = done; }

 private:
  std::string what_, unit_;
  std::int64_t total_;
  std::int64_t resumed_at_ = 0;
  Stopwatch started_, printed_;
};

}  // namespace elastify
