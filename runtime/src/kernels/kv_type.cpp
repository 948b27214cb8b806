#include "elrt/kv_type.hpp"

#include <string>

namespace elrt {

const char* kv_type_name(KvType type) {
  switch (type) {
    case KvType::kF32:
      return "f32";
    case KvType::kF16:
      return "f16";
    case KvType::kQ8_0:
      return "q8_0";
  }
  return "unknown";
}

Result<KvType> parse_kv_type(std::string_view name) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kQ8_0}) {
    if (name == kv_type_name(type)) return type;
  }
  return invalid_argument("no cache type is called '" + std::string(name) + "', expected f32, f16 or q8_0");
}

}  // namespace elrt
