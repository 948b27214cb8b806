#include "jinja/arguments.hpp"

namespace elrt::jinja {

Arguments::Arguments(const Call& call, const char* function, std::initializer_list<const char*> names)
    : function_(function), names_(names), values_(names.size(), nullptr) {
  if (call.positional.size() > names.size()) {
    refuse(function_ + " takes " + std::to_string(names.size()) + " arguments at most, found " +
           std::to_string(call.positional.size()));
  }
  for (std::size_t i = 0; i < call.positional.size(); ++i) values_[i] = &call.positional[i];
  for (const auto& [name, value] : call.named) {
    std::size_t index = 0;
    while (index < names_.size() && name != names_[index]) ++index;
    if (index == names_.size()) refuse(function_ + " has no argument " + name);
    if (values_[index] != nullptr) refuse(function_ + " got its argument " + name + " twice");
    values_[index] = &value;
  }
}

const Value& Arguments::need(std::size_t index) const {
  if (values_[index] == nullptr) refuse(function_ + " lacks its argument " + names_[index]);
  return *values_[index];
}

const Text& Arguments::text(std::size_t index) const {
  const Value& value = need(index);
  if (value.text() == nullptr) refuse(function_ + " needs a str as " + names_[index] + ", found a " + type_name(value));
  return *value.text();
}

std::int64_t Arguments::whole(std::size_t index, std::int64_t otherwise) const {
  const Value* value = values_[index];
  if (value == nullptr || value->is_none()) return otherwise;
  if (!value->is_whole()) refuse(function_ + " needs an int as " + names_[index] + ", found a " + type_name(*value));
  return value->whole();
}

bool Arguments::flag(std::size_t index, bool otherwise) const {
  return values_[index] == nullptr ? otherwise : truth(*values_[index]);
}

}  // namespace elrt::jinja
