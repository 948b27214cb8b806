#include "support/tiny_model.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

namespace elastify_test {

elastify::ModelConfig tiny_config(const TinyShape& shape) {
  elastify::ModelConfig config;
  config.vocab_size = shape.vocab;
  config.hidden_size = shape.hidden;
  config.intermediate_size = shape.neurons;
  config.num_layers = shape.layers;
  config.num_heads = shape.heads;
  config.num_kv_heads = shape.kv_heads;
  config.head_dim = shape.head_dim;
  config.max_positions = shape.positions;
  config.tied_embeddings = shape.tied;
  config.qkv_bias = shape.qkv_bias;
  config.qk_norm = shape.qk_norm;
  config.validate("tiny model");
  return config;
}

elastify::ModelWeights tiny_model(const TinyShape& shape, std::uint64_t seed, torch::ScalarType dtype) {
  auto generator = at::detail::createCPUGenerator(seed);
  const auto normal = [&](std::vector<std::int64_t> sizes, double deviation) {
    return (torch::empty(sizes, torch::kFloat64).normal_(0, 1, generator) * deviation).to(dtype);
  };
  const auto linear = [&](std::int64_t outputs, std::int64_t inputs) {
    return normal({outputs, inputs}, 1 / std::sqrt(static_cast<double>(inputs)));
  };
  const auto norm = [&](std::int64_t width) { return normal({width}, 0.1) + 1; };

  elastify::ModelWeights weights;
  weights.config = tiny_config(shape);
  const std::int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  weights.embedding = normal({shape.vocab, shape.hidden}, 1);
  weights.final_norm = norm(shape.hidden);
  weights.head = shape.tied ? weights.embedding : linear(shape.vocab, shape.hidden);
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    elastify::BlockWeights block;
    block.attn_norm = norm(shape.hidden);
    block.q = linear(queries, shape.hidden);
    block.k = linear(keys, shape.hidden);
    block.v = linear(keys, shape.hidden);
    block.o = linear(shape.hidden, queries);
    if (shape.qkv_bias) {
      block.q_bias = normal({queries}, 0.1);
      block.k_bias = normal({keys}, 0.1);
      block.v_bias = normal({keys}, 0.1);
    }
    if (shape.qk_norm) {
      block.q_norm = norm(shape.head_dim);
      block.k_norm = norm(shape.head_dim);
    }
    block.ffn_norm = norm(shape.hidden);
    block.gate = linear(shape.neurons, shape.hidden);
    block.up = linear(shape.neurons, shape.hidden);
    block.down = linear(shape.hidden, shape.neurons);
    weights.blocks.push_back(block);
  }
  return weights;
}

}  // namespace elastify_test
