// tokenizer.model files written here field by field, and damaged ones.
#include <cstring>

#include "import_support.h"
#include "tiny_tokenizers.h"

using namespace elastify_test;
using Catch::Matchers::Contains;

namespace {

// Protocol buffer wire format, numbers below 128 only.
std::string number(int field, int value) { return {static_cast<char>(field << 3 & 0x7F), static_cast<char>(value)}; }
std::string wide_number(int field, int value) {  // field numbers of 16 to 127 take two bytes
  return {static_cast<char>((field << 3 & 0x7F) | 0x80), static_cast<char>(field >> 4), static_cast<char>(value)};
}
std::string bytes(int field, const std::string& contents) {
  return std::string{static_cast<char>(field << 3 | 2), static_cast<char>(contents.size())} + contents;
}
std::string piece(const std::string& text, float score, int type) {
  std::string packed(4, '\0');
  std::memcpy(packed.data(), &score, 4);
  return bytes(1, bytes(1, text) + std::string(1, static_cast<char>(2 << 3 | 5)) + packed + number(3, type));
}

const std::string kSpace = "\xE2\x96\x81";

std::string pieces() {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece(kSpace, -9, 1) + piece("a", -9, 1) +
         piece("b", -9, 1) + piece(kSpace + "a", -2, 1) + piece("ab", -1, 1);
}
std::string trainer(int model_type = 2) { return bytes(2, number(3, model_type)); }
std::string normalizer(bool dummy_prefix, bool remove_extra) {
  return bytes(3, number(3, dummy_prefix) + number(4, remove_extra));
}

elrt::Tokenizer import(const std::string& model) {
  const TemporaryDirectory directory;
  auto tokenizer = elrt::Tokenizer::create(elastify::import_tokenizer(directory.write("tokenizer.model", model)));
  REQUIRE(tokenizer.ok());
  return std::move(tokenizer).value();
}
Ids encode(const elrt::Tokenizer& tokenizer, const std::string& text) { return tokenizer.encode(text).value(); }

std::string error_of(const std::string& model) {
  const TemporaryDirectory directory;
  return import_error(directory.write("tokenizer.model", model));
}

}  // namespace

TEST_CASE("tokens that only added_tokens.json names stand apart from the pieces", "[tokenizer][unit]") {
  const TemporaryDirectory directory;
  directory.write("tokenizer.model", pieces() + trainer() + normalizer(true, false));
  directory.write("added_tokens.json", R"({"<sep>": 8})");
  const auto tokenizer = elrt::Tokenizer::create(elastify::import_tokenizer(directory.path()));
  REQUIRE(tokenizer.ok());
  CHECK(tokenizer->encode("<sep>a", {.add_bos = false}).value() == Ids{8, 6});
  CHECK(tokenizer->encode("a<sep>", {.add_bos = false}).value() == Ids{6, 8});
  CHECK(tokenizer->decode(Ids{6, 8}) == "a<sep>");
}

TEST_CASE("a SentencePiece model encodes by its scores and settings", "[tokenizer][unit]") {
  const elrt::Tokenizer plain = import(pieces() + trainer() + normalizer(true, false));
  CHECK(encode(plain, "ab a") == Ids{1, 3, 7, 6});
  CHECK(encode(plain, "a  a") == Ids{1, 6, 3, 6});
  CHECK(encode(plain, "axxa") == Ids{1, 6, 0, 4});
  CHECK(plain.decode(Ids{1, 6, 6}) == "a a");
  const elrt::Tokenizer tidy = import(pieces() + trainer() + normalizer(true, true));
  CHECK(encode(tidy, "  a   a ") == Ids{1, 6, 6});
  CHECK(encode(tidy, "   ") == Ids{1});
  const elrt::Tokenizer bare = import(pieces() + trainer() + normalizer(false, false));
  CHECK(encode(bare, "a") == Ids{1, 4});
  CHECK(bare.decode(Ids{1, 6}) == " a");
}

TEST_CASE("SentencePiece models of other kinds are refused by name", "[tokenizer][unit]") {
  CHECK_THAT(error_of(pieces() + trainer(1)), Contains("Unigram"));
  CHECK_THAT(error_of(pieces()), Contains("Unigram"));  // the default
  CHECK_THAT(error_of(pieces() + trainer(3)), Contains("word"));
  CHECK_THAT(error_of(pieces() + trainer() + bytes(3, bytes(2, "map"))), Contains("character map"));
  CHECK_THAT(error_of(pieces() + bytes(2, number(3, 2) + wide_number(24, 1))), Contains("suffix"));
  CHECK_THAT(error_of(pieces() + piece("c", 0, 5) + trainer()), Contains("unused"));
}

TEST_CASE("damaged SentencePiece models are refused", "[tokenizer][unit]") {
  const std::string good = pieces() + trainer() + normalizer(true, false);
  for (std::size_t size = 0; size < good.size(); ++size) {
    const TemporaryDirectory directory;
    const auto path = directory.write("tokenizer.model", good.substr(0, size));
    try {  // a cut between fields can leave a valid model; anything else must be an orderly error
      elastify::import_tokenizer(path);
    } catch (const elastify::Error& error) {
      CHECK(error.code() == elastify::ErrorCode::kBadData);
    }
  }
  CHECK_THAT(error_of(""), Contains("no pieces"));
  CHECK_THAT(error_of(good.substr(0, good.size() - 1)), Contains("truncated"));
  CHECK_THAT(error_of(std::string("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 10)), Contains("truncated"));
  CHECK_THAT(error_of(std::string(20, '\xFF')), Contains("number"));
  CHECK_THAT(error_of("\x0B"), Contains("wire type"));
  CHECK_THAT(error_of(good + piece("a", 0, 1)), Contains("repeats"));
  CHECK_THAT(error_of(good + piece("", 0, 1)), Contains("empty"));
  CHECK_THAT(error_of(good + piece("\xFF", 0, 1)), Contains("UTF-8"));
  CHECK_THAT(error_of(good + piece("x", 0, 9)), Contains("unknown type"));
  CHECK_THAT(error_of(pieces() + bytes(2, number(3, 2) + wide_number(41, 100))), Contains("bos id"));
}
