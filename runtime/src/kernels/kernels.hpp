// Arithmetic on float activations and F32, F16, BF16 or quantised weights, compiled for several instruction sets and
// chosen at run time. Every output is reduced in one order that depends on the inputs' count alone, never on how many
// tokens or rows a call covers: batching and threads cannot change a bit.
//
// Activations read by matmul are padded: rows of x hold zeros from `inputs` up to the next multiple of 32.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kv_layout.hpp"
#include "kernels/matrix.hpp"
#include "kernels/quantised_rows.hpp"
#include "kernels/rounded_rows.hpp"

namespace elrt::kernels {

inline constexpr std::size_t kPadding = 32;  // floats; a multiple of every vector length in use
inline std::size_t padded(std::size_t count) { return (count + kPadding - 1) / kPadding * kPadding; }

// y[t][o] = (accumulate ? y[t][o] : 0) + scale * sum_i W[o][i] x[t][i] + bias[o], for the first outputs and inputs of
// W.
struct Matmul {
  const Matrix* weights = nullptr;
  std::uint32_t outputs = 0, inputs = 0;
  const float* x = nullptr;
  std::size_t x_stride = 0;
  float* y = nullptr;
  std::size_t y_stride = 0;
  std::uint32_t tokens = 0;
  float scale = 1;
  bool accumulate = false;
  const float* bias = nullptr;
  const QuantisedRows* quantised = nullptr;  // the same x in eight bits: read instead where the weights are quantised
  const RoundedRows* rounded = nullptr;  // the same x in bfloat16: read instead; where rounds_inputs() of the weights
  bool cached = false;  // the weights are likely in a cache: few tokens read them without fetching ahead
};

// Rows output_begin..output_end-1 of `job`, all tokens. Quantised weights: output_begin is a multiple of their panels'
// outputs.
// `scratch`, from a cache line on, holds scratch_floats(job) and is one thread's alone; null where that is 0.
void matmul(const Matmul& job, std::uint32_t output_begin, std::uint32_t output_end, float* scratch = nullptr);
void matmul_panels(const Matmul& job, std::uint32_t output_begin,
                   std::uint32_t output_end);  // the quantised part of it

inline constexpr std::uint32_t kPanelRows = format::kPanelOutputs;
// Up to kStreamedTokens tokens read the weights as they stream from memory, this many rows or panels at once: fewer in
// a call make the stretches of a tiled matrix too short.
inline constexpr std::uint32_t kStreamedTokens = 6, kStreamedRows = 256, kStreamedPanels = 16;
// So many rows of float weights share the work of laying them out again, for at least kGroupedTokens tokens and more
// than kUngroupedInputs inputs.
inline constexpr std::uint32_t kGroupedRows = 64, kGroupedTokens = 24, kUngroupedInputs = 512;
inline bool groups_rows(const Matmul& job) {
  const std::uint32_t ungrouped = job.rounded == nullptr ? kUngroupedInputs : 2 * kUngroupedInputs;  // as many bytes
  return !job.weights->quantised() && job.tokens >= kGroupedTokens && job.inputs > ungrouped &&
         job.outputs >= kGroupedRows;
}
inline std::size_t scratch_floats(const Matmul& job) {
  return groups_rows(job) ? padded(job.inputs) * kGroupedRows : 0;
}

// y[t][o] = (accumulate ? y[t][o] : 0) + sum_i W[o][i] x[t][i] + bias[o], W in columns (format.h, LAYOUT): made for
// short inputs.
struct ColumnProduct {
  const std::byte* weights = nullptr;  // F32, F16 or Q8_0, zero after the last output
  TensorType type = TensorType::kF32;
  std::uint32_t outputs = 0, inputs = 0;
  const float* x = nullptr;
  std::size_t x_stride = 0;
  float* y = nullptr;
  std::size_t y_stride = 0;
  std::uint32_t tokens = 0;
  bool accumulate = false;
  const float* bias = nullptr;  // or none
  // Side by side in memory: as in a file, or, of F32 and F16 with no more outputs than that, fewer: a multiple of 8.
  std::uint32_t columns = format::kColumnOutputs;
};
// Outputs begin..end-1 of it; begin is a multiple of 8.
void multiply_columns(const ColumnProduct& job, std::uint32_t output_begin, std::uint32_t output_end);
inline void multiply_columns(const ColumnProduct& job) { multiply_columns(job, 0, job.outputs); }

// Does this processor multiply such weights by rounded inputs alone? Then every product does, however many tokens it
// has: a token's bits are the same.
bool rounds_inputs(const Matrix& weights);

// Row `row` of `out` from the padded floats x.
void round_row(const float* x, std::size_t width, RoundedRows& out, std::size_t row);

// Row `row` of `out` from the padded floats x, `width` of them counted.
void quantise_row(const float* x, std::size_t width, QuantisedRows& out, std::size_t row);

// False: byte products without the instructions that go beyond Highway's targets (VNNI, ARM dot product). For tests.
void allow_byte_dot_extension(bool allow);
void allow_bf16_extension(bool allow);  // the same of products of bfloat16

// out = x * weight / sqrt(mean(x^2) + epsilon), over `count` values; in place is allowed.
void rms_norm(const float* x, const float* weight, float epsilon, std::size_t count, float* out);

// gate = silu(gate) * up over `count` values, a multiple of kPadding.
void silu_multiply(float* gate, const float* up, std::size_t count);
// The same with GELU, its error function in the tanh form of Hendrycks & Gimpel 2016.
void gelu_multiply(float* gate, const float* up, std::size_t count);

// x = exp(scale (x - max x)), scale above 0, and returned is what makes them sum to one, NaN where a value is not
// finite; padded(count) values are written, those after `count` zero.
float softmax_weights(float* x, float scale, std::size_t count);

// x = max(x, 0).
void relu(float* x, std::size_t count);
// x = x/2 (1 + erf(x / sqrt(2))), to 3e-7 of |x|.
void gelu(float* x, std::size_t count);

// x = x * weight + bias, value by value.
void scale_shift(float* x, const float* weight, const float* bias, std::size_t count);

// x = (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias of each of `rows` rows of `count` values; a row's
// bits are its own.
void layer_norm(float* x, std::size_t stride, std::size_t rows, const float* weight, const float* bias, float epsilon,
                std::size_t count);

// Turns each pair (v[i], v[i + half]) by the angle whose cosine and sine are given.
void rotate_halves(float* head, const float* cosines, const float* sines, std::size_t half);

// One head's queries of positions first, first + 1, .. against its group's cache (kv_layout.hpp). Each attends to
// itself and what stands before it, of that the last `window` positions where a window is given.
struct Attention {
  const float* queries = nullptr;
  std::size_t query_stride = 0, count = 0;
  std::size_t first = 0, window = 0;
  KvType type = KvType::kF32;
  const std::byte* keys = nullptr;    // of position 0
  const std::byte* values = nullptr;  // likewise
  std::size_t row_bytes = 0;          // of a value
  std::size_t head_dim = 0;
  float scale = 1;
  float* scores = nullptr;  // scratch, attention_scores(first + count) floats for each query
  std::size_t score_stride = 0;
  float* out = nullptr;  // head_dim floats for each query
  std::size_t out_stride = 0;
};
void attend(const Attention& job);
inline constexpr std::size_t kQueriesAtOnce = 12;  // a call with so many reads the cache twice at most
inline std::size_t attention_scores(std::size_t positions) { return kv_tiles(positions) * kKvTile; }

// A head's value as a row of the cache; its key as position `position` of a tile.
void store_value(KvType type, const float* x, std::size_t head_dim, std::byte* row);
void store_key(KvType type, const float* x, std::size_t head_dim, std::byte* tile, std::size_t position);

// Row `row` of a row-stored matrix as floats.
void load_row(const Matrix& matrix, std::size_t row, float* out);

// The instruction set in use, for reports.
const char* target_name();

}  // namespace elrt::kernels
