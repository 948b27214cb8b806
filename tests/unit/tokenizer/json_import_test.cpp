// tokenizer.json files and their sidecars: what is read, and that nothing is silently ignored.
#include <nlohmann/json.hpp>

#include "import_support.h"
#include "tokenizer/json_keys.h"

using namespace elastify_test;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

json small_document() {
  return json::parse(R"({
    "added_tokens": [{"id": 4, "content": "<s>", "special": true}, {"id": 5, "content": "</s>", "special": true}],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
    "model": {"type": "BPE", "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3}, "merges": ["a b"], "unk_token": "<unk>"}})");
}

// Imports the document with `path` (a JSON pointer) set to `value`; gives the error.
std::string error_with(const char* path, const json& value) {
  const TemporaryDirectory directory;
  json document = small_document();
  document[json::json_pointer(path)] = value;
  return import_error(directory.write("tokenizer.json", document.dump()));
}

elrt::TokenizerSpec import_with(const json& document, const std::vector<std::pair<std::string, json>>& sidecars = {}) {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", document.dump());
  for (const auto& [name, contents] : sidecars) directory.write(name, contents.dump());
  return elastify::import_tokenizer(directory.path());
}

}  // namespace

TEST_CASE("merges as pairs and as strings mean the same", "[tokenizer][unit]") {
  json document = small_document();
  const elrt::TokenizerSpec strings = import_with(document);
  document["model"]["merges"] = json::parse(R"([["a", "b"]])");
  CHECK(import_with(document) == strings);
  CHECK(strings.merges == std::vector<elrt::TokenMerge>{{1, 2}});
  CHECK(strings.types[0] == elrt::TokenType::kUnknown);
  CHECK(strings.types[4] == elrt::TokenType::kControl);
}

TEST_CASE("sidecar files say which tokens begin and end a text", "[tokenizer][unit]") {
  const json document = small_document();
  elrt::TokenizerSpec spec = import_with(
      document, {{"tokenizer_config.json",
                  json::parse(R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": true})")},
                 {"generation_config.json", json::parse(R"({"eos_token_id": [5, 3]})")}});
  CHECK(spec.bos_id == 4);
  CHECK(spec.eos_id == 5);
  CHECK(spec.add_bos);
  CHECK_FALSE(spec.add_eos);
  CHECK(spec.stop_ids == std::vector<std::int32_t>{3});
  spec = import_with(document, {{"config.json", json::parse(R"({"bos_token_id": 4, "eos_token_id": 5})")}});
  CHECK(spec.bos_id == 4);
  CHECK(spec.eos_id == 5);
  CHECK_FALSE(spec.add_bos);
  spec = import_with(document, {{"tokenizer_config.json", json::parse(R"({"bos_token": null})")},
                                {"config.json", json::parse(R"({"bos_token_id": 4})")}});
  CHECK(spec.bos_id == -1);
  spec = import_with(document, {{"special_tokens_map.json", json::parse(R"({"bos_token": "<s>"})")}});
  CHECK(spec.bos_id == 4);
}

TEST_CASE("tokens that only a file next to the tokenizer names are read", "[tokenizer][unit]") {
  const json document = small_document();
  const json list = json::parse(R"({"<sep>": 6, "<im>": 7})");
  const elrt::TokenizerSpec from_list =
      import_with(document, {{"added_tokens.json", list},
                             {"special_tokens_map.json", json::parse(R"({"additional_special_tokens": ["<im>"]})")}});
  REQUIRE(from_list.tokens.size() == 8);
  CHECK(from_list.tokens[6] == "<sep>");
  CHECK(from_list.added[2] == elrt::AddedToken{.id = 6});
  CHECK(from_list.added[3] == elrt::AddedToken{.id = 7, .special = true});
  const json config = json::parse(R"({"eos_token": "<im>", "added_tokens_decoder": {
    "4": {"content": "<s>", "special": false}, "6": {"content": "<sep>", "special": false, "lstrip": true},
    "7": {"content": "<im>", "special": true}}})");
  const elrt::TokenizerSpec spec =
      import_with(document, {{"tokenizer_config.json", config}, {"added_tokens.json", json{{"ignored", 9}}}});
  REQUIRE(spec.tokens.size() == 8);
  CHECK(spec.eos_id == 7);
  CHECK(spec.added[0].special);  // the tokenizer file wins
  CHECK(spec.added[2] == elrt::AddedToken{.id = 6, .lstrip = true, .normalized = true});
  CHECK(spec.types[7] == elrt::TokenType::kControl);
  const auto tokenizer = elrt::Tokenizer::create(spec);
  REQUIRE(tokenizer.ok());
  CHECK(tokenizer->encode("ab<sep>a").value() == std::vector<std::int32_t>{3, 6, 1});
  // Ids that the model cannot know are left out.
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", document.dump());
  directory.write("added_tokens.json", list.dump());
  CHECK(elastify::import_tokenizer(directory.path(), 7).tokens.size() == 7);
}

TEST_CASE("added tokens that contradict the tokenizer are refused", "[tokenizer][unit]") {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", small_document().dump());
  const auto error = [&](const char* list) {
    directory.write("added_tokens.json", list);
    return import_error(directory.path());
  };
  CHECK_THAT(error(R"({"<sep>": 7})"), Contains("no token has id 6"));
  CHECK_THAT(error(R"({"<sep>": 3})"), Contains("\"ab\""));
  CHECK_THAT(error(R"({"ab": 6})"), Contains("as 3"));
  CHECK_THAT(error(R"({"<sep>": 6, "<two>": 6})"), Contains("stands for"));
  CHECK_THAT(error(R"({"<sep>": -1})"), Contains("whole number"));
  CHECK_THAT(error(R"({"": 6})"), Contains("empty"));
  CHECK_THAT(error(R"([])"), Contains("JSON object"));
  directory.write("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})");
  CHECK_THAT(import_error(directory.path()), Contains("added_tokens_decoder"));
  directory.write("tokenizer_config.json", R"({"added_tokens_decoder": {"6": "a"}})");
  CHECK_THAT(import_error(directory.path()), Contains("content"));
}

TEST_CASE("the checkpoint's own files say which tokens end a text of a tokenizer from elsewhere", "[tokenizer][unit]") {
  const TemporaryDirectory directory, checkpoint;
  directory.write("tokenizer.json", small_document().dump());
  checkpoint.write("config.json", R"({"eos_token_id": 5, "bos_token_id": 4})");
  checkpoint.write("generation_config.json", R"({"eos_token_id": [3]})");
  const elrt::TokenizerSpec spec = elastify::import_tokenizer(directory.path(), 0, checkpoint.path());
  CHECK(spec.eos_id == 3);
  CHECK(spec.stop_ids == std::vector<std::int32_t>{5});
  CHECK(spec.bos_id == -1);
}

TEST_CASE("bad sidecar files are refused", "[tokenizer][unit]") {
  const TemporaryDirectory directory;
  directory.write("tokenizer.json", small_document().dump());
  directory.write("tokenizer_config.json", R"({"bos_token": "<nothing>"})");
  CHECK_THAT(import_error(directory.path()), Contains("<nothing>"));
  directory.write("tokenizer_config.json", R"({"add_bos_token": "yes"})");
  CHECK_THAT(import_error(directory.path()), Contains("add_bos_token"));
  directory.write("tokenizer_config.json", R"([])");
  CHECK_THAT(import_error(directory.path()), Contains("JSON object"));
  directory.write("tokenizer_config.json", "{}");
  directory.write("config.json", R"({"eos_token_id": 6})");
  CHECK_THAT(import_error(directory.path()), Contains("eos_token_id"));
}

TEST_CASE("a post-processor's template becomes bos and eos", "[tokenizer][unit]") {
  json document = small_document();
  document["post_processor"] =
      json::parse(R"({"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}],
    "special_tokens": {"<s>": {"ids": [4]}, "</s>": {"ids": [5]}}}]})");
  const elrt::TokenizerSpec spec = import_with(document);
  CHECK((spec.bos_id == 4 && spec.add_bos && spec.eos_id == 5 && spec.add_eos));
  document["post_processor"]["processors"][1]["special_tokens"]["<s>"]["ids"] = {6};
  const TemporaryDirectory directory;
  CHECK_THAT(import_error(directory.write("tokenizer.json", document.dump())), Contains("6 is no token"));
}

TEST_CASE("unsupported components are named, never ignored", "[tokenizer][unit]") {
  CHECK_THAT(error_with("/model/type", "Unigram"), Contains("Unigram"));
  CHECK_THAT(error_with("/model/type", "WordPiece"), Contains("WordPiece"));
  CHECK_THAT(error_with("/model/dropout", 0.1), Contains("dropout"));
  CHECK_THAT(error_with("/model/end_of_word_suffix", "</w>"), Contains("end_of_word_suffix"));
  CHECK_THAT(error_with("/model/continuing_subword_prefix", "##"), Contains("continuing_subword_prefix"));
  for (const char* part : {"normalizer", "pre_tokenizer", "decoder", "post_processor"}) {
    const std::string path = std::string("/") + part;
    CHECK_THAT(error_with(path.c_str(), json{{"type", "Surprise"}}), Contains("Surprise"));
    CHECK_THAT(error_with(path.c_str(), json{{"kind", "Surprise"}}), Contains("type"));
    CHECK_THAT(error_with(path.c_str(), "NFC"), Contains("object"));
  }
  CHECK_THAT(error_with("/normalizer", json{{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA"}}),
             Contains("Precompiled"));
  CHECK_THAT(
      error_with("/pre_tokenizer", json{{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}}),
      Contains("does not compile"));
  CHECK_THAT(error_with("/pre_tokenizer", json{{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Odd"}}),
             Contains("Odd"));
}

TEST_CASE("keys that nothing reads are named", "[tokenizer][unit]") {
  using elastify::tokenizer_json::unread_keys;
  json document = small_document();
  CHECK(unread_keys(document).empty());
  document["surprise"] = 1;
  document["model"]["drop_out"] = 0.5;
  document["added_tokens"][1]["speical"] = true;
  document["normalizer"] = json::parse(R"({"type": "Sequence", "normalizers": [{"type": "NFC", "form": 1},
    {"type": "Replace", "pattern": {"String": "a"}, "content": "b"}]})");
  CHECK(unread_keys(document) ==
        std::vector<std::string>{"surprise", "model.drop_out", "added_tokens[1].speical", "normalizer NFC.form"});
  CHECK(unread_keys(json::array()).empty());
  CHECK(unread_keys(json{{"model", 1}, {"added_tokens", {1}}, {"decoder", "x"}}).empty());
}

TEST_CASE("a key that stands twice in tokenizer.json is refused", "[tokenizer][unit]") {
  const TemporaryDirectory directory;
  std::string text = small_document().dump();
  text.insert(text.find("\"a\":1"), "\"a\":2,");
  CHECK_THAT(import_error(directory.write("tokenizer.json", text)), Contains("twice"));
}

TEST_CASE("malformed vocabularies are refused", "[tokenizer][unit]") {
  CHECK_THAT(error_with("/model", nullptr), Contains("model"));
  CHECK_THAT(error_with("/model/vocab", json::array()), Contains("vocab"));
  CHECK_THAT(error_with("/model/vocab/a", 2), Contains("id 2"));
  CHECK_THAT(error_with("/model/vocab/a", -1), Contains("whole number"));
  CHECK_THAT(error_with("/model/vocab/a", 1.5), Contains("whole number"));
  CHECK_THAT(error_with("/model/vocab/zz", 4'000'000'000LL), Contains("whole number"));
  CHECK_THAT(error_with("/model/vocab/zz", 2'000'000'000), Contains("out of range"));
  CHECK_THAT(error_with("/model/vocab/zz", 7), Contains("no token has id 6"));
  CHECK_THAT(error_with("/model/merges", "a b"), Contains("list"));
  CHECK_THAT(error_with("/model/merges/0", "ab"), Contains("merge 0"));
  CHECK_THAT(error_with("/model/merges/0", "a b b"), Contains("merge 0"));
  CHECK_THAT(error_with("/model/merges/0", "a x"), Contains("\"x\""));
  CHECK_THAT(error_with("/model/merges/0", "b a"), Contains("\"ba\""));
  CHECK_THAT(error_with("/model/merges/0", json::array({"a"})), Contains("merge 0"));
  CHECK_THAT(error_with("/model/unk_token", "<none>"), Contains("<none>"));
  CHECK_THAT(error_with("/added_tokens/0/id", 3), Contains("id 3"));
  CHECK_THAT(error_with("/added_tokens/0/content", "a"), Contains("\"a\""));
  CHECK_THAT(error_with("/added_tokens/0/content", ""), Contains("empty"));
  CHECK_THAT(error_with("/added_tokens/1/content", "<s>"), Contains("<s>"));
}

TEST_CASE("files that are not what they say are refused", "[tokenizer][unit]") {
  const TemporaryDirectory directory;
  CHECK_THAT(import_error(directory.path()), Contains("has none"));
  CHECK_THAT(import_error(directory.path() / "missing"), Contains("neither"));
  const std::string good = small_document().dump();
  CHECK_FALSE(import_error(directory.write("tokenizer.json", good.substr(0, good.size() / 2))).empty());
  CHECK_FALSE(import_error(directory.write("tokenizer.json", "")).empty());
  CHECK_FALSE(import_error(directory.write("tokenizer.json", "[1, 2]")).empty());
  std::string bad = good;
  bad.replace(bad.find("<unk>"), 5, "\xFF\xFFunk");
  CHECK_FALSE(import_error(directory.write("tokenizer.json", bad)).empty());
  directory.write("tokenizer.json", good);
  CHECK_THAT(import_error(directory.path(), 5), Contains("the model has only 5"));
  std::filesystem::remove(directory.path() / "tokenizer.json");
  directory.write("tok1.bin", "");
  directory.write("tok2.bin", "");
  CHECK_THAT(import_error(directory.path()), Contains("several"));
}

TEST_CASE("the chat template comes from chat_template.jinja, or from tokenizer_config.json, of several the default one",
          "[tokenizer][unit]") {
  const TemporaryDirectory directory, checkpoint;
  directory.write("tokenizer.json", small_document().dump());
  const auto read = [&] { return elastify::import_tokenizer(directory.path(), 0, checkpoint.path()).chat_template; };
  const auto configure = [&](const json& text) {
    directory.write("tokenizer_config.json", json{{"chat_template", text}}.dump());
  };
  CHECK(read().empty());
  checkpoint.write("chat_template.jinja", "of the model's folder");
  CHECK(read() == "of the model's folder");
  configure("of the configuration");
  CHECK(read() == "of the configuration");
  configure(nullptr);
  CHECK(read() == "of the model's folder");
  configure({{{"name", "tool_use"}, {"template", "a"}}, {{"name", "default"}, {"template", "b"}}});
  CHECK(read() == "b");
  for (const json& bad : {json(3), json::array(), json::parse(R"([{"name": "default"}])"), json::object()}) {
    configure(bad);
    CHECK_THAT(import_error(directory.path()), Contains("tokenizer_config.json") && Contains("default"));
  }
  directory.write("chat_template.jinja", "of its own file\n");
  CHECK(read() == "of its own file\n");
}
