#include "ticket.hpp"

#include <utility>

namespace elrt::serve {

bool Ticket::wait(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [&] { return !text_.empty() || result_.has_value(); });
}

std::string Ticket::take_text() {
  const std::lock_guard lock(mutex_);
  return std::exchange(text_, {});
}

bool Ticket::ended() const {
  const std::lock_guard lock(mutex_);
  return text_.empty() && result_.has_value();
}

const Result<Done>& Ticket::result() const {
  const std::lock_guard lock(mutex_);
  return *result_;  // set once, then never changed
}

void Ticket::add_text(std::string_view piece) {
  const std::lock_guard lock(mutex_);
  text_ += piece;
  changed_.notify_all();
}

void Ticket::end(Result<Done> result) {
  const std::lock_guard lock(mutex_);
  result_.emplace(std::move(result));
  changed_.notify_all();
}

}  // namespace elrt::serve
