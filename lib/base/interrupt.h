// Ctrl-C and SIGTERM as a request: long work ends at the next place where nothing is lost.
#pragma once

#include "base/error.h"

namespace elastify {

// Thrown where work stops because the user asked for it. Its code, and with it the program's exit status, is 128 plus
// the signal's number, as shells count.
class Interrupted : public Error {
 public:
  Interrupted(int signal, const std::string& message)
      : Error(static_cast<ErrorCode>(128 + signal), message), signal_(signal) {}
  int signal() const { return signal_; }

 private:
  int signal_;
};

// While one of these lives, the first SIGINT or SIGTERM is noted and said on stderr; a second one ends the program at
// once. One at a time.
class InterruptWatch {
 public:
  InterruptWatch();
  ~InterruptWatch();
  InterruptWatch(const InterruptWatch&) = delete;
  InterruptWatch& operator=(const InterruptWatch&) = delete;
};

// The signal that was noted; 0: none.
int interrupted();
// Throws Interrupted if there was one. To be called where progress has just been saved, or where there is none.
void stop_if_interrupted();

}  // namespace elastify
