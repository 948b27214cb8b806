// JSON read strictly: common/json.hpp under the toolchain's name.
#pragma once

#include "common/json.hpp"

namespace elastify {

using common::parse_json;

}  // namespace elastify
