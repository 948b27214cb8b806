// Levels that keep no KV group, or no neuron, in a layer: what is left out adds nothing, and costs nothing.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "unit/runtime/session_support.h"

using namespace elastify_test;
using elrt::CachePolicy;
using elrt::KvType;
using elrt::TokenId;

namespace {

// The file with zeros for what a half of a block adds to the hidden states.
elrt::Artifact with_zeros(const TinyElastic& model, const std::vector<std::string>& tensors) {
  GgufBuilder file = model.artifact();
  for (const std::string& name : tensors) {
    auto& bytes = file.tensor(name).bytes;
    std::fill(bytes.begin(), bytes.end(), static_cast<unsigned char>(0));
  }
  const TemporaryFile written(file.build());
  auto artifact = elrt::Artifact::open(written.path());
  if (!artifact) FAIL(artifact.failure().message);
  return std::move(artifact).value();
}

TinyElasticShape plain_of(std::uint32_t type) {
  TinyElasticShape shape;
  shape.set_type(type);
  shape.biases = true;
  return shape;
}

}  // namespace

TEST_CASE("an empty half equals one that adds zeros, bit for bit, at every type", "[runtime][unit]") {
  for (const std::uint32_t type : {0u, 1u, kBF16, kQ8, kQ4}) {
    TinyElasticShape shape = plain_of(type);
    shape.kv_groups = {1, 1, 1, 1, 2, 1, 2, 2, 2}, shape.neurons = {32, 40, 7, 96, 64, 100, 172, 172, 172};
    for (std::uint32_t block = 0; block < 3; ++block) {
      const std::string blk = "blk." + std::to_string(block) + ".";
      TinyElasticShape no_groups = shape, no_neurons = shape, neither = shape;
      no_groups.kv_groups[block] = neither.kv_groups[block] = 0;
      no_neurons.neurons[block] = neither.neurons[block] = 0;
      const std::vector<std::string> attention = {blk + "attn_output.weight", blk + "attn_output.bias"},
                                     mlp = {blk + "ffn_down.weight"};
      std::vector<std::string> both = attention;
      both.push_back(mlp.front());
      for (const auto& [cut, zeroed] : {std::pair{no_groups, attention}, {no_neurons, mlp}, {neither, both}}) {
        const TinyElastic model(cut), whole(shape);  // equal weights: the plan draws none
        const auto artifact = open_tiny(model), expected_artifact = with_zeros(whole, zeroed);
        const auto tokens = model.text(19);
        INFO("type " << type << ", block " << block << ", " << zeroed.size() << " tensors");
        for (const std::uint32_t batch : {1u, 7u, 32u}) {
          auto session = open_session(artifact, {20, 2, batch}), expected = open_session(expected_artifact, {20});
          CHECK(equal_bits(read_all(session, tokens), read_all(expected, tokens)));
        }
      }
    }
  }
}

TEST_CASE("a level that keeps nothing of any block is embedding and head", "[runtime][unit]") {
  for (const std::uint32_t type : {0u, 1u, kBF16, kQ8, kQ4}) {
    TinyElasticShape shape = plain_of(type);
    std::fill_n(shape.kv_groups.begin(), 3, 0u);
    std::fill_n(shape.neurons.begin(), 3, 0u);
    const TinyElastic model(shape);
    const auto artifact = open_tiny(model);
    auto session = open_session(artifact, {20, 1, 4});
    const auto tokens = model.text(9);
    const auto all = read_all(session, tokens);
    CHECK(session.cache_bytes_per_token() == 0);
    for (std::size_t i = 0; i < tokens.size(); ++i) {  // what stands before a token plays no part
      session.reset();
      CHECK(equal_bits(read_all(session, {&tokens[i], 1}), {all.begin() + static_cast<long>(i * shape.vocab),
                                                            all.begin() + static_cast<long>((i + 1) * shape.vocab)}));
    }
    REQUIRE(session.set_level(100, CachePolicy::kRecompute));
    auto full = open_session(artifact, {100});
    session.reset();
    CHECK(equal_bits(read_all(session, tokens), read_all(full, tokens)));
  }
}

TEST_CASE("going down to a level without a layer's groups keeps the others' cache", "[runtime][unit]") {
  // The first block's keys and values are the same at every level, and the second has none at the smaller ones.
  for (const std::uint32_t type : {0u, 1u, kBF16, kQ8, kQ4}) {
    TinyElasticShape shape = plain_of(type);
    shape.blocks = 2;
    shape.kv_groups = {1, 0, 2, 0, 2, 2}, shape.neurons = {0, 40, 96, 64, 172, 172};
    const TinyElastic model(shape);
    const auto artifact = open_tiny(model);
    const auto tokens = model.text(30);
    const std::span<const TokenId> head(tokens.data(), 17), tail(tokens.data() + 17, 13);
    for (const KvType kv : kKvTypes) {
      for (const std::uint32_t level : {20u, 50u}) {
        INFO("type " << type << ", level " << level << ", cache " << elrt::kv_type_name(kv));
        auto moved = open_session(artifact, {100, 1, 128, kv}), fresh = open_session(artifact, {level, 1, 128, kv});
        read_all(moved, tokens);
        moved.truncate(head.size());
        read_all(fresh, head);
        REQUIRE(moved.set_level(level, CachePolicy::kReuse));
        moved.reclaim();
        const auto rest = read_all(moved, tail);
        CHECK(equal_bits(rest, read_all(fresh, tail)));
        moved.truncate(head.size());
        CHECK(equal_bits(read_all(moved, tail), rest));
      }
    }
  }
}
