// Tasks: common/task_item.hpp under the toolchain's name.
#pragma once

#include "base/files.h"
#include "common/task_item.hpp"

namespace elastify {

using common::ByteSpan;
using common::format_task;
using common::further_prompt;
using common::option_behind_prompt;
using common::parse_task;
using common::read_tasks;
using common::SlotValues;
using common::task_prompt;
using common::TaskFact;
using common::TaskItem;
using common::TaskQuery;
using common::TaskReference;

}  // namespace elastify
