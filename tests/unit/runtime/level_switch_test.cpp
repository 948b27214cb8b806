// Changing the level in the middle of a text, and drafting: what must equal a session that never changed.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "elrt/scorer.hpp"
#include "unit/runtime/session_support.h"

using namespace elastify_test;
using elrt::CachePolicy;
using elrt::KvType;
using elrt::TokenId;

namespace {

// Greedy tokens after what the session has read, the last of whose logits are given.
std::vector<TokenId> continue_greedily(elrt::Session& session, TokenId last, int count) {
  std::vector<TokenId> tokens;
  for (int i = 0; i < count; ++i) {
    const auto logits = session.forward({&last, 1}).value();
    tokens.push_back(last = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
  }
  return tokens;
}

// One block without adapters: its keys and values do not depend on the level.
TinyElasticShape one_block(TinyElasticShape shape) {
  shape.blocks = 1, shape.adapters = false;
  shape.kv_groups = {1, 1, 2}, shape.neurons = {32, 96, 172};
  return shape;
}

std::uint64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stoull(line.substr(8)) * 1024;
  }
  return 0;
}

}  // namespace

TEST_CASE("a level switch that recomputes, then generating, equals a fresh start", "[runtime][unit]") {
  for (const TinyElasticShape& shape : shape_of_each_type()) {
    const TinyElastic model(shape);
    const auto artifact = open_tiny(model);
    const auto text = model.text(21);
    const std::span<const TokenId> head(text.data(), 20);
    for (const KvType kv : kKvTypes) {
      for (const auto& [from, to] : {std::pair{100u, 20u}, {20u, 100u}, {100u, 50u}, {50u, 20u}}) {
        auto moved = open_session(artifact, {from, 2, 7, kv}), fresh = open_session(artifact, {to, 1, 128, kv});
        read_all(moved, head);
        read_all(fresh, head);
        REQUIRE(moved.set_level(to, CachePolicy::kRecompute));
        INFO("type " << shape.quantised << ", cache " << elrt::kv_type_name(kv) << ", " << from << " to " << to);
        CHECK(continue_greedily(moved, text.back(), 12) == continue_greedily(fresh, text.back(), 12));
      }
    }
  }
}

TEST_CASE("reuse is exact where keys and values do not depend on the level", "[runtime][unit]") {
  for (const TinyElasticShape& shape : shape_of_each_type()) {
    const TinyElastic model(one_block(shape));
    const auto artifact = open_tiny(model);
    const auto tokens = model.text(24);
    const std::span<const TokenId> head(tokens.data(), 14), tail(tokens.data() + 14, 10);
    for (const KvType kv : kKvTypes) {
      for (const std::uint32_t level : {20u, 50u}) {
        auto moved = open_session(artifact, {100, 1, 128, kv}), fresh = open_session(artifact, {level, 1, 128, kv});
        read_all(moved, head);
        read_all(fresh, head);
        REQUIRE(moved.set_level(level, CachePolicy::kReuse));
        CHECK(equal_bits(read_all(moved, tail), read_all(fresh, tail)));
      }
    }
  }
}

TEST_CASE("the loss after a level change is that of the second half where the cache is recomputed", "[runtime][unit]") {
  const TinyElastic model(shape_of_each_type()[0]);
  const auto artifact = open_tiny(model);
  const auto tokens = model.text(40);
  auto session = open_session(artifact, {50, 1, 7});
  double expected = 0;
  REQUIRE(elrt::score(session, tokens, 0, [&](std::size_t index, double loss) { expected += index > 20 ? loss : 0; }));
  for (const std::uint32_t first : {20u, 50u, 100u}) {
    const auto recomputed = elrt::score_after_switch(session, tokens, 0, first, CachePolicy::kRecompute);
    REQUIRE(recomputed);
    CHECK(recomputed->tokens == 19);
    CHECK(recomputed->nll == expected / 19);
    CHECK(session.level() == 50);
  }
  const auto reused = elrt::score_after_switch(session, tokens, 0, 100, CachePolicy::kReuse);
  REQUIRE(reused);
  CHECK(reused->nll != expected / 19);
  CHECK(elrt::score_after_switch(session, tokens, 9, 100, CachePolicy::kReuse)->tokens == 4 * 4 + 3);
  CHECK(elrt::score_after_switch(session, tokens, 0, 20, CachePolicy::kReuse).failure().status ==
        elrt::Status::kInvalidArgument);
  CHECK(session.level() == 50);
  CHECK_FALSE(elrt::score_after_switch(session, tokens, 2, 100, CachePolicy::kRecompute));
  CHECK_FALSE(elrt::score_after_switch(session, tokens, 0, 33, CachePolicy::kRecompute));
}

TEST_CASE("drafts leave no trace in what the session computes", "[runtime][unit]") {
  for (const TinyElasticShape& shape : shape_of_each_type()) {
    const TinyElastic model(shape);
    const auto artifact = open_tiny(model);
    const auto tokens = model.text(30);
    for (const KvType kv : kKvTypes) {
      auto drafting = open_session(artifact, {100, 1, 128, kv}), plain = open_session(artifact, {100, 1, 128, kv});
      std::vector<float> seen;
      for (std::size_t i = 0; i < tokens.size(); i += 3) {
        for (std::size_t guess = 0; guess < 4; ++guess)
          REQUIRE(drafting.draft(tokens[(i + guess) % tokens.size()], guess < 2 ? 20 : 50));
        CHECK(drafting.tokens().size() == i);
        const auto logits = read_all(drafting, std::span(tokens).subspan(i, 3));
        seen.insert(seen.end(), logits.begin(), logits.end());
      }
      CHECK(equal_bits(seen, read_all(plain, tokens)));
    }
  }
}

TEST_CASE("a draft reads the larger level's cache as its own", "[runtime][unit]") {
  for (const TinyElasticShape& shape : shape_of_each_type()) {
    const TinyElastic model(one_block(shape));
    const auto artifact = open_tiny(model);
    const auto tokens = model.text(24);
    auto drafting = open_session(artifact, {100}), small = open_session(artifact, {50});
    read_all(drafting, {tokens.data(), 20});
    read_all(small, {tokens.data(), 20});
    for (std::size_t i = 20; i < tokens.size(); ++i) {
      const auto drafted = drafting.draft(tokens[i], 50).value(), own = small.forward({&tokens[i], 1}).value();
      CHECK(equal_bits({drafted.begin(), drafted.end()}, {own.begin(), own.end()}));
    }
  }
}

TEST_CASE("a draft is refused where it cannot be", "[runtime][unit]") {
  const TinyElastic model{TinyElasticShape{}};
  const auto artifact = open_tiny(model);
  auto session = open_session(artifact, {50});
  for (const std::uint32_t level : {33u, 50u, 100u}) {
    CHECK(session.draft(1, level).failure().status == elrt::Status::kInvalidArgument);
    CHECK_FALSE(session.can_draft(level));
  }
  CHECK_FALSE(session.draft(97, 20));
  read_all(session, std::vector<TokenId>(63, 1));
  CHECK(session.draft(1, 20));
  CHECK_FALSE(session.draft(1, 20));  // the context of 64 is full
  CHECK(session.forward(std::vector<TokenId>{1}));
}

TEST_CASE("reclaim gives pages back and changes no logit", "[runtime][unit]") {
  for (const auto& [type, shared] :
       {std::pair{0u, false}, {0u, true}, {kQ8, false}, {kQ4, false}, {kQ4, true}, {kIq4, false}, {kBF16, false}}) {
    TinyElasticShape shape;
    shape.shared = shared;
    shape.blocks = 1, shape.hidden = 320, shape.ffn = 4000, shape.adapters = true;
    shape.set_type(type);
    shape.levels = {50, 100}, shape.kv_groups = {1, 2}, shape.neurons = {480, 4000};
    const TinyElastic model(shape);
    const auto artifact = open_tiny(model);
    const auto tokens = model.text(12);
    auto session = open_session(artifact, {100}), other = open_session(artifact, {100});
    const auto full = read_all(session, tokens);
    REQUIRE(session.set_level(50));
    const std::uint64_t before = resident_file_bytes();
    const std::uint64_t given = session.reclaim();
    const double unused = 3.0 * 320 * (4000 - 480) *
                          (type == kQ8     ? 1.0625
                           : type == kBF16 ? 2
                           : type != 0     ? 0.5625
                                           : 4);
    CHECK(static_cast<double>(given) > 0.9 * unused);
    CHECK(static_cast<double>(given) < 1.1 * unused + 100e3);
#ifdef __linux__
    CHECK(before - resident_file_bytes() > given / 2);
#endif
    const auto untouched = open_tiny(model);
    auto fresh = open_session(untouched, {50});
    session.reset();
    CHECK(equal_bits(read_all(session, tokens), read_all(fresh, tokens)));
    CHECK(session.set_level(100));
    session.reset();
    CHECK(equal_bits(read_all(session, tokens), full));
    CHECK(equal_bits(read_all(other, tokens), full));
  }
}
