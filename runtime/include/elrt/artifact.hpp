// An elastic artifact, mapped and validated. The layout of the file is in format.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/export.h"
#include "elrt/gguf.hpp"
#include "elrt/result.hpp"
#include "elrt/tensor_type.hpp"

namespace elrt {

class Tokenizer;
class WordPiece;
struct Model;
struct TlmShape;

enum class Activation : std::uint8_t { kSilu, kGeluTanh };  // of an MLP's gate; GELU with the tanh that stands for erf

// The full model's dimensions, and what else its configuration says of the computation.
struct ModelShape {
  std::uint32_t blocks = 0, context = 0, hidden = 0, ffn = 0, vocab = 0;
  std::uint32_t heads = 0, kv_heads = 0, head_dim = 0;
  std::uint32_t sliding_window = 0;  // 0: none
  float rms_epsilon = 0;
  double rope_base = 0;
  std::uint32_t rotary_dim = 0;        // dimensions of a head that turn, the first
  double local_rope_base = 0;          // of layers with the window; 0: rope_base
  std::uint32_t original_context = 0;  // longer texts turn by other frequencies; 0: all by the same
  float rope_magnitude = 1;            // of cosines and sines
  float attention_scale = 0;           // of scores
  float embedding_scale = 1;
  Activation activation = Activation::kSilu;
  std::vector<std::uint32_t> window_layers, rope_layers;  // by layer, 0 or 1: has the window, turns; empty: all do

  std::uint32_t heads_per_group() const { return heads / kv_heads; }
  bool windowed(std::size_t layer) const {
    return sliding_window > 0 && (window_layers.empty() || window_layers[layer] != 0);
  }
  std::uint32_t window(std::size_t layer) const { return windowed(layer) ? sliding_window : 0; }
  bool turns(std::size_t layer) const { return rope_layers.empty() || rope_layers[layer] != 0; }
};

// What one level keeps. Spans have one entry per layer and live as long as the artifact.
struct LevelInfo {
  std::uint32_t level = 0;  // percent
  std::span<const std::uint32_t> kv_groups, neurons;
  float block_ratio = 0, total_ratio = 0;  // NaN where the file does not say
  float loss_before = 0, loss_after = 0;   // nats per token, NaN where not measured
  std::uint32_t adapter_rank = 0;          // 0: no adapter
  float adapter_scale = 0;
  bool adapter_shared = false;        // it is cut from the adapter that several levels share
  std::uint64_t adapter_bytes = 0;    // that this level reads
  std::uint64_t adapter_weights = 0;  // likewise
  std::uint64_t bytes_per_token = 0;  // weight bytes that decoding one token reads
};

// Move-only handle. Sessions share the mapping, so they stay valid after the artifact is gone; spans and pointers
// obtained from the artifact do not outlive the last of both. Const members may be called from several threads.
class ELRT_API Artifact {
 public:
  // Maps and checks the file. Reads the header only: no weight is paged in. Fails with kBadData if the file
  // cannot be opened or anything in it is inconsistent.
  static Result<Artifact> open(const std::filesystem::path& path);

  Artifact(Artifact&&) noexcept;
  Artifact& operator=(Artifact&&) noexcept;
  ~Artifact();

  const std::filesystem::path& path() const;
  std::uint64_t file_bytes() const;
  // A hash of the header: key-values with the tensors' checksums, and the tensors' places. Equal for copies of a file,
  // different for other artifacts; pages in no weight.
  std::uint64_t identity() const;
  const gguf::Metadata& metadata() const;
  const std::vector<TensorInfo>& tensors() const;
  const TensorInfo* find_tensor(std::string_view name) const;  // nullptr if missing
  const ModelShape& shape() const;
  const std::vector<LevelInfo>& levels() const;          // ascending, the last is 100
  Result<LevelInfo> level(std::uint32_t percent) const;  // fails naming the levels that exist

  // Built from the metadata at the first call, then shared.
  Result<std::shared_ptr<const Tokenizer>> tokenizer() const;

  // The tiny language model's dimensions (tlm.hpp), nullptr where the file has none.
  const TlmShape* tlm() const;
  // Its vocabulary. Built at the first call, then shared; kInvalidArgument where there is none.
  Result<std::shared_ptr<const WordPiece>> wordpiece() const;

  // Reads every tensor and compares checksums. Fails naming the first tensor that differs.
  Result<void> verify_checksums() const;

  // For the runtime's own parts.
  const std::shared_ptr<const Model>& model() const;

 private:
  struct ELRT_HIDDEN Impl;
  ELRT_HIDDEN explicit Artifact(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace elrt
