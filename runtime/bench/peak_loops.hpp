// Loops that do nothing but reach a limit of one core, in the instruction set that the kernels use.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elrt::peak {

std::uint64_t sum_words(const std::uint64_t* words, std::size_t count);

std::uint64_t float_ops_per_round();
void float_rounds(std::uint64_t rounds);

std::uint64_t bf16_ops_per_round();  // what weights in bfloat16 are multiplied with: float32's where nothing is faster
void bf16_rounds(std::uint64_t rounds);

std::uint64_t byte_ops_per_round();
void byte_rounds(std::uint64_t rounds);

}  // namespace elrt::peak
