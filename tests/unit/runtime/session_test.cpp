#include "elrt/session.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>

#include "elrt/scorer.hpp"
#include "unit/runtime/instruction_sets.h"
#include "unit/runtime/tiny_elastic.h"

using elastify_test::for_each_target;
using elastify_test::TemporaryFile;
using elastify_test::TinyElastic;
using elastify_test::TinyElasticShape;
using elrt::Artifact;
using elrt::CachePolicy;
using elrt::Session;
using elrt::SessionOptions;
using elrt::TokenId;

namespace {

Artifact open(const TinyElastic& model) {
  const TemporaryFile file(model.artifact().build());
  auto artifact = Artifact::open(file.path());
  if (!artifact) FAIL(artifact.failure().message);
  return std::move(artifact).value();  // the mapping outlives the file's name
}

Session session(const Artifact& artifact, SessionOptions options) {
  auto made = Session::create(artifact, options);
  if (!made) FAIL(made.failure().message);
  return std::move(made).value();
}

SessionOptions options(std::uint32_t level, std::uint32_t threads = 1, std::uint32_t batch = 128) {
  return {level, threads, 0, batch};
}

std::vector<float> all_logits(Session& s, std::span<const TokenId> tokens) {
  std::vector<std::uint32_t> rows(tokens.size());
  std::iota(rows.begin(), rows.end(), 0u);
  auto logits = s.forward(tokens, rows);
  if (!logits) FAIL(logits.failure().message);
  return {logits->begin(), logits->end()};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// The largest difference over the largest reference logit: float rounding through three blocks stays near 1e-6.
double worst_error(const std::vector<float>& found, const std::vector<std::vector<double>>& expected) {
  double worst = 0, scale = 1;
  std::size_t at = 0;
  for (const auto& row : expected) {
    for (const double value : row) {
      if (std::isnan(found[at])) return INFINITY;
      worst = std::max(worst, std::fabs(found[at++] - value));
      scale = std::max(scale, std::fabs(value));
    }
  }
  return worst / scale;
}

// Root of the mean squared difference over that of the reference.
double rms_error(const std::vector<float>& found, const std::vector<std::vector<double>>& expected) {
  double difference = 0, total = 0;
  std::size_t at = 0;
  for (const auto& row : expected) {
    for (const double value : row) {
      const double change = found[at++] - value;
      difference += change * change, total += value * value;
    }
  }
  return std::sqrt(difference / total);
}

std::vector<TinyElasticShape> shapes() {
  std::vector<TinyElasticShape> all(13);
  all[1].f16 = true;
  all[2].biases = true;
  all[3].qk_norm = true;
  all[4].window = 5;
  all[5].adapters = true;
  all[6].rope_freqs = all[6].tied = true;
  all[7].f16 = all[7].biases = all[7].qk_norm = all[7].adapters = all[7].tied = true;
  all[7].window = 9;
  // One query head per group, wide heads, whole tiles, hidden below a tile.
  all[8].hidden = 24, all[8].heads = all[8].kv_heads = 2, all[8].head_dim = 64, all[8].ffn = 96;
  all[8].neurons = {32, 32, 32, 64, 64, 64, 96, 96, 96};
  all[9].biases = all[9].adapters = true;
  all[9] = with_empty_halves(all[9]);
  all[10].f16 = all[10].qk_norm = all[10].adapters = true, all[10].window = 5;
  all[10] = with_empty_halves(all[10], true);
  all[11].adapters = all[11].shared = true;
  all[12].f16 = all[12].adapters = all[12].shared = true;
  all[12] = with_empty_halves(all[12]);
  return all;
}

// The same models with all their matrices quantised, or their adapters.
std::vector<TinyElasticShape> quantised_shapes() {
  std::vector<TinyElasticShape> all;
  for (const std::uint32_t type : {elastify_test::kQ8, elastify_test::kQ4, elastify_test::kIq4}) {
    for (TinyElasticShape shape : shapes()) {
      shape.quantised = type;
      all.push_back(shape);
    }
  }
  for (TinyElasticShape shape : shapes()) {
    if (!shape.adapters) continue;
    shape.adapters_q8 = true;
    for (const std::uint32_t rank : {3u, 16u, 21u}) {
      shape.rank = rank;
      shape.quantised = rank == 16 ? elastify_test::kQ8 : 0;  // or floats next to them
      all.push_back(shape);
    }
  }
  return all;
}

std::vector<TinyElasticShape> bf16_shapes() {
  std::vector<TinyElasticShape> all = shapes();
  for (TinyElasticShape& shape : all) shape.set_type(elastify_test::kBF16);
  return all;
}

std::vector<TinyElasticShape> all_shapes() {
  std::vector<TinyElasticShape> all = shapes();
  for (const auto& some : {bf16_shapes(), quantised_shapes()}) all.insert(all.end(), some.begin(), some.end());
  return all;
}

}  // namespace

TEST_CASE("session logits equal a plain double forward pass at every level, on every instruction set",
          "[runtime][unit]") {
  int index = 0;
  for (const TinyElasticShape& shape : shapes()) {
    const TinyElastic model(shape, 7 + static_cast<std::uint64_t>(index));
    const Artifact artifact = open(model);
    const auto tokens = model.text(23);
    for (const std::uint32_t level : shape.levels) {
      const auto expected = model.reference(tokens, level);
      for_each_target([&](const std::string& target, bool) {
        // Float32 rounding alone, of sums that are the longer the fewer lanes there are: 1.6e-6 at most with eight and
        // sixteen, 2.5e-6 with four (NEON, SSE), 3.6e-6 with one.
        const double rounding = target.starts_with("AVX") ? 2e-6 : target.starts_with("SCALAR") ? 5e-6 : 3e-6;
        Session s = session(artifact, options(level));
        INFO("shape " << index << ", level " << level << ", " << target);
        CHECK(worst_error(all_logits(s, tokens), expected) < rounding);
      });
    }
    ++index;
  }
}

TEST_CASE("a BF16 model's logits equal a plain double forward pass whose inputs are rounded where the processor's are",
          "[runtime][unit]") {
  int index = 0;
  std::vector<double> rounded;
  for (const TinyElasticShape& shape : bf16_shapes()) {
    const TinyElastic model(shape, 7 + static_cast<std::uint64_t>(index));
    const Artifact artifact = open(model);
    const auto tokens = model.text(23);
    for (const std::uint32_t level : shape.levels) {
      const auto plain = model.reference(tokens, level), in_bf16 = model.reference(tokens, level, true);
      for_each_target([&](const std::string& target, bool) {
        Session s = session(artifact, options(level));
        const auto logits = all_logits(s, tokens);
        INFO("shape " << index << ", level " << level << ", " << target);
        if (!elrt::kernels::rounds_inputs({nullptr, elrt::TensorType::kBF16})) {  // as in the test above
          const double rounding = target.starts_with("AVX") ? 2e-6 : target.starts_with("SCALAR") ? 5e-6 : 3e-6;
          CHECK(worst_error(logits, plain) < rounding);
          return;
        }
        // An activation that float32 and double round to different neighbours moves by a 128th of itself at most.
        rounded.push_back(rms_error(logits, in_bf16));
        CHECK(rounded.back() < 5e-3);
        CHECK(rms_error(logits, plain) > 2 * rounded.back());  // which the other reference does not explain
      });
    }
    ++index;
  }
  std::sort(rounded.begin(), rounded.end());
  CHECK((rounded.empty() || rounded[rounded.size() / 2] < 2e-6));  // most models meet no such tie
}

TEST_CASE(
    "a quantised model's logits equal a plain double forward pass over the same quantised weights, on every "
    "instruction set",
    "[runtime][unit]") {
  int index = 0;
  std::vector<double> errors;
  for (const TinyElasticShape& shape : quantised_shapes()) {
    const TinyElastic model(shape, 7 + static_cast<std::uint64_t>(index));
    const Artifact artifact = open(model);
    const auto tokens = model.text(23);
    for (const std::uint32_t level : shape.levels) {
      const auto expected = model.reference(tokens, level);
      for_each_target([&](const std::string& target, bool) {
        Session s = session(artifact, options(level));
        INFO("shape " << index << ", level " << level << ", " << target);
        // Where float32 and double disagree on the nearest integer an activation moves by a 127th of its block's
        // largest: rare, and worth more than all other rounding.
        errors.push_back(rms_error(all_logits(s, tokens), expected));
        CHECK(errors.back() < 5e-2);
      });
    }
    ++index;
  }
  std::sort(errors.begin(), errors.end());
  CHECK(errors[errors.size() / 2] < 2e-6);  // most models meet no such tie: float rounding alone
}

TEST_CASE("a level of a file equals that level packed alone, bit for bit, at every type", "[runtime][unit]") {
  for (const std::uint32_t type :
       {0u, 1u, elastify_test::kBF16, elastify_test::kQ8, elastify_test::kQ4, elastify_test::kIq4}) {
    TinyElasticShape shape;
    shape.set_type(type);
    shape.kv_heads = 4;
    shape.kv_groups = {1, 1, 1, 3, 3, 3, 4, 4, 4}, shape.neurons = {40, 40, 40, 100, 100, 100, 172, 172, 172};
    const TinyElastic model(shape);
    const Artifact artifact = open(model);
    const auto tokens = model.text(19);
    for (const std::uint32_t level : shape.levels) {
      const Artifact alone = open(model.alone(level));
      Session from_all = session(artifact, options(level)), by_itself = session(alone, options(100));
      INFO("type " << type << ", level " << level);
      CHECK(same_bits(all_logits(from_all, tokens), all_logits(by_itself, tokens)));
    }
  }
}

TEST_CASE("logits do not depend on batches or threads, bit for bit", "[runtime][unit]") {
  for (const TinyElasticShape& shape : all_shapes()) {
    const TinyElastic model(shape);
    const Artifact artifact = open(model);
    const auto tokens = model.text(31);
    for (const std::uint32_t level : shape.levels) {
      Session whole = session(artifact, options(level));
      const auto expected = all_logits(whole, tokens);
      for (const std::uint32_t batch : {1u, 2u, 3u, 5u, 7u, 16u}) {
        Session s = session(artifact, options(level, 1, batch));
        INFO("level " << level << ", batch " << batch);
        CHECK(same_bits(all_logits(s, tokens), expected));
      }
      for (const std::uint32_t threads : {2u, 3u}) {
        Session s = session(artifact, options(level, threads));
        INFO("level " << level << ", threads " << threads);
        CHECK(same_bits(all_logits(s, tokens), expected));
      }
      Session single = session(artifact, options(level, 2));
      std::vector<float> one_by_one;
      for (const TokenId token : tokens) {
        const auto logits = all_logits(single, {&token, 1});
        one_by_one.insert(one_by_one.end(), logits.begin(), logits.end());
      }
      CHECK(same_bits(one_by_one, expected));
    }
  }
}

TEST_CASE("logits of some tokens are what they are where all are asked for, and so is all that follows",
          "[runtime][unit]") {
  for (const TinyElasticShape& shape : all_shapes()) {
    const TinyElastic model(shape);
    const Artifact artifact = open(model);
    const auto tokens = model.text(20), more = model.text(6);
    for (const std::uint32_t level : {shape.levels.front(), shape.levels.back()}) {
      Session whole = session(artifact, options(level));
      const auto expected = all_logits(whole, tokens), next = all_logits(whole, more);
      const std::size_t vocab = expected.size() / tokens.size();
      for (const std::vector<std::uint32_t>& rows :
           {std::vector<std::uint32_t>{}, {19}, {18, 19}, {3}, {7, 12}, {0, 19}}) {
        for (const std::uint32_t batch : {8u, 64u}) {
          Session s = session(artifact, options(level, 2, batch));
          const auto found = s.forward(tokens, rows);
          REQUIRE(found);
          std::vector<float> wanted;
          for (const std::uint32_t row : rows)
            wanted.insert(wanted.end(), expected.begin() + static_cast<std::ptrdiff_t>(row * vocab),
                          expected.begin() + static_cast<std::ptrdiff_t>((row + 1) * vocab));
          INFO("level " << level << ", batch " << batch << ", rows " << rows.size());
          CHECK(same_bits({found->begin(), found->end()}, wanted));
          CHECK(same_bits(all_logits(s, more), next));
        }
      }
    }
  }
}

TEST_CASE("matrices large enough to be split among threads give the same bits", "[runtime][unit]") {
  for (const std::uint32_t type :
       {0u, elastify_test::kBF16, elastify_test::kQ8, elastify_test::kQ4, elastify_test::kIq4}) {
    TinyElasticShape shape;
    shape.set_type(type);
    shape.blocks = 1, shape.hidden = 320, shape.ffn = 1000, shape.vocab = 3001, shape.adapters = true;
    shape.levels = {50, 100}, shape.kv_groups = {1, 2}, shape.neurons = {500, 1000};
    const TinyElastic model(shape);
    const Artifact artifact = open(model);
    const auto tokens = model.text(40);
    for (const std::uint32_t level : shape.levels) {
      Session one = session(artifact, options(level, 1)), four = session(artifact, options(level, 4, 11)),
              single = session(artifact, options(level, 3, 1));
      const auto expected = all_logits(one, tokens);
      INFO("type " << type << ", level " << level);
      CHECK(same_bits(expected, all_logits(four, tokens)));
      CHECK(same_bits(expected, all_logits(single, tokens)));
    }
  }
}

TEST_CASE("a level change that recomputes equals a fresh session", "[runtime][unit]") {
  TinyElasticShape shape;
  shape.adapters = true;
  const TinyElastic model(shape);
  const Artifact artifact = open(model);
  const auto tokens = model.text(20);
  const std::span<const TokenId> head(tokens.data(), 12), tail(tokens.data() + 12, 8);
  for (const auto& [from, to] : {std::pair{100u, 20u}, std::pair{20u, 100u}, std::pair{50u, 20u}}) {
    Session fresh = session(artifact, options(to)), moved = session(artifact, options(from));
    all_logits(fresh, head);
    all_logits(moved, head);
    REQUIRE(moved.set_level(to));
    CHECK(moved.level() == to);
    CHECK(same_bits(all_logits(moved, tail), all_logits(fresh, tail)));
  }
}

TEST_CASE("reuse goes down only, keeps the text and differs from recomputing", "[runtime][unit]") {
  const TinyElastic model{TinyElasticShape{}};
  const Artifact artifact = open(model);
  const auto tokens = model.text(20);
  const std::span<const TokenId> head(tokens.data(), 12), tail(tokens.data() + 12, 8);
  Session moved = session(artifact, options(100)), fresh = session(artifact, options(50));
  all_logits(moved, head);
  all_logits(fresh, head);
  REQUIRE(moved.set_level(50, CachePolicy::kReuse));
  const auto reused = all_logits(moved, tail), exact = all_logits(fresh, tail);
  CHECK(moved.tokens().size() == tokens.size());
  CHECK_FALSE(same_bits(reused, exact));
  const auto up = moved.set_level(100, CachePolicy::kReuse);
  REQUIRE_FALSE(up);
  CHECK(up.failure().status == elrt::Status::kInvalidArgument);
  // Recomputing at the same level makes the mixed cache exact again.
  Session mixed = session(artifact, options(100));
  all_logits(mixed, head);
  REQUIRE(mixed.set_level(50, CachePolicy::kReuse));
  REQUIRE(mixed.set_level(50, CachePolicy::kRecompute));
  CHECK(same_bits(all_logits(mixed, tail), exact));
}

TEST_CASE("after going back, a session equals one that never went on", "[runtime][unit]") {
  for (const TinyElasticShape& shape : all_shapes()) {
    const TinyElastic model(shape);
    const Artifact artifact = open(model);
    const auto first = model.text(24);
    auto second = first;
    std::reverse(second.begin() + 9, second.end());
    for (const std::uint32_t level : shape.levels) {
      Session back = session(artifact, options(level, 1, 5)), fresh = session(artifact, options(level));
      all_logits(back, first);
      back.truncate(9);
      CHECK(back.tokens().size() == 9);
      const std::span<const TokenId> head(second.data(), 9), tail(second.data() + 9, second.size() - 9);
      all_logits(fresh, head);
      INFO("level " << level);
      CHECK(same_bits(all_logits(back, tail), all_logits(fresh, tail)));
    }
  }
}

TEST_CASE("going back after a level change keeps what the change promised", "[runtime][unit]") {
  const TinyElastic model{TinyElasticShape{}};
  const Artifact artifact = open(model);
  const auto tokens = model.text(20);
  const std::span<const TokenId> head(tokens.data(), 12), tail(tokens.data() + 6, 14);
  Session recomputed = session(artifact, options(100)), mixed = session(artifact, options(100)),
          fresh = session(artifact, options(50));
  all_logits(fresh, {tokens.data(), 6});
  const auto exact = all_logits(fresh, tail);
  all_logits(recomputed, head);
  REQUIRE(recomputed.set_level(50));
  recomputed.truncate(6);
  CHECK(same_bits(all_logits(recomputed, tail), exact));
  all_logits(mixed, head);
  REQUIRE(mixed.set_level(50, CachePolicy::kReuse));
  mixed.truncate(6);
  CHECK_FALSE(same_bits(all_logits(mixed, tail), exact));
  REQUIRE(mixed.set_level(50, CachePolicy::kRecompute));  // the cache is known to be mixed still
  mixed.truncate(6);
  CHECK(same_bits(all_logits(mixed, tail), exact));
  mixed.truncate(100);
  CHECK(mixed.tokens().size() == tokens.size());
  mixed.truncate(0);
  CHECK(mixed.tokens().empty());
}

TEST_CASE("answers scored after one prompt cost and lose what the whole text does", "[runtime][unit]") {
  TinyElasticShape shape;
  shape.adapters = true;
  const TinyElastic model(shape);
  const Artifact artifact = open(model);
  const auto base = model.text(20);
  Session whole = session(artifact, options(50)), cached = session(artifact, options(50, 1, 3));
  // Other answers to one prompt, then another prompt, then the first again.
  for (const auto& [begin, change] : {std::pair{15u, 0}, {15u, 5}, {17u, 90}, {4u, 5}, {15u, 0}}) {
    auto tokens = base;
    for (std::size_t i = begin; i < tokens.size(); ++i)
      tokens[i] = (tokens[i] + change) % static_cast<TokenId>(shape.vocab);
    std::vector<double> expected;
    REQUIRE(elrt::score(whole, tokens, 0, [&](std::size_t index, double loss) {
      if (index >= 15) expected.push_back(loss);
    }));
    const auto losses = elrt::score_tail(cached, tokens, 15);
    REQUIRE(losses);
    CHECK(losses.value() == expected);  // bit for bit
    CHECK(cached.tokens().size() == tokens.size() - 1);
  }
}

TEST_CASE("scoring an answer refuses what has no prompt, no answer or no place", "[runtime][unit]") {
  const TinyElastic model{TinyElasticShape{}};
  const Artifact artifact = open(model);
  Session s = session(artifact, options(100));
  const auto status = [&](const std::vector<TokenId>& tokens, std::size_t from) {
    auto result = elrt::score_tail(s, tokens, from);
    return result ? elrt::Status::kOk : result.failure().status;
  };
  CHECK(status({1, 2, 3}, 1) == elrt::Status::kOk);
  CHECK(status({1, 2, 3}, 0) == elrt::Status::kInvalidArgument);
  CHECK(status({1, 2, 3}, 3) == elrt::Status::kInvalidArgument);
  CHECK(status({}, 1) == elrt::Status::kInvalidArgument);
  CHECK(status({1, 97}, 1) == elrt::Status::kInvalidArgument);
  CHECK(status({1, -1, 2}, 2) == elrt::Status::kInvalidArgument);
  CHECK(status(std::vector<TokenId>(66, 1), 1) == elrt::Status::kInvalidArgument);
  CHECK(status(std::vector<TokenId>(65, 1), 1) == elrt::Status::kOk);
}

TEST_CASE("a session refuses what it cannot do and keeps its state", "[runtime][unit]") {
  const TinyElastic model{TinyElasticShape{}};
  const Artifact artifact = open(model);
  Session s = session(artifact, options(100));
  const auto tokens = model.text(10);
  all_logits(s, tokens);
  const auto status = [&](const std::vector<TokenId>& more, std::vector<std::uint32_t> rows) {
    auto result = s.forward(more, rows);
    return result ? elrt::Status::kOk : result.failure().status;
  };
  CHECK(status({-1}, {0}) == elrt::Status::kInvalidArgument);
  CHECK(status({97}, {0}) == elrt::Status::kInvalidArgument);
  CHECK(status({1}, {1}) == elrt::Status::kInvalidArgument);
  CHECK(status({1, 2}, {1, 0}) == elrt::Status::kInvalidArgument);
  CHECK(status(std::vector<TokenId>(55, 1), {0}) == elrt::Status::kInvalidArgument);
  CHECK_FALSE(s.forward({}));
  CHECK_FALSE(s.set_level(33));
  CHECK(s.tokens().size() == tokens.size());
  CHECK(status(std::vector<TokenId>(54, 1), {0}) == elrt::Status::kOk);
  CHECK_FALSE(Session::create(artifact, options(33)));
  CHECK_FALSE(Session::create(artifact, {100, 1, 65}));
  CHECK_FALSE(Session::create(artifact, {100, 1, 0, 4097}));
  CHECK_FALSE(Session::create(artifact, {100, 5000}));
}

TEST_CASE("a session and its artifact may go in any order", "[runtime][unit]") {
  const TinyElastic model{TinyElasticShape{}};
  auto artifact = std::make_unique<Artifact>(open(model));
  Session s = session(*artifact, options(100));
  artifact.reset();
  CHECK(all_logits(s, model.text(3)).size() == 3 * model.shape().vocab);
}
