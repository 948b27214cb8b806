// Specs that contradict themselves or would exhaust the machine are refused.
#include <catch2/catch.hpp>
#include <functional>
#include <limits>

#include "tiny_tokenizers.h"

using namespace elastify_test;
using elrt::NormalizerStep;
using elrt::PreTokenizerStep;
using elrt::TokenizerSpec;
using elrt::TokenType;

namespace {

void refuses(const char* part, TokenizerSpec spec, const std::function<void(TokenizerSpec&)>& damage) {
  damage(spec);
  const elrt::Result<elrt::Tokenizer> tokenizer = elrt::Tokenizer::create(std::move(spec));
  INFO(part);
  REQUIRE_FALSE(tokenizer.ok());
  CHECK(tokenizer.failure().status == elrt::Status::kBadData);
  CHECK_THAT(tokenizer.failure().message, Catch::Matchers::Contains(part));
}

}  // namespace

TEST_CASE("a spec that contradicts itself is refused", "[tokenizer][unit]") {
  const TokenizerSpec scores = score_spec(), bytes = byte_level_spec();
  refuses("tokens", scores, [](TokenizerSpec& s) { s.tokens.clear(); });
  refuses("token types", scores, [](TokenizerSpec& s) { s.types.pop_back(); });
  refuses("unknown type", scores, [](TokenizerSpec& s) { s.types[5] = static_cast<TokenType>(9); });
  refuses("not UTF-8", scores, [](TokenizerSpec& s) { s.tokens[260] = std::string(1, static_cast<char>(0xFF)); });
  refuses("bytes", scores, [](TokenizerSpec& s) { s.tokens[260] = std::string(100'000, 'a'); });
  refuses("scores", scores, [](TokenizerSpec& s) { s.scores.pop_back(); });
  refuses("not a number", scores, [](TokenizerSpec& s) { s.scores[7] = std::numeric_limits<float>::quiet_NaN(); });
  refuses("merges", scores, [](TokenizerSpec& s) { s.merges = {{260, 261}}; });
  refuses("scores", bytes, [](TokenizerSpec& s) { s.scores = {1.0f}; });
  refuses("merge 0", bytes, [](TokenizerSpec& s) { s.merges[0].left = -1; });
  refuses("merge 1", bytes, [](TokenizerSpec& s) { s.merges[1].right = 261; });
  refuses("no token", bytes, [](TokenizerSpec& s) { s.merges[0] = {'x', 'y'}; });
  refuses("exclude", bytes, [](TokenizerSpec& s) { s.byte_fallback = true; });
  refuses("255 of the 256", scores, [](TokenizerSpec& s) { s.tokens[4] = std::string("x"); });
  refuses("unk id", scores, [](TokenizerSpec& s) { s.unk_id = 1000; });
  refuses("bos id", scores, [](TokenizerSpec& s) { s.bos_id = -1; });
  refuses("eos id", scores, [](TokenizerSpec& s) { s.eos_id = -2; });
  refuses("pad id", scores, [](TokenizerSpec& s) { s.pad_id = 267; });
  refuses("stop id", scores, [](TokenizerSpec& s) { s.stop_ids = {-1}; });
  refuses("added token", scores, [](TokenizerSpec& s) { s.added[0].id = 267; });
  refuses("twice", scores, [](TokenizerSpec& s) { s.added[0].id = 2; });
}

TEST_CASE("steps that make no sense are refused", "[tokenizer][unit]") {
  using Kind = elrt::DecoderStep::Kind;
  const TokenizerSpec spec = byte_level_spec();
  refuses("does not compile", spec, [](TokenizerSpec& s) { s.pre_tokenizer[0].pattern = "(a"; });
  refuses("does not compile", spec, [](TokenizerSpec& s) { s.pre_tokenizer[0].pattern = "\\C"; });
  refuses("empty pattern", spec, [](TokenizerSpec& s) { s.pre_tokenizer[0].pattern.clear(); });
  refuses("too long", spec, [](TokenizerSpec& s) { s.pre_tokenizer[0].pattern = std::string(20'000, 'a'); });
  refuses("empty text", spec, [](TokenizerSpec& s) { s.normalizer = {{NormalizerStep::Kind::kReplace, "", "x"}}; });
  refuses("steps", spec, [](TokenizerSpec& s) { s.normalizer.resize(65); });
  refuses("decoder", spec,
          [](TokenizerSpec& s) { s.decoder.push_back({.kind = Kind::kReplace, .pattern = "a", .content = "b"}); });
  refuses("decoder", spec,
          [](TokenizerSpec& s) { s.decoder.push_back({.kind = Kind::kStrip, .content = "ab", .start = 1}); });
  refuses("decoder", spec,
          [](TokenizerSpec& s) { s.decoder.push_back({.kind = Kind::kStrip, .content = "a", .stop = 1}); });
}

TEST_CASE("a regex that backtracks without end gives up instead of hanging", "[tokenizer][unit]") {
  TokenizerSpec spec = byte_level_spec();
  spec.pre_tokenizer[0].pattern = "(a+)+$";
  const elrt::Result<elrt::Tokenizer> tokenizer = elrt::Tokenizer::create(spec);
  REQUIRE(tokenizer.ok());
  const elrt::Result<Ids> ids = tokenizer->encode(std::string(200, 'a') + "b");
  REQUIRE_FALSE(ids.ok());
  CHECK_THAT(ids.failure().message, Catch::Matchers::Contains("regex gave up"));
}

TEST_CASE("a normalizer that inflates its text is stopped", "[tokenizer][unit]") {
  TokenizerSpec spec = byte_level_spec();
  for (int i = 0; i < 40; ++i) spec.normalizer.push_back({NormalizerStep::Kind::kReplace, "a", "aa"});
  elrt::Result<elrt::Tokenizer> tokenizer = elrt::Tokenizer::create(spec);
  REQUIRE(tokenizer.ok());
  CHECK_FALSE(tokenizer->encode("a").ok());
  spec.normalizer.clear();
  spec.pre_tokenizer.assign(40, {PreTokenizerStep::Kind::kReplace, "a", "aa"});
  tokenizer = elrt::Tokenizer::create(spec);
  REQUIRE(tokenizer.ok());
  CHECK_FALSE(tokenizer->encode("a").ok());
}
