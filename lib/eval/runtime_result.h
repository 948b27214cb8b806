// The runtime's results as the toolchain's errors: of every room, so in base.
#pragma once

#include "base/runtime_result.h"
