#include "text/stop_matcher.hpp"

#include <algorithm>
#include <utility>

namespace elrt {
namespace {

// The longest suffix of `text` that begins `stop` without completing it.
std::size_t partial_match(std::string_view text, std::string_view stop) {
  for (std::size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (text.substr(text.size() - length) == stop.substr(0, length)) return length;
  }
  return 0;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopMatcher::push(std::string_view piece) {
  if (stopped_) return {};
  held_ += piece;
  std::size_t first = std::string::npos, partial = 0;
  for (const std::string& stop : stops_) {
    first = std::min(first, held_.find(stop));
    partial = std::max(partial, partial_match(held_, stop));
  }
  stopped_ = first != std::string::npos;
  const std::size_t shown = stopped_ ? first : held_.size() - partial;
  std::string out = held_.substr(0, shown);
  held_.erase(0, stopped_ ? held_.size() : shown);
  return out;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace elrt
