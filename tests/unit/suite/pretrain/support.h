// What the cases of this folder share: a byte tokenizer, a text whose entropy is known, quick settings.
// LibTorch's logging also defines CHECK: Catch2 comes last and replaces it.
#pragma once

#include "checkpoint/random_checkpoint.h"
#include "pretrain/pretrain.h"
#include "support/temp_dir.h"
#include "tokenizer/import.h"

#include <elrt/tokenizer.hpp>

#undef CHECK
#include <catch2/catch.hpp>

namespace elastify_test {

// DIR/bytes with a tokenizer.json of 256 bytes, <s> and </s>.
inline std::string write_byte_tokenizer(const TempDir& dir) {
  elastify::ModelConfig shape;
  shape.vocab_size = 258;
  shape.hidden_size = shape.intermediate_size = 8;
  shape.num_layers = shape.num_heads = shape.num_kv_heads = 1;
  shape.head_dim = 8;
  shape.max_positions = 16;
  shape.tied_embeddings = true;
  elastify::write_random_checkpoint(shape, 1, dir / "bytes");
  return (dir / "bytes").string();
}

inline elrt::Tokenizer load_byte_tokenizer(const TempDir& dir) {
  return elrt::Tokenizer::create(elastify::import_tokenizer(write_byte_tokenizer(dir))).value();
}

// Four texts "xa" "xa" "xb" "xc". After BOS, x is certain; then a, b, c have 1/2, 1/4, 1/4: 1.5 bits over two
// predictions.
inline constexpr double kEntropy = 1.5 * 0.69314718055994531 / 2;
inline std::string write_known_text(const TempDir& dir) {
  write_bytes(dir / "known.jsonl", "{\"text\": \"xa\"}\n{\"text\": \"xa\"}\n{\"text\": \"xb\"}\n{\"text\": \"xc\"}\n");
  return (dir / "known.jsonl").string();
}

inline elastify::PretrainConfig quick_config(const TempDir& dir) {
  elastify::PretrainConfig config;
  config.tokenizer = write_byte_tokenizer(dir);
  config.dtype = "float32";
  config.threads = 1;
  config.steps = 12;
  config.batch_tokens = 96;
  config.warmup_steps = 2;
  config.learning_rate = 1e-2;
  config.checkpoint_seconds = 1e6;
  config.model.hidden_size = 16;
  config.model.intermediate_size = 32;
  config.model.num_layers = 2;
  config.model.num_heads = 4;
  config.model.num_kv_heads = 2;
  config.model.max_positions = 512;
  config.data.text = {write_known_text(dir)};
  return config;
}

}  // namespace elastify_test
