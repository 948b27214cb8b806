// Attributes, methods, items and slices of values, as Jinja2's sandbox gives them to a template: what would change a
// value is refused.
#pragma once

#include <string>

#include "jinja/value.hpp"

namespace elrt::jinja {

Value attribute_of(const Value& value, const std::string& name, Work& work);  // value.name
Value item_of(const Value& value, const Value& index, Work& work);            // value[index]; undefined if not there
Value slice_of(const Value& value, const Value& begin, const Value& end, const Value& step, Work& work);

// A method of a str, list, dict or loop; undefined where there is none. Refuses those that are not supported.
Value method_of(const Value& value, const std::string& name);

}  // namespace elrt::jinja
