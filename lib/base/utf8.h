// Is a text UTF-8?
#pragma once

#include "common/utf8.hpp"

namespace elastify {

using common::first_invalid_utf8;

}  // namespace elastify
