// llama2.c's tokenizer.bin: hand-worked cases, the 32k pair, damaged files.
#include <cstring>

#include "import_support.h"
#include "support/skip.h"
#include "tiny_tokenizers.h"

using namespace elastify_test;
using Catch::Matchers::Contains;

namespace {

template <typename T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string llama2c_file(const elrt::TokenizerSpec& spec) {
  std::string bytes;
  append(bytes, std::int32_t{8});
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string text = id == 1 ? "\n<s>\n" : id == 2 ? "\n</s>\n" : spec.tokens[id];
    append(bytes, spec.scores[id]);
    append(bytes, static_cast<std::int32_t>(text.size()));
    bytes += text;
  }
  return bytes;
}

}  // namespace

TEST_CASE("tokenizer.bin imports to the spec it was written from", "[tokenizer][unit]") {
  const TemporaryDirectory directory;
  directory.write("tok.bin", llama2c_file(score_spec()));
  CHECK(elastify::import_tokenizer(directory.path(), 267) == score_spec());
  CHECK(elastify::import_tokenizer(directory.path()) == score_spec());
  directory.write("model.bin", "weights");
  CHECK(elastify::import_tokenizer(directory.path() / "model.bin") == score_spec());
}

TEST_CASE("damaged tokenizer.bin files are refused", "[tokenizer][unit]") {
  const TemporaryDirectory directory;
  const std::string good = llama2c_file(score_spec());
  const auto error = [&](const std::string& bytes, std::int64_t vocab_size) {
    return import_error(directory.write("tokenizer.bin", bytes), vocab_size);
  };
  for (std::size_t size = 0; size < good.size(); size += 7)
    CHECK_THAT(error(good.substr(0, size), 267), Contains("ends at byte"));
  CHECK_THAT(error(good, 268), Contains("ends at byte"));
  CHECK_THAT(error(good, 266), Contains("goes on"));
  CHECK_THAT(error(good.substr(0, 200), 0), Contains("ends at byte") || Contains("expected at least"));
  std::string bad = good;
  bad[0] = 2;  // longest token: shorter than its tokens
  CHECK_THAT(error(bad, 267), Contains("expected 0 to 2"));
  bad = good;
  std::memset(&bad[0], 0xFF, 4);
  CHECK_THAT(error(bad, 267), Contains("longest token"));
  elrt::TokenizerSpec spec = score_spec();
  spec.tokens[5] = "<0xZZ>";
  CHECK_THAT(error(llama2c_file(spec), 267), Contains("<0x02>"));
  spec = score_spec();
  spec.tokens[260] = "\xC3";
  CHECK_THAT(error(llama2c_file(spec), 267), Contains("not UTF-8"));
}

TEST_CASE("tok512.bin encodes as llama2.c does", "[tokenizer][unit]") {
  if (!have_shared("models/llama2c-stories260K/tok512.bin")) return;
  const auto tokenizer =
      elrt::Tokenizer::create(elastify::import_tokenizer(shared_dir() / "models/llama2c-stories260K", 512));
  REQUIRE(tokenizer.ok());
  // Worked by hand from the scores: " Once" | " upon" | " a" | " time".
  CHECK(tokenizer->encode("Once upon a time").value() == Ids{1, 403, 407, 261, 378});
  CHECK(tokenizer->decode(Ids{1, 403, 407, 261, 378}) == "Once upon a time");
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    const std::string text = random_unicode(random, 30);
    CHECK(tokenizer->decode(tokenizer->encode(text).value()) == text);
  }
}
