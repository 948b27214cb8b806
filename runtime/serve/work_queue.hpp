// What waits for the engine, at most so many. The next one is
//   the earliest deadline among those that are not past yet: a request that is late already would only make others
//   late; then, served as well as can be, those past theirs, the earliest first; then those without an objective, in
//   order of arrival.
// One thread at a time: the engine guards it.
#pragma once

#include <cstddef>
#include <list>
#include <memory>

#include "ticket.hpp"

namespace elrt::serve {

class WorkQueue {
 public:
  explicit WorkQueue(std::size_t most) : most_(most) {}

  bool add(std::shared_ptr<Ticket> ticket);             // false: it is full
  std::shared_ptr<Ticket> next(Clock::time_point now);  // takes it out; nullptr where nothing waits
  bool remove(const Ticket& ticket);                    // false: it is not here
  std::size_t size() const { return waiting_.size(); }

 private:
  std::size_t most_;
  std::list<std::shared_ptr<Ticket>> waiting_;  // in order of arrival
};

}  // namespace elrt::serve
