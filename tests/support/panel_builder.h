// Quantised matrices for tests, written from the format's description: shares nothing with the runtime or the
// toolchain.
#pragma once

#include <cstdint>
#include <vector>

namespace elastify_test {

inline constexpr std::uint32_t kQ4 = 2, kQ8 = 8, kIq4 = 20;  // GGUF's type ids

struct PanelMatrix {
  std::vector<std::uint64_t> dims;  // contiguous first
  std::vector<unsigned char> bytes;
  std::vector<float> values;  // [outputs][inputs], what the bytes stand for
};

// IQ4_NL's values by index.
inline constexpr int kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
// The index of the value nearest to `value`.
int iq4_index(float value);

// [outputs][inputs] integers and, for each output and block of 32 inputs, a float16 scale's bits, as panels of `type`.
// `side`: outputs of a panel, 32, or 16 of an adapter's in kQ8.
PanelMatrix make_panels(std::uint32_t type, bool tiled, std::uint32_t outputs, std::uint32_t inputs,
                        const std::vector<int>& q, const std::vector<std::uint16_t>& scales, std::uint32_t side = 32);

// Nearest values with the simplest scale: largest magnitude over 127 or 7.
PanelMatrix quantise_panels(std::uint32_t type, bool tiled, std::uint32_t outputs, std::uint32_t inputs,
                            const std::vector<float>& values, std::uint32_t side = 32);

// [outputs][inputs] in columns of kQ8: blocks of a half scale and 32 outputs' bytes.
PanelMatrix quantise_columns(std::uint32_t outputs, std::uint32_t inputs, const std::vector<float>& values);

}  // namespace elastify_test
