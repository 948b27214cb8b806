// The C API's values as the C++ API's, and back.
#pragma once

#include <cstring>
#include <string>

#include "elrt/elrt.h"
#include "elrt/elrt.hpp"

namespace elrt::c_api {

// A value that the header does not name is a caller's mistake, and no default. C allows it, so that it is read as an
// integer.
template <typename Enum>
Result<void> check_enum(const char* field, const Enum& value, Enum last) {
  int number = 0;
  static_assert(sizeof(number) == sizeof(value));
  std::memcpy(&number, &value, sizeof(number));
  if (number >= 0 && number <= static_cast<int>(last)) return {};
  return invalid_argument(std::string(field) + " is " + std::to_string(number) + ", expected 0 to " +
                          std::to_string(static_cast<int>(last)));
}

inline Result<void> check(const elrt_fallback& in) {
  return check_enum("the field fallback", in, ELRT_FALLBACK_RANDOM);
}
inline Result<void> check(const elrt_slo_unit& in) { return check_enum("the field unit", in, ELRT_SLO_MILLISECONDS); }
inline Result<void> check(const elrt_cache_policy& in) { return check_enum("the cache policy", in, ELRT_CACHE_REUSE); }
inline Result<void> check(const elrt_kv_type& in) { return check_enum("the field kv_type", in, ELRT_KV_Q8_0); }

// All enums below have been checked.
KvType convert(elrt_kv_type in);
Fallback convert(elrt_fallback in);
Slo::Unit convert(elrt_slo_unit in);
SessionOptions convert(const elrt_session_options& in);
// `user_data` is on_prompt's.
GenerateOptions convert(const elrt_generate_options& in, void* user_data);
CalibrateOptions convert(const elrt_calibrate_options& in);
SchedulerOptions convert(const elrt_scheduler_options& in);
ServiceOptions convert(const elrt_service_options& in);
Request convert(const elrt_request& in);
TextCallback convert(elrt_text_callback on_text, void* user_data);

elrt_choice to_c(const Choice& in);
elrt_generate_result to_c(const Generation& in);

}  // namespace elrt::c_api
