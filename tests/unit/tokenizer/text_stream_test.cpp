// Decoding, whole and token by token.
#include <catch2/catch.hpp>

#include "tiny_tokenizers.h"

using namespace elastify_test;
using elrt::DecodeOptions;
using elrt::DecoderStep;
using elrt::TextStream;
using elrt::Tokenizer;

namespace {

Tokenizer make(elrt::TokenizerSpec spec) {
  elrt::Result<Tokenizer> tokenizer = Tokenizer::create(std::move(spec));
  if (!tokenizer) FAIL(tokenizer.failure().message);
  return std::move(tokenizer).value();
}

// The pieces that a stream gives, the last one from finish().
std::vector<std::string> pieces(const Tokenizer& tokenizer, const Ids& ids, DecodeOptions options = {}) {
  TextStream stream(tokenizer, options);
  std::vector<std::string> out;
  for (const std::int32_t id : ids) out.push_back(stream.push(id));
  out.push_back(stream.finish());
  return out;
}

}  // namespace

TEST_CASE("the space put before a text is taken away again, once", "[tokenizer][unit]") {
  const Tokenizer tokenizer = make(score_spec());
  CHECK(tokenizer.decode(Ids{1, 263, 263}) == "a a");
  CHECK(tokenizer.decode(Ids{1, 259, 263}) == " a");
  CHECK(tokenizer.decode(Ids{263, 263}, {.continues = true}) == " a a");
  CHECK(tokenizer.decode(Ids{260, 263}) == "a a");
  CHECK(tokenizer.decode(Ids{}) == "");
  CHECK(pieces(tokenizer, {1, 259, 260}) == std::vector<std::string>{"", "", "a", ""});
}

TEST_CASE("a character of several byte tokens appears with its last byte", "[tokenizer][unit]") {
  const Tokenizer tokenizer = make(score_spec());
  CHECK(pieces(tokenizer, {3 + 0xE6, 3 + 0x97, 3 + 0xA5, 260}) ==
        std::vector<std::string>{"", "", "\xE6\x97\xA5", "a", ""});
}

TEST_CASE("invalid bytes become U+FFFD per maximal run, or stay raw", "[tokenizer][unit]") {
  const Tokenizer tokenizer = make(score_spec());
  const std::string r = "\xEF\xBF\xBD";
  CHECK(tokenizer.decode(Ids{3 + 0xE6, 3 + 0x97, 260}) == r + "a");  // two bytes, one run
  CHECK(tokenizer.decode(Ids{3 + 0xFF, 3 + 0xFF}) == r + r);
  CHECK(tokenizer.decode(Ids{260, 3 + 0xE6}) == "a" + r);
  CHECK(tokenizer.decode(Ids{260, 3 + 0xE6}, {.raw_bytes = true}) == "a\xE6");
  CHECK(tokenizer.decode(Ids{3 + 0xED, 3 + 0xA0, 3 + 0x80}) == r + r + r);  // a surrogate is no character
}

TEST_CASE("a stream gives what decode gives, in whole characters", "[tokenizer][unit]") {
  std::mt19937 random(3);
  for (const auto& spec : {score_spec(), byte_level_spec()}) {
    const Tokenizer tokenizer = make(spec);
    for (int i = 0; i < 200; ++i) {
      Ids ids;
      for (int n = 0; n < 30; ++n) ids.push_back(static_cast<std::int32_t>(random() % (spec.tokens.size() + 2)) - 1);
      std::string joined;
      for (const std::string& piece : pieces(tokenizer, ids)) {
        joined += piece;
        CHECK((piece.empty() || (static_cast<unsigned char>(piece[0]) & 0xC0) != 0x80));
      }
      CHECK(joined == tokenizer.decode(ids));
    }
  }
}

TEST_CASE("decoders without fuse work per token", "[tokenizer][unit]") {
  elrt::TokenizerSpec spec = byte_level_spec();
  spec.decoder = {{.kind = DecoderStep::Kind::kJoinSpaces}};
  CHECK(make(spec).decode(Ids{'a', 'b', 259, 'c'}) == "a b c");
  spec.decoder = {{.kind = DecoderStep::Kind::kReplace, .pattern = "b", .content = "xx"}};
  CHECK(make(spec).decode(Ids{'a', 'b', 256}) == "axxaxx");
  spec.decoder = {{.kind = DecoderStep::Kind::kMetaspace, .pattern = "a", .start = 1}};
  CHECK(make(spec).decode(Ids{256, 256}) == "b b");
}

TEST_CASE("the unknown token decodes to its surface", "[tokenizer][unit]") {
  elrt::TokenizerSpec spec = score_spec();
  spec.unk_surface = " ?? ";
  CHECK(make(spec).decode(Ids{260, 0, 261}) == "a ?? b");
}
