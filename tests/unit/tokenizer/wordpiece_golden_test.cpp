// WordPiece against stored vectors of the reference implementation (scripts/make_wordpiece_goldens.py wrote them; each
// file names its generator).
#include <catch2/catch.hpp>

#include "base/files.h"
#include "elrt/wordpiece.hpp"
#include "support/skip.h"

namespace {

using nlohmann::json;
namespace fs = std::filesystem;
using Spans = std::vector<std::vector<std::size_t>>;

const fs::path kGolden = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/tokenizer/wordpiece";

void check_cases(const fs::path& vocabulary, const fs::path& cases_path) {
  const auto wordpiece = elrt::WordPiece::from_vocabulary_text(elastify::read_file(vocabulary));
  REQUIRE(wordpiece.ok());
  const json cases = elastify::read_json(cases_path).at("cases");
  CHECK(cases.size() > 90);
  for (const json& example : cases) {
    INFO(cases_path << ": " << example.at("text").dump());
    const auto pieces = wordpiece->encode(example.at("text").get<std::string>());
    REQUIRE(pieces.ok());
    std::vector<std::int32_t> ids;
    Spans spans, words;
    for (const auto& token : pieces->tokens) {
      ids.push_back(token.id);
      spans.push_back({token.bytes.begin, token.bytes.end});
    }
    for (const auto& word : pieces->words) words.push_back({word.begin, word.end});
    CHECK(ids == example.at("ids").get<std::vector<std::int32_t>>());
    CHECK(spans == example.at("spans").get<Spans>());
    CHECK(words == example.at("words").get<Spans>());
  }
}

}  // namespace

TEST_CASE("a small WordPiece vocabulary encodes as the reference does, spans included", "[tokenizer][golden]") {
  check_cases(kGolden / "vocab.txt", kGolden / "cases.json");
}

TEST_CASE("the published WordPiece vocabulary encodes as the reference does, spans included", "[tokenizer][golden]") {
  if (!elastify_test::have_shared("models/mobilebert-vocab/vocab.txt")) return;
  check_cases(elastify_test::shared_dir() / "models/mobilebert-vocab/vocab.txt", kGolden / "mobilebert_cases.json");
}
