#include "tlm/word_pieces.h"

#include <elrt/wordpiece.hpp>

#include <algorithm>

#include "support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

bool holds(const std::vector<std::string>& vocabulary, const std::string& token) {
  return std::find(vocabulary.begin(), vocabulary.end(), token) != vocabulary.end();
}

}  // namespace

TEST_CASE("pieces are joined by falling frequency inside words", "[tlm][unit]") {
  // "ab" 5 times, "bc" 3 times; nothing crosses a space or punctuation.
  const auto vocabulary = learn_word_pieces({"ab ab AB abc. abc bc"}, 100);
  CHECK(vocabulary[0] == "[PAD]");
  CHECK(holds(vocabulary, "ab"));
  CHECK(holds(vocabulary, "abc"));
  CHECK(holds(vocabulary, "."));
  CHECK_FALSE(holds(vocabulary, "bc"));  // occurs once as a word of its own
  CHECK_FALSE(holds(vocabulary, "AB"));
  const auto limited = learn_word_pieces({"ab ab AB abc. abc bc"}, static_cast<std::int64_t>(vocabulary.size()) - 1);
  CHECK(holds(limited, "ab"));
  CHECK_FALSE(holds(limited, "abc"));
}

TEST_CASE("no word of the learned texts is unknown, accents and all", "[tlm][unit]") {
  const std::string text = "Zoë's café: naïve résumé, Ünïcode 東京 — done!";
  const auto vocabulary = std::move(elrt::WordPiece::create(learn_word_pieces({text}, 300))).value();
  const auto pieces = std::move(vocabulary.encode(text)).value();
  for (const auto& token : pieces.tokens) CHECK(token.id != vocabulary.unk_id());
}

TEST_CASE("a vocabulary without room for the characters, and texts without words, are refused", "[tlm][unit]") {
  expect_error(ErrorCode::kBadData, {"too small"}, [] { learn_word_pieces({"abcdefgh"}, 8); });
  expect_error(ErrorCode::kBadData, {"expected words"}, [] { learn_word_pieces({" \n"}, 100); });
}
