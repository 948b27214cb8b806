#include "work_queue.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace elrt::serve {
namespace {

// Smaller goes first; of equals, which the list holds in order of arrival, min_element takes the first.
auto rank(const Ticket& ticket, Clock::time_point now) {
  const auto deadline = ticket.work().deadline();
  const int group = !deadline ? 2 : *deadline < now ? 1 : 0;
  return std::tuple(group, deadline.value_or(Clock::time_point{}));
}

}  // namespace

bool WorkQueue::add(std::shared_ptr<Ticket> ticket) {
  if (waiting_.size() >= most_) return false;
  waiting_.push_back(std::move(ticket));
  return true;
}

std::shared_ptr<Ticket> WorkQueue::next(Clock::time_point now) {
  const auto first = std::min_element(waiting_.begin(), waiting_.end(),
                                      [&](const auto& a, const auto& b) { return rank(*a, now) < rank(*b, now); });
  if (first == waiting_.end()) return nullptr;
  auto ticket = std::move(*first);
  waiting_.erase(first);
  return ticket;
}

bool WorkQueue::remove(const Ticket& ticket) {
  return waiting_.remove_if([&](const auto& waiting) { return waiting.get() == &ticket; }) > 0;
}

}  // namespace elrt::serve
