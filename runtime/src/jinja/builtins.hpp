// Filters, tests and functions that templates may use.
#pragma once

#include <ctime>
#include <string>

#include "jinja/value.hpp"

namespace elrt::jinja {

using Builtin = Value (*)(Call&);

// nullptr where there is none of that name.
Builtin find_filter(const std::string& name);
Builtin find_test(const std::string& name);
// raise_exception, namespace, range, dict, and strftime_now at the local time `now`; undefined where there is none.
Value find_function(const std::string& name, const std::tm& now);

}  // namespace elrt::jinja
