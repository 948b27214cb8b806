// tokenizer.json of every supported kind against stored vectors of the reference implementation
// (scripts/make_tokenizer_goldens.py and make_regex_goldens.py wrote them; each file names its generator).
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "elrt/chat.hpp"
#include "import_support.h"
#include "support/skip.h"
#include "tokenizer/import.h"

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<std::int32_t>;

namespace {

const fs::path kGolden = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/tokenizer";

void check_cases(const fs::path& tokenizer_path, const fs::path& cases_path) {
  elrt::Result<elrt::Tokenizer> tokenizer = elrt::Tokenizer::create(elastify::import_tokenizer(tokenizer_path));
  REQUIRE(tokenizer.ok());
  std::ifstream file(cases_path);
  const json cases = json::parse(file).at("cases");
  CHECK(cases.size() > 50);
  for (const json& example : cases) {
    const auto text = example.at("text").get<std::string>();
    INFO(tokenizer_path << ": " << example.at("text").dump());
    const elrt::Result<Ids> ids = tokenizer->encode(text, {.add_bos = true, .parse_special = true});
    REQUIRE(ids.ok());
    CHECK(ids.value() == example.at("ids").get<Ids>());
    // Where the generator's decoding has a quirk, the stored text is that of fewer ids.
    const Ids shown = example.contains("decoded_ids") ? example.at("decoded_ids").get<Ids>() : ids.value();
    CHECK(tokenizer->decode(shown) == example.at("decoded").get<std::string>());
  }
}

}  // namespace

TEST_CASE("small tokenizers of every kind encode and decode as the reference does", "[tokenizer][golden]") {
  int seen = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(kGolden)) {
    if (!fs::exists(entry.path() / "tokenizer.json")) continue;
    ++seen;
    check_cases(entry.path(), entry.path() / "cases.json");
  }
  CHECK(seen == 11);
}

TEST_CASE("the tokenizer of llama-tinystories-656k encodes and decodes as the reference does", "[tokenizer][golden]") {
  if (!elastify_test::have_shared("models/llama-tinystories-656k/tokenizer.json")) return;
  const fs::path directory = elastify_test::shared_dir() / "models/llama-tinystories-656k";
  check_cases(directory, kGolden / "llama-tinystories-656k/cases.json");
  const elrt::TokenizerSpec spec = elastify::import_tokenizer(directory, 2048);
  CHECK(spec.bos_id == 1);
  CHECK(spec.eos_id == 2);
  CHECK(spec.add_bos);
  CHECK_FALSE(spec.add_eos);
}

TEST_CASE("regular expressions and what hides one encode as the reference does", "[tokenizer][golden]") {
  const elastify_test::TemporaryDirectory directory;
  const auto read = [](const char* name) { return json::parse(std::ifstream(kGolden / "regex" / name)); };
  json document = read("base.json");
  const json cases = read("cases.json").at("cases");
  const auto texts = cases.at(0).at("texts").get<std::vector<std::string>>();
  CHECK(cases.size() > 90);
  for (std::size_t i = 1; i < cases.size(); ++i) {
    for (const char* part : {"normalizer", "pre_tokenizer"})
      document[part] = cases[i].contains(part) ? cases[i].at(part) : json(nullptr);
    INFO(document["normalizer"].dump() << document["pre_tokenizer"].dump());
    const fs::path file = directory.write("tokenizer.json", document.dump());
    const elrt::Result<elrt::Tokenizer> tokenizer = elrt::Tokenizer::create(elastify::import_tokenizer(file));
    REQUIRE(tokenizer.ok());
    for (std::size_t t = 0; t < texts.size(); ++t) {
      INFO(json(texts[t]).dump());
      if (cases[i].at("ids").at(t).is_null()) continue;  // the reference itself fails there
      const elrt::Result<Ids> ids = tokenizer->encode(texts[t]);
      REQUIRE(ids.ok());
      CHECK(ids.value() == cases[i].at("ids").at(t).get<Ids>());
    }
  }
}

TEST_CASE("imported tokenizers survive as key-values", "[tokenizer][golden]") {
  for (const fs::directory_entry& entry : fs::directory_iterator(kGolden)) {
    if (!fs::exists(entry.path() / "tokenizer.json")) continue;
    const elrt::TokenizerSpec spec = elastify::import_tokenizer(entry.path());
    const elrt::Result<elrt::TokenizerSpec> back = elrt::tokenizer_spec_from_metadata(elrt::tokenizer_metadata(spec));
    REQUIRE(back.ok());
    CHECK(back.value() == spec);
  }
}

TEST_CASE("conversations become the tokens that transformers makes of them", "[tokenizer][golden]") {
  std::ifstream file(fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/chat/cases.json");
  const json all = json::parse(file);
  CHECK(all.at("ids").size() == 20);
  for (const json& example : all.at("ids")) {
    INFO(example.at("tokenizer") << " " << example.at("messages").dump());
    elrt::TokenizerSpec spec = elastify::import_tokenizer(kGolden / example.at("tokenizer").get<std::string>());
    spec.chat_template = all.at("tokenised").get<std::string>();
    auto tokenizer = std::make_shared<const elrt::Tokenizer>(elrt::Tokenizer::create(std::move(spec)).value());
    const auto chat = elrt::ChatTemplate::create(tokenizer);
    REQUIRE(chat);
    const auto ids = chat->tokens(elrt::parse_chat_messages(example.at("messages").dump()).value());
    REQUIRE(ids);
    CHECK(ids.value() == example.at("ids").get<Ids>());
  }
}
