#include "quantise/quantise.h"

#include <elrt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"
#include "model/adapter.h"

namespace elastify {
namespace {

namespace format = elrt::format;
constexpr std::int64_t kSide = format::kPanelOutputs;

// The index of a codebook's value.
int iq4_index(std::int8_t q) {
  const auto* found = std::lower_bound(std::begin(format::kIq4Codebook), std::end(format::kIq4Codebook), q);
  return static_cast<int>(found - std::begin(format::kIq4Codebook));
}

int stored_half(std::int8_t q, elrt::TensorType type) {
  if (type == elrt::TensorType::kQ4_0) return q + 8;
  return q == 0 ? 8 : iq4_index(q);  // 0: of a block that is not there
}

std::int64_t panel_outputs(PanelOrder order) {
  return order == PanelOrder::kAdapter ? format::kAdapterPanelOutputs : format::kPanelOutputs;
}

struct PanelPlace {
  std::uint8_t* panel;
  std::int64_t output, outputs;  // within the panel, of the panel
};

void store_block(const WeightBlock& block, elrt::TensorType type, PanelPlace at) {
  at.panel[2 * at.output] = static_cast<std::uint8_t>(block.scale & 255);
  at.panel[2 * at.output + 1] = static_cast<std::uint8_t>(block.scale >> 8);
  for (std::int64_t input = 0; input < kSide; ++input) {
    const auto slot = [&](std::int64_t i) -> std::uint8_t& {
      return at.panel[2 * at.outputs + (i / 4 * at.outputs + at.output) * 4 + i % 4];
    };
    if (type == elrt::TensorType::kQ8_0)
      slot(input) = static_cast<std::uint8_t>(block.q[input] + 128);
    else if (input < 16)
      slot(input) =
          static_cast<std::uint8_t>(stored_half(block.q[input], type) | stored_half(block.q[input + 16], type) << 4);
  }
}

std::int64_t panel_bytes(elrt::TensorType type, std::int64_t outputs) {
  const std::size_t whole = type == elrt::TensorType::kQ8_0 ? format::kQ8PanelBytes : format::kQ4PanelBytes;
  return static_cast<std::int64_t>(whole) * outputs / kSide;
}

void check_matrix(const torch::Tensor& matrix, elrt::TensorType type) {
  require(matrix.dim() == 2 && matrix.scalar_type() == torch::kFloat32 && matrix.is_cpu() && matrix.is_contiguous() &&
              elrt::is_quantised(type),
          "quantise: expected a contiguous float32 matrix on the CPU, and a type in panels");
}

// Blocks of a matrix, [outputs][across].
struct Blocks {
  std::int64_t outputs, inputs, across;
  std::vector<WeightBlock> all;

  explicit Blocks(const torch::Tensor& matrix)
      : outputs(matrix.size(0)),
        inputs(matrix.size(1)),
        across((inputs + kSide - 1) / kSide),
        all(static_cast<std::size_t>(outputs * across)) {}
  WeightBlock& at(std::int64_t output, std::int64_t index) {
    return all[static_cast<std::size_t>(output * across + index)];
  }
  std::size_t width(std::int64_t index) const {
    return static_cast<std::size_t>(std::min(kSide, inputs - index * kSide));
  }
};

// Rounds `weights` in turn; what each changes is carried to those after it in the block, and left in `changes`.
void round_in_turn(std::span<float> weights, elrt::TensorType type, const float* carry, std::int64_t carry_stride,
                   WeightBlock& block, float* changes) {
  const float unit = block_scale(block), inverse = unit == 0 ? 0 : 1 / unit;
  for (std::size_t i = 0; i < weights.size(); ++i, carry += carry_stride + 1) {
    const int q = nearest_q(weights[i] * inverse, type);
    block.q[i] = static_cast<std::int8_t>(q);
    changes[i] = weights[i] - unit * static_cast<float>(q);
    for (std::size_t j = 1; i + j < weights.size(); ++j) weights[i + j] -= changes[i] * carry[j];
  }
}

class Quantiser {
 public:
  Quantiser(const torch::Tensor& matrix, elrt::TensorType type, const MatrixGuide& guide, const std::string& name)
      : type_(type), guide_(guide), name_(name), work_(matrix), blocks_(matrix) {}

  Blocks run() {
    if (guide_.carry.defined()) work_ = work_.clone();
    for (std::int64_t index = 0; index < blocks_.across; ++index) {
      const auto width = static_cast<std::int64_t>(blocks_.width(index)), first = index * kSide,
                 rest = blocks_.inputs - first - width;
      torch::Tensor changes;
      if (guide_.carry.defined()) changes = torch::empty({blocks_.outputs, width}, torch::kFloat32);
      round_column_of_blocks(index, changes);
      if (!changes.defined() || rest == 0) continue;
      const torch::Tensor carry = guide_.carry.narrow(0, first, width).narrow(1, first + width, rest);
      work_.narrow(1, first + width, rest).sub_(changes.matmul(carry));
    }
    return std::move(blocks_);
  }

 private:
  void round_column_of_blocks(std::int64_t index, const torch::Tensor& changes) {
    constexpr std::int64_t kOutputsAtOnce = 64;
    const auto pieces = static_cast<std::size_t>((blocks_.outputs + kOutputsAtOnce - 1) / kOutputsAtOnce);
    work_in_parallel(pieces, static_cast<std::size_t>(at::get_num_threads()), [&] {
      return [&](std::size_t piece) {
        const std::int64_t first = static_cast<std::int64_t>(piece) * kOutputsAtOnce;
        for (std::int64_t o = first; o < std::min(blocks_.outputs, first + kOutputsAtOnce); ++o)
          round_block(o, index, changes);
      };
    });
  }

  void round_block(std::int64_t output, std::int64_t index, const torch::Tensor& changes) {
    const std::int64_t first = index * kSide;
    const std::span weights(work_.data_ptr<float>() + output * blocks_.inputs + first, blocks_.width(index));
    for (const float weight : weights) {
      if (std::abs(weight) <= largest_weight(type_)) continue;
      fail_data("tensor {} holds values beyond {}, which a float16 scale of {} cannot reach: pack with dtype f32",
                name_, largest_weight(type_), elrt::type_name(type_));
    }
    std::span<const float> importance;
    if (guide_.importance.defined())
      importance = std::span(guide_.importance.data_ptr<float>() + first, weights.size());
    WeightBlock& block = blocks_.at(output, index);
    block = quantise_block(weights, type_, importance);
    if (!changes.defined()) return;
    const float* carry = guide_.carry.data_ptr<float>() + first * blocks_.inputs + first;
    round_in_turn(weights, type_, carry, blocks_.inputs, block, changes.data_ptr<float>() + output * changes.size(1));
  }

  elrt::TensorType type_;
  const MatrixGuide& guide_;
  const std::string& name_;
  torch::Tensor work_;  // what is left to round; with a carry a copy of the matrix
  Blocks blocks_;
};

// store(block, output, index) for every block. Returns the RMS of the change over that of the matrix's weights.
template <typename Store>
double for_each_block(Blocks& blocks, const torch::Tensor& matrix, const Store& store) {
  double error = 0, total = 0;
  const float* weights = matrix.data_ptr<float>();
  for (std::int64_t output = 0; output < blocks.outputs; ++output) {
    for (std::int64_t index = 0; index < blocks.across; ++index) {
      const WeightBlock& block = blocks.at(output, index);
      const double unit = block_scale(block);
      for (std::size_t i = 0; i < blocks.width(index); ++i, ++weights) {
        const double weight = *weights, change = weight - unit * block.q[i];
        error += change * change, total += weight * weight;
      }
      store(block, output, index);
    }
  }
  return total == 0 ? 0 : std::sqrt(error / total);
}

}  // namespace

elrt::TensorType type_of(const std::string& dtype) {
  if (dtype == "f16") return elrt::TensorType::kF16;
  if (dtype == "bf16") return elrt::TensorType::kBF16;
  if (dtype == "q8_0") return elrt::TensorType::kQ8_0;
  if (dtype == "q4_0") return elrt::TensorType::kQ4_0;
  return dtype == "iq4_nl" ? elrt::TensorType::kIq4Nl : elrt::TensorType::kF32;
}

torch::ScalarType float_type_of(elrt::TensorType type) {
  if (type == elrt::TensorType::kF16) return torch::kFloat16;
  return type == elrt::TensorType::kBF16 ? torch::kBFloat16 : torch::kFloat32;
}

elrt::TensorType matrix_type(const std::string& dtype, const std::vector<std::string>& wider, std::size_t index) {
  const elrt::TensorType type = type_of(dtype);
  const bool four_bits = elrt::is_quantised(type) && type != elrt::TensorType::kQ8_0;
  const bool listed = std::count(wider.begin(), wider.end(), kTargetNames[index]) > 0;
  return four_bits && listed ? elrt::TensorType::kQ8_0 : type;
}

std::vector<std::int64_t> panel_shape(std::int64_t outputs, std::int64_t inputs, PanelOrder order) {
  const std::int64_t side = panel_outputs(order), across = (inputs + kSide - 1) / kSide,
                     down = (outputs + side - 1) / side;
  if (order == PanelOrder::kRows) return {down, across, side, kSide};
  return {across, down, side, kSide};
}

QuantisedMatrix quantise_matrix(const torch::Tensor& matrix, elrt::TensorType type, PanelOrder order,
                                const std::string& name, const MatrixGuide& guide) {
  check_matrix(matrix, type);
  require(order != PanelOrder::kAdapter || type == elrt::TensorType::kQ8_0, "quantise: adapters are Q8_0");
  const auto shape = panel_shape(matrix.size(0), matrix.size(1), order);
  const std::int64_t side = panel_outputs(order), bytes_each = panel_bytes(type, side);
  QuantisedMatrix result{torch::empty({shape[0] * shape[1] * bytes_each}, torch::kUInt8), 0};
  auto* bytes = result.bytes.data_ptr<std::uint8_t>();
  const WeightBlock nothing;
  for (std::int64_t panel = 0; panel < shape[0] * shape[1]; ++panel) {
    for (std::int64_t output = 0; output < side; ++output)
      store_block(nothing, type, {bytes + panel * bytes_each, output, side});
  }
  Blocks blocks = Quantiser(matrix, type, guide, name).run();
  result.relative_rms_error = for_each_block(blocks, matrix, [&](const WeightBlock& block, auto output, auto index) {
    const std::int64_t panel =
        order == PanelOrder::kRows ? output / side * shape[1] + index : index * shape[1] + output / side;
    store_block(block, type, {bytes + panel * bytes_each, output % side, side});
  });
  return result;
}

QuantisedMatrix quantise_columns(const torch::Tensor& matrix, const std::string& name) {
  constexpr auto kType = elrt::TensorType::kQ8_0;
  const torch::Tensor by_rank = matrix.t().contiguous();
  check_matrix(by_rank, kType);
  constexpr std::int64_t kBytes = format::kQ8ColumnBytes;
  Blocks blocks = Quantiser(by_rank, kType, {}, name).run();
  QuantisedMatrix result{torch::empty({blocks.across * blocks.outputs * kBytes}, torch::kUInt8), 0};
  auto* bytes = result.bytes.data_ptr<std::uint8_t>();
  result.relative_rms_error = for_each_block(blocks, by_rank, [&](const WeightBlock& block, auto rank, auto index) {
    std::uint8_t* to = bytes + (index * blocks.outputs + rank) * kBytes;
    to[0] = static_cast<std::uint8_t>(block.scale & 255);
    to[1] = static_cast<std::uint8_t>(block.scale >> 8);
    std::copy_n(block.q, kSide, reinterpret_cast<std::int8_t*>(to + 2));
  });
  return result;
}

torch::Tensor dequantised(const torch::Tensor& matrix, elrt::TensorType type, const MatrixGuide& guide) {
  check_matrix(matrix, type);
  torch::Tensor result = torch::empty_like(matrix);
  float* out = result.data_ptr<float>();
  Blocks blocks = Quantiser(matrix, type, guide, "").run();
  for (std::int64_t output = 0; output < blocks.outputs; ++output) {
    for (std::int64_t index = 0; index < blocks.across; ++index) {
      const WeightBlock& block = blocks.at(output, index);
      const float unit = block_scale(block);
      for (std::size_t i = 0; i < blocks.width(index); ++i) *out++ = unit * static_cast<float>(block.q[i]);
    }
  }
  return result;
}

}  // namespace elastify
