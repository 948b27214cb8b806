// A small random elastic model for tests: its weights as plain matrices, its artifact, and a reference forward pass in
// double that shares no code with the runtime.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "support/gguf_builder.h"
#include "support/panel_builder.h"

namespace elastify_test {

struct TinyElasticShape {
  std::uint32_t blocks = 3, hidden = 40, ffn = 172, vocab = 97, context = 64;
  std::uint32_t heads = 4, kv_heads = 2, head_dim = 8, window = 0;
  std::uint32_t quantised = 0;  // of all matrices: kQ8, kQ4 or kIq4; 0: they are F32, F16 or BF16
  bool f16 = false, bf16 = false, biases = false, qk_norm = false, tied = false, rope_freqs = false, adapters = false;
  std::vector<std::uint32_t> levels{20, 50, 100};
  std::vector<std::uint32_t> kv_groups{1, 1, 1, 1, 2, 1, 2, 2, 2};  // levels x blocks
  std::vector<std::uint32_t> neurons{32, 40, 7, 96, 64, 100, 172, 172, 172};
  std::uint32_t rank = 5;    // of the adapters
  bool shared = false;       // `adapters` are one, of the full model's widths
  bool adapters_q8 = false;  // they are Q8_0

  void set_type(std::uint32_t type) {  // of all matrices, by GGUF's id
    f16 = type == 1, bf16 = type == kBF16, quantised = type > 1 && !bf16 ? type : 0;
  }
};

// The same of three blocks whose smaller levels lack halves: attention or neurons in one, both in the last, or with
// `other` each in the last one.
TinyElasticShape with_empty_halves(TinyElasticShape shape, bool other = false);

class TinyElastic {
 public:
  explicit TinyElastic(const TinyElasticShape& shape, std::uint64_t seed = 1);

  GgufBuilder artifact() const;
  // One level as a model of its own: each tensor's prefix, byte for byte. The level has the same widths in every block.
  TinyElastic alone(std::uint32_t level) const;
  // The same with the shared adapter cut into one for each level.
  TinyElastic with_own_adapters() const;
  // Logits of every position, [tokens][vocab]. Products of quantised matrices round their inputs to eight bits, with
  // `bf16_inputs` those of BF16 matrices to bfloat16.
  std::vector<std::vector<double>> reference(const std::vector<std::int32_t>& tokens, std::uint32_t level,
                                             bool bf16_inputs = false) const;
  std::vector<std::int32_t> text(std::size_t count) const;  // random tokens

  const TinyElasticShape& shape() const { return shape_; }

 private:
  struct Tensor {
    std::vector<std::uint64_t> dims;  // [in] or [in, out]
    std::vector<float> values;        // [out][in], as the file's type rounds them
    std::uint32_t type = 0;
    bool tiled = false;
    PanelMatrix panels{};  // of quantised types
  };
  using Vector = std::vector<double>;

  void add(const std::string& name, std::vector<std::uint64_t> dims, std::uint32_t type, float scale, float centre = 0);
  // Of every target that is adapted: use(name, inputs, outputs), as wide as level `l`.
  template <typename Use>
  void for_each_adapter(std::size_t l, const std::string& owner, Use&& use) const;
  std::string adapter_owner(std::uint32_t level) const;
  double uniform();  // -1..1
  bool has(const std::string& name) const { return tensors_.contains(name); }
  // What a product with `matrix` reads of x.
  Vector inputs_of(const Tensor& matrix, const Vector& x) const;
  // y = W x over the first `out` rows and x.size() columns, plus bias and adapter where there are any.
  Vector apply(std::uint32_t level, std::uint32_t block, const std::string& target, const Vector& x,
               std::size_t out) const;
  Vector norm(const Vector& x, const std::string& weight) const;
  void rotate(double* head, std::size_t position) const;
  Vector attention(std::uint32_t block, const std::vector<Vector>& q, const std::vector<Vector>& k,
                   const std::vector<Vector>& v, std::size_t position) const;

  TinyElasticShape shape_;
  std::uint64_t state_;
  bool bf16_inputs_ = false;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace elastify_test
