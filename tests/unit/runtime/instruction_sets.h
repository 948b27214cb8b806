// Kernels on every instruction set that this processor has.
#pragma once

#include <hwy/targets.h>

#include <cstdint>
#include <string>

#include "kernels/kernels.hpp"

namespace elastify_test {

// Runs body(name, fused) once per instruction set; `fused`: its multiply-add rounds once.
template <typename Body>
void for_each_target(const Body& body) {
  const std::int64_t all = hwy::SupportedTargets() & HWY_TARGETS;
  const auto run = [&](std::int64_t target, bool extension) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    elrt::kernels::allow_byte_dot_extension(extension);
    elrt::kernels::allow_bf16_extension(extension);
    body(std::string(elrt::kernels::target_name()) + (extension ? " with extensions" : ""),
         HWY_ARCH_ARM || target <= HWY_AVX2);
  };
  for (int bit = 0; bit < 63; ++bit) {
    const std::int64_t target = std::int64_t{1} << bit;
    if ((all & target) == 0) continue;
    run(target, false);
    if (target == HWY_AVX3 || target == HWY_NEON) run(target, true);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  elrt::kernels::allow_byte_dot_extension(true);
  elrt::kernels::allow_bf16_extension(true);
}

}  // namespace elastify_test
