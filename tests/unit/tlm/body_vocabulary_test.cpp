// The vocabulary of a checkpoint's folder: either file gives the same, and what asks for other rules is refused.
#include "tlm/body_vocabulary.h"

#include "support.h"

using namespace elastify;
using namespace elastify_test;
using nlohmann::json;

namespace {

const std::string kLines = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n";

// As `tokenizers` writes it for uncased BERT.
json tokenizer_json() {
  json added = json::array();
  json vocabulary = {{"a", 5}, {"##b", 6}};
  for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    vocabulary[token] = added.size();
    added.push_back({{"id", added.size()}, {"content", token}, {"special", true}, {"normalized", false}});
  }
  return {{"version", "1.0"},
          {"truncation", {{"max_length", 128}}},
          {"added_tokens", added},
          {"normalizer",
           {{"type", "BertNormalizer"},
            {"clean_text", true},
            {"handle_chinese_chars", true},
            {"strip_accents", nullptr},
            {"lowercase", true}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 100},
            {"vocab", vocabulary}}}};
}

void refused(std::initializer_list<const char*> words, const std::function<void(json&)>& edit) {
  const TempDir folder;
  json document = tokenizer_json();
  edit(document);
  write_bytes(folder / "tokenizer.json", document.dump());
  expect_error(ErrorCode::kBadData, words, [&] { body_vocabulary_text(folder.path()); });
}

}  // namespace

TEST_CASE("a body's vocabulary is read from vocab.txt, from tokenizer.json, or from both", "[tlm][unit]") {
  const TempDir folder;
  expect_error(ErrorCode::kBadData, {"vocab.txt or tokenizer.json", "tlm.vocabulary"},
               [&] { body_vocabulary_text(folder.path()); });
  write_bytes(folder / "tokenizer.json", tokenizer_json().dump());
  CHECK(body_vocabulary_text(folder.path()) == kLines);
  write_bytes(folder / "vocab.txt", kLines);
  write_bytes(folder / "tokenizer_config.json",
              R"({"do_lower_case": true, "strip_accents": null, "unk_token": "[UNK]"})");
  CHECK(body_vocabulary_text(folder.path()) == kLines);
  std::filesystem::remove(folder / "tokenizer.json");
  CHECK(body_vocabulary_text(folder.path()) == kLines);
}

TEST_CASE("vocabularies that differ are refused at the first difference", "[tlm][unit]") {
  const TempDir folder;
  write_bytes(folder / "tokenizer.json", tokenizer_json().dump());
  write_bytes(folder / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nb\n##b\n");
  expect_error(ErrorCode::kBadData, {"id 5", "'b'", "'a'"}, [&] { body_vocabulary_text(folder.path()); });
  write_bytes(folder / "vocab.txt", kLines + "more\n");
  expect_error(ErrorCode::kBadData, {"id 7", "'more'", "no token"}, [&] { body_vocabulary_text(folder.path()); });
}

TEST_CASE("a tokenizer of other rules is refused by the rule", "[tlm][unit]") {
  refused({"lowercase", "true", "false"}, [](json& t) { t["normalizer"]["lowercase"] = false; });
  refused({"strip_accents"}, [](json& t) { t["normalizer"]["strip_accents"] = false; });
  refused({"handle_chinese_chars"}, [](json& t) { t["normalizer"]["handle_chinese_chars"] = false; });
  refused({"normalizer", "NFC"}, [](json& t) { t["normalizer"]["type"] = "NFC"; });
  refused({"normalizer", "object"}, [](json& t) { t["normalizer"] = nullptr; });
  refused({"pre_tokenizer", "ByteLevel"}, [](json& t) { t["pre_tokenizer"]["type"] = "ByteLevel"; });
  refused({"type", "WordPiece", "Unigram"}, [](json& t) { t["model"]["type"] = "Unigram"; });
  refused({"continuing_subword_prefix"}, [](json& t) { t["model"]["continuing_subword_prefix"] = "@@"; });
  refused({"max_input_chars_per_word", "200"}, [](json& t) { t["model"]["max_input_chars_per_word"] = 200; });
  refused({"vocab"}, [](json& t) { t["model"]["vocab"] = json::array({"a"}); });
  refused({"'a'", "-1"}, [](json& t) { t["model"]["vocab"]["a"] = -1; });
  refused({"'a'", "1152921504606846976"}, [](json& t) { t["model"]["vocab"]["a"] = std::int64_t{1} << 60; });
  refused({"'##b'", "'a'", "id 6"}, [](json& t) { t["model"]["vocab"]["a"] = 6; });
  refused({"id 5", "below 9"}, [](json& t) { t["model"]["vocab"]["a"] = 8; });
  refused({"line break"}, [](json& t) { t["model"]["vocab"]["x\ny"] = 7; });
  refused({"added_tokens"}, [](json& t) { t["added_tokens"].push_back(3); });
  refused({"[CLS]", "[X]", "id 2"}, [](json& t) { t["added_tokens"].push_back({{"id", 2}, {"content", "[X]"}}); });
  const TempDir folder;
  write_bytes(folder / "vocab.txt", kLines);
  write_bytes(folder / "tokenizer_config.json", R"({"do_lower_case": false})");
  expect_error(ErrorCode::kBadData, {"tokenizer_config.json", "do_lower_case", "uncased"},
               [&] { body_vocabulary_text(folder.path()); });
  write_bytes(folder / "tokenizer_config.json", "[1]");
  expect_error(ErrorCode::kBadData, {"tokenizer_config.json", "object"}, [&] { body_vocabulary_text(folder.path()); });
}
