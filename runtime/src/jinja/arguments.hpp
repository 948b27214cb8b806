// The arguments of a call, matched with a function's parameters.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "jinja/value.hpp"

namespace elrt::jinja {

class Arguments {
 public:
  // `names`: the parameters. Refuses unknown and repeated ones.
  Arguments(const Call& call, const char* function, std::initializer_list<const char*> names);

  const Value* find(std::size_t index) const { return values_[index]; }  // nullptr: not given
  const Value& need(std::size_t index) const;
  const Text& text(std::size_t index) const;
  std::int64_t whole(std::size_t index, std::int64_t otherwise) const;  // None counts as not given
  bool flag(std::size_t index, bool otherwise) const;

 private:
  std::string function_;
  std::vector<const char*> names_;
  std::vector<const Value*> values_;
};

}  // namespace elrt::jinja
