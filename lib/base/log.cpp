#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <mutex>
#include <set>

#include "base/error.h"

namespace elastify {
namespace {

ProgressFrame& progress_frame() {
  static ProgressFrame frame;
  return frame;
}

}  // namespace

void set_progress_frame(ProgressFrame frame) { progress_frame() = std::move(frame); }

void set_up_log(const std::string& level) {
  const auto parsed = spdlog::level::from_str(level == "warn" ? "warning" : level == "error" ? "err" : level);
  if (parsed == spdlog::level::off && level != "off") {
    fail_usage("log level '{}' is unknown: use error, warn, info or debug", level);
  }
  static const auto logger = spdlog::stderr_logger_mt("elastify");
  logger->set_pattern("%l: %v");
  logger->set_level(parsed);
  spdlog::set_default_logger(logger);
}

void warn_once(const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string> given;
  const std::lock_guard lock(mutex);
  if (given.insert(text).second) spdlog::warn("{}", text);
}

std::string format_bytes(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} m {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} m", whole / 3600, whole % 3600 / 60);
}

Progress::Progress(std::string what, std::int64_t total, std::string unit)
    : what_(std::move(what)), unit_(std::move(unit)), total_(total) {}

void Progress::update(std::int64_t done, const std::string& detail) {
  if (printed_.seconds() < 2) return;
  printed_.restart();
  const double elapsed_s = started_.seconds();
  const double per_s = static_cast<double>(done - resumed_at_) / elapsed_s;
  const double left_s = per_s > 0 ? static_cast<double>(total_ - done) / per_s : 0;
  const ProgressFrame& frame = progress_frame();
  const std::string whole = frame.whole ? frame.whole(left_s) : "";
  spdlog::info("{}{}: {}/{} {}, {:.4g} {}/s, {} left{}{}{}{}", frame.before, what_, done, total_, unit_, per_s, unit_,
               format_duration(left_s), detail.empty() ? "" : ", ", detail, whole.empty() ? "" : "; ", whole);
}

}  // namespace elastify
