// Llama 2's tokenizer.model, line by line, against the SentencePiece library itself; and tokenizer.bin against both.
#include <sentencepiece_processor.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "support/skip.h"
#include "tiny_tokenizers.h"
#include "tokenizer/import.h"

using namespace elastify_test;

namespace {

std::vector<std::string> real_lines() {
  std::vector<std::string> lines;
  for (const char* name : {"data/public-domain-text/tinyshakespeare.txt", "data/llamafactory-demos/wiki_demo.txt"}) {
    if (!have_shared(name)) continue;
    std::ifstream file(shared_dir() / name);
    int count = 0;
    for (std::string line; count < 4000 && std::getline(file, line); ++count) lines.push_back(line);
  }
  return lines;
}

elrt::Tokenizer import(const char* name) {
  auto tokenizer =
      elrt::Tokenizer::create(elastify::import_tokenizer(shared_dir() / "models/llama2-tokenizer-32k" / name, 32000));
  REQUIRE(tokenizer.ok());
  return std::move(tokenizer).value();
}

}  // namespace

TEST_CASE("tokenizer.model gives the ids and texts that SentencePiece gives", "[tokenizer][golden]") {
  if (!have_shared("models/llama2-tokenizer-32k/tokenizer.model")) return;
  sentencepiece::SentencePieceProcessor oracle;
  REQUIRE(oracle.Load((shared_dir() / "models/llama2-tokenizer-32k/tokenizer.model").string()).ok());
  const elrt::Tokenizer model = import("tokenizer.model"), bin = import("tokenizer.bin");
  std::vector<std::string> lines = real_lines();
  lines.insert(lines.end(), hard_texts().begin(), hard_texts().end());
  std::mt19937 random(4);
  for (int i = 0; i < 1000; ++i) lines.push_back(random_unicode(random, 1 + i % 60));
  for (const std::string& line : lines) {
    std::vector<int> expected;
    REQUIRE(oracle.Encode(line, &expected).ok());
    std::string text;
    REQUIRE(oracle.Decode(expected, &text).ok());
    const Ids ids = model.encode(line, {.add_bos = false}).value();
    INFO(line);
    CHECK(ids == Ids(expected.begin(), expected.end()));
    CHECK(model.decode(ids) == text);
    CHECK(bin.encode(line, {.add_bos = false}).value() == ids);
  }
}
