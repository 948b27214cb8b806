// Solved examples in front of a question.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "eval/eval_item.h"

namespace elastify {

// Chooses from the items of the same family, in one random order for all, those that ask another question over another
// context: neither an item nor its context ever stands in its own examples. Equal arguments give equal examples.
class FewShot {
 public:
  // `items` must outlive this object.
  FewShot(const std::vector<EvalItem>& items, std::size_t count, std::uint64_t seed);

  // The examples in the layout of the prompts themselves, each followed by its right option and an empty line. Throws
  // Error(kUsage) where the family has too few others.
  std::string examples_for(const EvalItem& item) const;

 private:
  std::size_t count_;
  std::map<std::string, std::vector<const EvalItem*>> families_;  // each in its random order
};

}  // namespace elastify
