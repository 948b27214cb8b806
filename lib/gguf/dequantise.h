// Blocks of GGUF's quantised types as floats, by the layouts that ggml publishes (ggml-common.h, ggml-quants.c).
#pragma once

#include <cstddef>
#include <cstdint>

#include <elrt/gguf_file.hpp>

namespace elastify {

// Can dequantise() read this type? F32, F16 and BF16 among them, the IQ types of fewer than 4 bits and others not.
bool can_dequantise(std::uint32_t type);
// "F32, F16, ..., IQ4_XS": those types, for messages.
std::string dequantisable_types();

// `count` blocks of `layout`, in any alignment, to count * layout.weights floats. Each value is computed as the
// reference does, in float32, and rounds as it does: bit for bit what the Python package `gguf` gives. Scales that are
// NaN or infinite give NaN or infinity. Throws Error(kInternal) for a type that can_dequantise() denies.
void dequantise(const elrt::gguf::TypeLayout& layout, const std::byte* blocks, std::size_t count, float* values);

}  // namespace elastify
