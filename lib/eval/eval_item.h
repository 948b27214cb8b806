// Tasks as `elastify eval` scores them: common/eval_item.hpp under the toolchain's name.
#pragma once

#include "common/eval_item.hpp"
#include "data/item.h"

namespace elastify {

using common::EvalItem;
using common::option_text;
using common::OptionText;

}  // namespace elastify
