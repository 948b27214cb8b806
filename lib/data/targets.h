// What rows of tokens and losses agree on.
#pragma once

#include <cstdint>

namespace elastify {

inline constexpr std::int64_t kIgnore = -100;  // a target where nothing is to be predicted, as in LibTorch

}  // namespace elastify
