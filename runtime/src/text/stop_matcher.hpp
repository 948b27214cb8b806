// Cuts a streamed text at the first stop string, also where it spans several pieces. Text that may be the beginning of
// a stop string is held back until the next piece decides.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elrt {

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops);  // empty strings are ignored

  // Returns what may be shown now. After a match it is what stood before the stop string, and stopped() is true.
  std::string push(std::string_view piece);
  std::string finish();  // what was held back, when the text ends without a match
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace elrt
