// Task files of every layout: common/task_file.hpp under the toolchain's name.
#pragma once

#include "common/task_file.hpp"
#include "eval/eval_item.h"

namespace elastify {

using common::read_task_file;
using common::TaskFile;

}  // namespace elastify
