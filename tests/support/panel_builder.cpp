#include "support/panel_builder.h"

#include <algorithm>
#include <cmath>

#include "support/gguf_builder.h"

namespace elastify_test {

int iq4_index(float value) {
  int best = 0;
  for (int i = 1; i < 16; ++i) {
    if (std::fabs(value - static_cast<float>(kIq4Values[i])) < std::fabs(value - static_cast<float>(kIq4Values[best])))
      best = i;
  }
  return best;
}

PanelMatrix make_panels(std::uint32_t type, bool tiled, std::uint32_t outputs, std::uint32_t inputs,
                        const std::vector<int>& q, const std::vector<std::uint16_t>& scales, std::uint32_t side) {
  const std::uint32_t across = (inputs + 31) / 32, down = (outputs + side - 1) / side;
  const std::size_t panel_bytes = side * (type == kQ8 ? 34 : 18);
  PanelMatrix m;
  m.dims = {32, side, tiled ? down : across, tiled ? across : down};
  m.bytes.assign(panel_bytes * across * down, 0);
  m.values.resize(q.size());
  // Where nothing is written, q is zero: 128 or, in both halves, 8.
  for (std::size_t at = 0; at < m.bytes.size(); ++at) {
    if (at % panel_bytes >= 2 * side) m.bytes[at] = type == kQ8 ? 128 : 0x88;
  }
  for (std::uint32_t o = 0; o < outputs; ++o) {
    for (std::uint32_t i = 0; i < inputs; ++i) {
      const std::size_t panel = tiled ? std::size_t{i / 32} * down + o / side : std::size_t{o / side} * across + i / 32;
      unsigned char* p = m.bytes.data() + panel * panel_bytes;
      const std::uint16_t scale = scales[o * across + i / 32];
      p[2 * (o % side)] = static_cast<unsigned char>(scale & 255);
      p[2 * (o % side) + 1] = static_cast<unsigned char>(scale >> 8);
      const int value = q[std::size_t{o} * inputs + i];
      const std::uint32_t within = i % 32;
      if (type == kQ8) {
        p[2 * side + (within / 4 * side + o % side) * 4 + within % 4] = static_cast<unsigned char>(value + 128);
      } else {
        unsigned char& byte = p[64 + (within % 16 / 4 * 32 + o % 32) * 4 + within % 4];
        const int half = type == kQ4 ? value + 8 : iq4_index(static_cast<float>(value));
        byte = static_cast<unsigned char>(within < 16 ? (byte & 0xF0) | half : (byte & 0x0F) | (half << 4));
      }
      m.values[std::size_t{o} * inputs + i] = float_from_half_bits(scale) * static_cast<float>(value);
    }
  }
  return m;
}

PanelMatrix quantise_panels(std::uint32_t type, bool tiled, std::uint32_t outputs, std::uint32_t inputs,
                            const std::vector<float>& values, std::uint32_t side) {
  const std::uint32_t across = (inputs + 31) / 32;
  const int low = type == kQ4 ? -8 : -127, high = type == kQ8 ? 127 : type == kQ4 ? 7 : 113;
  std::vector<int> q(values.size());
  std::vector<std::uint16_t> scales(std::size_t{outputs} * across);
  for (std::uint32_t o = 0; o < outputs; ++o) {
    for (std::uint32_t block = 0; block < across; ++block) {
      const std::size_t first = std::size_t{o} * inputs + block * 32,
                        last = std::size_t{o} * inputs + std::min(inputs, block * 32 + 32);
      float largest = 0;
      for (std::size_t i = first; i < last; ++i) largest = std::max(largest, std::fabs(values[i]));
      const std::uint16_t scale = half_from_float(largest / static_cast<float>(high));
      scales[o * across + block] = scale;
      for (std::size_t i = first; i < last; ++i) {
        const float unit = float_from_half_bits(scale);
        q[i] = unit == 0 ? 0 : std::clamp(static_cast<int>(std::nearbyint(values[i] / unit)), low, high);
        if (type == kIq4 && unit != 0) q[i] = kIq4Values[iq4_index(values[i] / unit)];
      }
    }
  }
  return make_panels(type, tiled, outputs, inputs, q, scales, side);
}

PanelMatrix quantise_columns(std::uint32_t outputs, std::uint32_t inputs, const std::vector<float>& values) {
  const std::uint32_t panels = (outputs + 31) / 32;
  PanelMatrix m;
  m.dims = {32, inputs, panels};
  m.values.resize(values.size());
  for (std::uint32_t panel = 0; panel < panels; ++panel) {
    for (std::uint32_t i = 0; i < inputs; ++i) {
      const std::uint32_t first = panel * 32, last = std::min(outputs, first + 32);
      float largest = 0;
      for (std::uint32_t o = first; o < last; ++o) largest = std::max(largest, std::fabs(values[o * inputs + i]));
      const std::uint16_t scale = half_from_float(largest / 127);
      const float unit = float_from_half_bits(scale);
      m.bytes.push_back(static_cast<unsigned char>(scale & 255));
      m.bytes.push_back(static_cast<unsigned char>(scale >> 8));
      for (std::uint32_t o = first; o < first + 32; ++o) {
        const float ratio = o >= last || unit == 0 ? 0 : values[o * inputs + i] / unit;
        const int q = std::clamp(static_cast<int>(std::nearbyint(ratio)), -127, 127);
        m.bytes.push_back(static_cast<unsigned char>(q));
        if (o < last) m.values[o * inputs + i] = unit * static_cast<float>(q);
      }
    }
  }
  return m;
}

}  // namespace elastify_test
