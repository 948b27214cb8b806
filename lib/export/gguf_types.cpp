#include "export/gguf_types.h"

#include <elrt/format.h>
#include <elrt/tensor_type.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "export/export_parts.h"
#include "quantise/block_scale.h"
#include "quantise/quantise.h"

namespace elastify {
namespace {

constexpr std::array kTypes = {
    GgufType{"f32", 0, 0, 1, 4},    GgufType{"f16", 1, 1, 1, 2},        GgufType{"bf16", 30, 32, 1, 2},
    GgufType{"q8_0", 8, 7, 32, 34}, GgufType{"iq4_nl", 20, 25, 32, 18}, GgufType{"q4_0", 2, 2, 32, 18},
};

int half_of(std::int8_t q, elrt::TensorType type) {
  if (type == elrt::TensorType::kQ4_0) return q + 8;
  const auto* table = elrt::format::kIq4Codebook;
  // A block of zeros has scale 0: its index does not matter, and 8 is the value nearest to 0.
  const auto* found = std::lower_bound(table, table + 16, q);
  return q == 0 ? 8 : static_cast<int>(found - table);
}

// A block as GGUF has it: the scale, then 32 signed bytes, or 16 bytes whose low halves are the first 16 weights.
void store(const WeightBlock& block, elrt::TensorType type, std::uint8_t* out) {
  std::memcpy(out, &block.scale, 2);
  if (type == elrt::TensorType::kQ8_0) {
    std::memcpy(out + 2, block.q, 32);
    return;
  }
  for (int i = 0; i < 16; ++i)
    out[2 + i] = static_cast<std::uint8_t>(half_of(block.q[i], type) | half_of(block.q[i + 16], type) << 4);
}

}  // namespace

const GgufType& gguf_type(const std::string& dtype) {
  for (const GgufType& type : kTypes) {
    if (dtype == type.name) return type;
  }
  fail_usage("--dtype {} is not for --format gguf: expected f32, f16, bf16, q8_0, iq4_nl or q4_0", dtype);
}

const GgufType& type_for_rows(const GgufType& wanted, std::int64_t columns) {
  return columns % wanted.weights == 0 ? wanted : gguf_type("f16");
}

torch::Tensor to_gguf_bytes(const torch::Tensor& values, const GgufType& type, const std::string& name) {
  if (type.weights == 1) {
    const torch::Tensor converted = to_float_type(values, float_type(type.name), name).contiguous();
    torch::Tensor bytes = torch::empty({static_cast<std::int64_t>(converted.nbytes())}, torch::kUInt8);
    std::memcpy(bytes.data_ptr(), converted.data_ptr(), converted.nbytes());
    return bytes;
  }
  const torch::Tensor source = values.contiguous();
  const elrt::TensorType kind = type_of(type.name);
  if (source.abs().max().item<float>() > largest_weight(kind))
    fail_data("tensor {} holds values beyond {}, which a float16 scale of {} cannot reach: export with --dtype f32",
              name, largest_weight(kind), type.name);
  const std::int64_t blocks = source.numel() / type.weights;
  torch::Tensor bytes = torch::empty({blocks * type.bytes}, torch::kUInt8);
  const float* in = source.data_ptr<float>();
  auto* out = bytes.data_ptr<std::uint8_t>();
  at::parallel_for(0, blocks, 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::span weights(in + block * type.weights, static_cast<std::size_t>(type.weights));
      store(quantise_block(weights, kind), kind, out + block * type.bytes);
    }
  });
  return bytes;
}

}  // namespace elastify
