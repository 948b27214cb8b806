#include "export/artifact_tensor.h"

#include <elrt/format.h>

#include <cstring>

#include "base/error.h"
#include "quantise/quantise.h"

namespace elastify {
namespace {

namespace format = elrt::format;
using elrt::TensorInfo;
using elrt::TensorType;

constexpr std::int64_t kAdapterPanelOutputs = 16;  // of adapters' first matrices that are quantised
constexpr std::int64_t kSide = format::kTileInputs;

std::int64_t panels_of(std::int64_t extent, std::int64_t width) { return (extent + width - 1) / width; }

void check_bytes(const TensorInfo& tensor, std::int64_t expected) {
  if (static_cast<std::int64_t>(tensor.bytes) != expected)
    fail_data("tensor {} has {} bytes, expected {}: the artifact contradicts itself", tensor.name, tensor.bytes,
              expected);
}

torch::Tensor view_of(const TensorInfo& tensor, const std::vector<std::int64_t>& shape) {
  const auto dtype = float_type_of(tensor.type);
  std::int64_t bytes = static_cast<std::int64_t>(c10::elementSize(dtype));
  for (const std::int64_t extent : shape) bytes *= extent;
  check_bytes(tensor, bytes);
  return torch::from_blob(const_cast<std::byte*>(tensor.data), shape, dtype);
}

torch::Tensor finite(const torch::Tensor& values, const TensorInfo& tensor) {
  if (!torch::isfinite(values).all().item<bool>()) fail_data("tensor {} holds NaN or infinity", tensor.name);
  return values;
}

float half_at(const std::uint8_t* bytes) {
  c10::Half half;
  std::memcpy(&half.x, bytes, sizeof(half.x));
  return static_cast<float>(half);
}

// Output `o`, input `i` of a panel of `outputs` outputs.
float weight_in_panel(const std::uint8_t* panel, TensorType type, std::int64_t outputs, std::int64_t o,
                      std::int64_t i) {
  const float scale = half_at(panel + 2 * o);
  const auto slot = [&](std::int64_t input) { return panel[2 * outputs + (input / 4 * outputs + o) * 4 + input % 4]; };
  if (type == TensorType::kQ8_0) return scale * static_cast<float>(int{slot(i)} - 128);
  const int half = i < 16 ? slot(i) & 15 : slot(i - 16) >> 4;
  return scale * static_cast<float>(type == TensorType::kQ4_0 ? half - 8 : int{format::kIq4Codebook[half]});
}

torch::Tensor read_panels(const TensorInfo& tensor, std::int64_t outputs, std::int64_t inputs, bool tiles,
                          std::int64_t panel_outputs) {
  const std::int64_t down = panels_of(outputs, panel_outputs), across = panels_of(inputs, kSide);
  const std::int64_t bytes = 2 * panel_outputs + panel_outputs * kSide / (tensor.type == TensorType::kQ8_0 ? 1 : 2);
  check_bytes(tensor, down * across * bytes);
  const auto* data = reinterpret_cast<const std::uint8_t*>(tensor.data);
  torch::Tensor result = torch::empty({outputs, inputs}, torch::kFloat32);
  float* out = result.data_ptr<float>();
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      const std::int64_t row = o / panel_outputs, column = i / kSide;
      const std::uint8_t* panel = data + (tiles ? column * down + row : row * across + column) * bytes;
      *out++ = weight_in_panel(panel, tensor.type, panel_outputs, o % panel_outputs, i % kSide);
    }
  }
  return finite(result, tensor);
}

// Rows of 32 columns, each a block of GGUF's Q8_0.
torch::Tensor read_quantised_columns(const TensorInfo& tensor, std::int64_t outputs, std::int64_t inputs) {
  constexpr std::int64_t kColumns = format::kColumnOutputs, kBytes = 2 + kColumns;
  if (tensor.type != TensorType::kQ8_0)
    fail_data("tensor {} is {}: expected F16 or Q8_0", tensor.name, elrt::type_name(tensor.type));
  check_bytes(tensor, panels_of(outputs, kColumns) * inputs * kBytes);
  const auto* data = reinterpret_cast<const std::uint8_t*>(tensor.data);
  torch::Tensor result = torch::empty({outputs, inputs}, torch::kFloat32);
  float* out = result.data_ptr<float>();
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      const std::uint8_t* block = data + (o / kColumns * inputs + i) * kBytes;
      *out++ = half_at(block) * static_cast<float>(static_cast<std::int8_t>(block[2 + o % kColumns]));
    }
  }
  return finite(result, tensor);
}

torch::Tensor read_floats(const TensorInfo& tensor, std::int64_t outputs, std::int64_t inputs, StoredAs stored) {
  torch::Tensor values;
  if (stored == StoredAs::kRows) {
    values = view_of(tensor, {outputs, inputs});
  } else if (stored == StoredAs::kTiles) {
    const std::int64_t tiles = panels_of(inputs, kSide);
    values = view_of(tensor, {tiles, outputs, kSide}).transpose(0, 1).reshape({outputs, tiles * kSide});
    values = values.narrow(1, 0, inputs);
  } else {
    const std::int64_t panels = panels_of(outputs, format::kColumnOutputs);
    values = view_of(tensor, {panels, inputs, format::kColumnOutputs}).transpose(1, 2);
    values = values.reshape({panels * format::kColumnOutputs, inputs}).narrow(0, 0, outputs);
  }
  return finite(values.to(torch::kFloat32).clone(torch::MemoryFormat::Contiguous), tensor);
}

}  // namespace

torch::Tensor read_matrix(const TensorInfo& tensor, std::int64_t outputs, std::int64_t inputs, StoredAs stored) {
  if (!elrt::is_quantised(tensor.type)) return read_floats(tensor, outputs, inputs, stored);
  if (stored == StoredAs::kColumns) return read_quantised_columns(tensor, outputs, inputs);
  return read_panels(tensor, outputs, inputs, stored == StoredAs::kTiles, format::kPanelOutputs);
}

torch::Tensor read_adapter_matrix(const TensorInfo& tensor, std::int64_t rank, std::int64_t inputs, StoredAs stored) {
  if (!elrt::is_quantised(tensor.type)) return read_floats(tensor, rank, inputs, stored);
  return read_panels(tensor, rank, inputs, true, kAdapterPanelOutputs);
}

torch::Tensor read_vector(const TensorInfo& tensor, std::int64_t entries) {
  return finite(view_of(tensor, {entries}).to(torch::kFloat32).clone(), tensor);
}

}  // namespace elastify
