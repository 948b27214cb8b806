// One table says what a block holds: counted by hand, and against the list of a checkpoint's tensors.
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <numeric>

#include "checkpoint/block_table.h"
#include "checkpoint/checkpoint.h"

namespace {

using namespace elastify;

// 6 query heads of 4 in 3 KV groups, 10 neurons, hidden 8.
ModelConfig config_with(bool qkv_bias, bool output_bias, bool qk_norm) {
  ModelConfig c;
  c.vocab_size = 7, c.hidden_size = 8, c.intermediate_size = 10, c.num_layers = 2, c.num_heads = 6;
  c.num_kv_heads = 3, c.head_dim = 4, c.max_positions = 16;
  c.qkv_bias = qkv_bias, c.output_bias = output_bias, c.qk_norm = qk_norm;
  return c;
}

}  // namespace

TEST_CASE("weights that leave with a unit are those of the table, counted by hand", "[io][unit]") {
  const ModelConfig plain = config_with(false, false, false), full = config_with(true, true, true);
  // Two query heads and one key and value head of 4 rows each, 8 wide; two query heads' columns of the output.
  CHECK(plain.weights_per_group() == 2 * 4 * 8 + 2 * 4 * 8 + 2 * 4 * 8);
  CHECK(full.weights_per_group() == plain.weights_per_group() + 2 * 4 + 2 * 4);
  CHECK(plain.weights_per_neuron() == 3 * 8);
  CHECK(plain.fixed_weights_per_block() == 2 * 8);
  CHECK(full.fixed_weights_per_block() == 2 * 8 + 2 * 4 + 8);
}

TEST_CASE("a checkpoint's tensors and the counts agree for every architecture", "[io][unit]") {
  for (int features = 0; features < 16; ++features) {
    ModelConfig c = config_with(features & 1, features & 2, features & 4);
    c.tied_embeddings = (features & 8) != 0;
    std::int64_t count = 0;
    for (const auto& [name, shape] : expected_tensors(c))
      count += std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    CHECK(count == c.weights_outside_blocks() + c.num_layers * c.weights_per_block());
  }
}

TEST_CASE("units lie along rows, but along columns of what reads them", "[io][unit]") {
  const BlockWidths widths = block_widths(config_with(true, true, true), 2, 5);
  const auto check = [&](const char* name, Unit unit, std::int64_t dimension, std::vector<std::int64_t> shape) {
    INFO(name);
    const BlockTensor* entry = find_block_tensor(name);
    REQUIRE(entry != nullptr);
    CHECK(entry->unit() == unit);
    CHECK(entry->shape(widths) == shape);
    if (unit == Unit::kNone) return;
    CHECK(entry->unit_dimension() == dimension);
    CHECK(entry->unit_extent(widths) == shape[static_cast<std::size_t>(dimension)]);
  };
  check("self_attn.q_proj.weight", Unit::kGroup, 0, {16, 8});
  check("self_attn.v_proj.bias", Unit::kGroup, 0, {8});
  check("self_attn.o_proj.weight", Unit::kGroup, 1, {8, 16});
  check("self_attn.o_proj.bias", Unit::kNone, 0, {8});
  check("self_attn.q_norm.weight", Unit::kNone, 0, {4});
  check("mlp.up_proj.weight", Unit::kNeuron, 0, {5, 8});
  check("mlp.down_proj.weight", Unit::kNeuron, 1, {8, 5});
  CHECK(find_block_tensor("mlp.router.weight") == nullptr);
  CHECK(find_block_tensor("q_proj.weight") == nullptr);
}
