#include "elrt/sampler.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>

#include "text/stop_matcher.hpp"

using elrt::Sampler;
using elrt::SamplerOptions;
using elrt::StopMatcher;

namespace {

std::map<int, int> histogram(const SamplerOptions& options, const std::vector<float>& logits, int draws = 20000) {
  auto sampler = Sampler::create(options);
  REQUIRE(sampler);
  std::map<int, int> counts;
  for (int i = 0; i < draws; ++i) ++counts[sampler->sample(logits).value()];
  return counts;
}

// Probabilities 0.5, 0.25, 0.15, 0.1 in a shuffled order of ids.
const std::vector<float> kLogits = {std::log(0.15f), std::log(0.5f), std::log(0.1f), std::log(0.25f)};

}  // namespace

TEST_CASE("greedy takes the highest logit and the smaller id of a tie", "[runtime][unit]") {
  auto sampler = Sampler::create({});
  CHECK(sampler->sample(std::vector<float>{1, 3, 3, 2}).value() == 1);
}

TEST_CASE("sampling follows the softmax at temperature one", "[runtime][unit]") {
  auto counts = histogram({1.0f, 0, 1, 0, 42}, kLogits);
  CHECK(counts[1] / 20000.0 == Approx(0.5).margin(0.015));
  CHECK(counts[3] / 20000.0 == Approx(0.25).margin(0.015));
  CHECK(counts[0] / 20000.0 == Approx(0.15).margin(0.015));
  CHECK(counts[2] / 20000.0 == Approx(0.1).margin(0.015));
}

TEST_CASE("temperature sharpens: at one half probabilities are squared", "[runtime][unit]") {
  auto counts = histogram({0.5f, 0, 1, 0, 42}, kLogits);
  CHECK(counts[1] / 20000.0 == Approx(0.25 / 0.345).margin(0.015));
}

TEST_CASE("filters keep what they promise", "[runtime][unit]") {
  CHECK(histogram({1, 1, 1, 0, 1}, kLogits).size() == 1);
  CHECK(histogram({1, 2, 1, 0, 1}, kLogits).size() == 2);
  CHECK(histogram({1, 0, 0.5f, 0, 1}, kLogits).size() == 1);
  CHECK(histogram({1, 0, 0.74f, 0, 1}, kLogits).size() == 2);
  CHECK(histogram({1, 0, 0.76f, 0, 1}, kLogits).size() == 3);
  CHECK(histogram({1, 0, 1, 0.4f, 1}, kLogits).size() == 2);
  CHECK(histogram({1, 0, 1, 1.0f, 1}, kLogits).size() == 1);
}

TEST_CASE("a seed fixes the draws on every platform", "[runtime][unit]") {
  auto sampler = Sampler::create({1, 0, 1, 0, 7});
  std::string drawn;
  for (int i = 0; i < 16; ++i) drawn += static_cast<char>('0' + sampler->sample(kLogits).value());
  auto again = Sampler::create({1, 0, 1, 0, 7});
  std::string repeated;
  for (int i = 0; i < 16; ++i) repeated += static_cast<char>('0' + again->sample(kLogits).value());
  CHECK(drawn == repeated);
  CHECK(histogram({1, 0, 1, 0, 7}, kLogits, 100) != histogram({1, 0, 1, 0, 8}, kLogits, 100));
  // SplitMix64's published first output for seed 0 is 0xE220A8397B1DCDAF: 0.88 of one falls in the last of four.
  auto zero = Sampler::create({1, 0, 1, 0, 0});
  CHECK(zero->sample(std::vector<float>{4, 4, 4, 4}).value() == 3);
}

TEST_CASE("bad options and damaged logits are refused", "[runtime][unit]") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  CHECK_FALSE(Sampler::create({-1, 0, 1, 0, 0}));
  CHECK_FALSE(Sampler::create({kNaN, 0, 1, 0, 0}));
  CHECK_FALSE(Sampler::create({1, 0, 0, 0, 0}));
  CHECK_FALSE(Sampler::create({1, 0, 1.5f, 0, 0}));
  CHECK_FALSE(Sampler::create({1, 0, 1, -1, 0}));
  for (const float temperature : {0.0f, 1.0f}) {
    auto sampler = Sampler::create({temperature, 0, 1, 0, 0});
    CHECK_FALSE(sampler->sample(std::vector<float>{1, kNaN, 2}));
    CHECK_FALSE(sampler->sample(std::vector<float>{kInf, 1}));
    CHECK_FALSE(sampler->sample(std::vector<float>{-kInf, -kInf}));
    CHECK_FALSE(sampler->sample({}));
    CHECK(sampler->sample(std::vector<float>{-kInf, 1}).value() == 1);
  }
}

TEST_CASE("a stop string is found across pieces and never shown in part", "[runtime][unit]") {
  StopMatcher matcher({"END", "", "\n\n"});
  CHECK(matcher.push("some E") == "some ");
  CHECK(matcher.push("N") == "");
  CHECK(matcher.push("E") == "EN");
  CHECK(matcher.push("ND tail") == "");
  CHECK(matcher.stopped());
  CHECK(matcher.push("more") == "");
  CHECK(matcher.finish() == "");
}

TEST_CASE("held text comes out when no stop string follows", "[runtime][unit]") {
  StopMatcher matcher({"END"});
  CHECK(matcher.push("the E") == "the ");
  CHECK(matcher.push("N") == "");
  CHECK(matcher.finish() == "EN");
  CHECK_FALSE(matcher.stopped());
}

TEST_CASE("the earliest stop string ends the text", "[runtime][unit]") {
  StopMatcher matcher({"ccc", "b"});
  CHECK(matcher.push("abccc") == "a");
  CHECK(matcher.stopped());
  StopMatcher overlapping({"aab"});
  CHECK(overlapping.push("aaa") == "a");
  CHECK(overlapping.push("b") == "");
  CHECK(overlapping.stopped());
}
