// How a session stores the keys and values of the tokens that it has read.
#pragma once

#include <cstdint>
#include <string_view>

#include "elrt/export.h"
#include "elrt/result.hpp"

namespace elrt {

enum class KvType : std::uint8_t {
  kF32 = 0,   // exact; 4 bytes a value
  kF16 = 1,   // 2 bytes
  kQ8_0 = 2,  // 8 bits, and a 16-bit scale for each 32 values of a head
};

ELRT_API const char* kv_type_name(KvType type);  // "f32", "f16", "q8_0"
ELRT_API Result<KvType> parse_kv_type(std::string_view name);

}  // namespace elrt
