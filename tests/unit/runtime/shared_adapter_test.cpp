// One adapter for several levels, cut by each one's widths where it lies in the file.
#include <catch2/catch.hpp>

#include "unit/runtime/session_support.h"

using namespace elastify_test;
using elrt::CachePolicy;

namespace {

// A model of each type with a shared adapter of each kind of rank: one vector, several, no multiple of one.
std::vector<TinyElasticShape> shapes() {
  std::vector<TinyElasticShape> all;
  for (TinyElasticShape shape : shape_of_each_type()) {
    shape.shared = true;
    for (const std::uint32_t rank : {5u, 8u, 32u}) {
      shape.rank = rank;
      all.push_back(shape);
    }
  }
  return all;
}

}  // namespace

TEST_CASE("a shared adapter equals the same adapter cut and packed for each level, bit for bit", "[runtime][unit]") {
  for (const TinyElasticShape& shape : shapes()) {
    const TinyElastic model(shape);
    const auto shared = open_tiny(model), own = open_tiny(model.with_own_adapters());
    const auto tokens = model.text(33);
    for (const std::uint32_t level : shape.levels) {
      INFO("type " << shape.quantised << ", rank " << shape.rank << ", level " << level);
      auto expected_session = open_session(own, {level});
      const auto expected = read_all(expected_session, tokens);
      for (const std::uint32_t batch : {1u, 5u, 64u}) {
        auto session = open_session(shared, {level, 2, batch});
        CHECK(equal_bits(read_all(session, tokens), expected));
      }
    }
  }
}

TEST_CASE("the full level runs without the shared adapter, and levels switch to their own part of it",
          "[runtime][unit]") {
  TinyElasticShape plain;
  TinyElasticShape shape = plain;
  shape.adapters = shape.shared = true;
  const TinyElastic model(shape);
  const auto artifact = open_tiny(model), without = open_tiny(TinyElastic(plain));  // equal weights
  const auto tokens = model.text(20);
  auto full = open_session(without, {100}), session = open_session(artifact, {100});
  CHECK(equal_bits(read_all(session, tokens), read_all(full, tokens)));
  for (const std::uint32_t level : {20u, 50u}) {
    auto fresh = open_session(artifact, {level}), cut = open_session(without, {level});
    REQUIRE(session.set_level(level, CachePolicy::kRecompute));
    session.reset();
    const auto logits = read_all(session, tokens);
    CHECK(equal_bits(logits, read_all(fresh, tokens)));
    CHECK_FALSE(equal_bits(logits, read_all(cut, tokens)));
    session.reclaim();
    session.reset();
    CHECK(equal_bits(read_all(session, tokens), logits));
  }
}
