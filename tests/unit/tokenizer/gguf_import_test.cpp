// Tokenizers in GGUF: against the reference's ids where a golden has them, and the rules of llama.cpp's converters.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <functional>

#include <nlohmann/json.hpp>

#include "support/expect_error.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"
#include "tokenizer/gguf.h"
#include "tokenizer/import.h"

namespace {

namespace fs = std::filesystem;
using elastify_test::expect_error;
using elastify_test::GgufBuilder;
using elastify_test::TempDir;
using nlohmann::json;
using Ids = std::vector<std::int32_t>;

const fs::path kGoldens = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden";

void write(const fs::path& path, const GgufBuilder& file) {
  const auto bytes = file.build();
  elastify_test::write_bytes(path, {bytes.begin(), bytes.end()});
}

elrt::Tokenizer load(const fs::path& path) {
  auto tokenizer = elrt::Tokenizer::create(elastify::import_tokenizer(path));
  REQUIRE(tokenizer.ok());
  return std::move(tokenizer).value();
}

// SentencePiece itself never makes special tokens of text.
void check_cases(const elrt::Tokenizer& tokenizer, const fs::path& cases_path, bool parse_special) {
  const json cases = json::parse(std::ifstream(cases_path)).at("cases");
  CHECK(cases.size() > 50);
  for (const json& example : cases) {
    INFO(cases_path << ": " << example.at("text").dump());
    const auto ids =
        tokenizer.encode(example.at("text").get<std::string>(), {.add_bos = true, .parse_special = parse_special});
    REQUIRE(ids.ok());
    CHECK(ids.value() == example.at("ids").get<Ids>());
    const Ids shown = example.contains("decoded_ids") ? example.at("decoded_ids").get<Ids>() : ids.value();
    CHECK(tokenizer.decode(shown) == example.at("decoded").get<std::string>());
  }
}

// 256 byte tokens in GPT-2's characters, then the three of the user: two control tokens and "<think>".
GgufBuilder byte_vocabulary(std::int32_t think_type) {
  const json document = json::parse(std::ifstream(kGoldens / "tokenizer/qwen2/tokenizer.json"));
  std::vector<std::string> tokens(256);
  for (const auto& [token, id] : document.at("model").at("vocab").items()) {
    if (id.get<int>() < 256) tokens[id.get<std::size_t>()] = token;
  }
  for (const char* more : {"<|begin|>", "<|eot_id|>", "<think>", "<pad>"}) tokens.emplace_back(more);
  std::vector<std::int32_t> types(tokens.size(), 1);
  types[256] = types[257] = 3, types[258] = think_type, types[259] = 5;
  GgufBuilder file;
  file.metadata["general.alignment"] = std::uint32_t{64};
  file.metadata["tokenizer.ggml.model"] = std::string("gpt2");
  file.metadata["tokenizer.ggml.pre"] = std::string("llama-bpe");
  file.metadata["tokenizer.ggml.tokens"] = tokens;
  file.metadata["tokenizer.ggml.token_type"] = types;
  file.metadata["tokenizer.ggml.merges"] = std::vector<std::string>{};
  file.metadata["tokenizer.ggml.bos_token_id"] = std::uint32_t{256};
  return file;
}

// Three ordinary tokens, as SentencePiece has them.
GgufBuilder score_vocabulary() {
  GgufBuilder file = byte_vocabulary(1);
  file.metadata["tokenizer.ggml.model"] = std::string("llama");
  file.metadata["tokenizer.ggml.tokens"] = std::vector<std::string>{"<unk>",
                                                                    "<s>",
                                                                    "</s>",
                                                                    "\xE2\x96\x81",
                                                                    "a",
                                                                    "b",
                                                                    "\xE2\x96\x81"
                                                                    "a",
                                                                    "<think>"};
  file.metadata["tokenizer.ggml.token_type"] = std::vector<std::int32_t>{2, 3, 3, 1, 1, 1, 1, 4};
  file.metadata["tokenizer.ggml.scores"] = std::vector<float>(8, -1.0f);
  file.metadata.erase("tokenizer.ggml.bos_token_id");
  return file;
}

elrt::TokenizerSpec spec_of(const GgufBuilder& file) {
  const TempDir dir;
  write(dir / "t.gguf", file);
  return elastify::import_tokenizer(dir / "t.gguf");
}

void expect_refused(const GgufBuilder& sound, std::initializer_list<const char*> words,
                    const std::function<void(GgufBuilder&)>& damage) {
  const TempDir dir;
  GgufBuilder file = sound;
  damage(file);
  write(dir / "t.gguf", file);
  expect_error(elastify::ErrorCode::kBadData, words, [&] { elastify::import_tokenizer(dir / "t.gguf"); });
}

}  // namespace

TEST_CASE("byte-level tokenizers from GGUF give the ids of their tokenizer.json", "[tokenizer][golden]") {
  for (const char* name : {"llama3", "qwen2"}) {
    const fs::path file = kGoldens / "gguf" / (std::string("tokenizer_") + name + ".gguf");
    check_cases(load(file), kGoldens / "tokenizer" / name / "cases.json", true);
    const elrt::TokenizerSpec from_json = elastify::import_tokenizer(kGoldens / "tokenizer" / name);
    const elrt::TokenizerSpec from_gguf = elastify::import_tokenizer(file);
    CHECK(from_gguf.tokens == from_json.tokens);
    CHECK(from_gguf.merges == from_json.merges);
    CHECK(from_gguf.bos_id == from_json.bos_id);
    CHECK(from_gguf.eos_id == from_json.eos_id);
    CHECK(from_gguf.pad_id == from_json.pad_id);
    CHECK(elastify::read_chat_template_gguf(file) == "{{ messages }}");
  }
}

TEST_CASE("SentencePiece tokenizers from GGUF give SentencePiece's ids, Gemma's pieces of spaces too",
          "[tokenizer][golden]") {
  for (const char* name : {"llama", "gemma"}) {
    const std::string stem = std::string("sentencepiece_") + name;
    check_cases(load(kGoldens / "gguf" / (stem + ".gguf")), kGoldens / "gguf" / (stem + ".json"), false);
  }
}

TEST_CASE("tokens of types 3 and 4 are never split, 4 alone is found in user text and shown", "[tokenizer][unit]") {
  for (const std::int32_t type : {4, 3}) {
    const TempDir dir;
    write(dir / "t.gguf", byte_vocabulary(type));
    const elrt::Tokenizer tokenizer = load(dir / "t.gguf");
    const Ids as_text = tokenizer.encode("a<think>b", {.add_bos = false}).value();
    const Ids as_template = tokenizer.encode("a<think>b", {.add_bos = false, .parse_special = true}).value();
    CHECK(as_template.size() == 3);
    CHECK(as_template[1] == 258);
    CHECK(as_text.size() == (type == 4 ? 3 : 9));
    CHECK(tokenizer.decode(as_text) == "a<think>b");
    CHECK(tokenizer.decode(as_template) == (type == 4 ? "a<think>b" : "ab"));
  }
  const TempDir dir;
  write(dir / "t.gguf", score_vocabulary());
  const elrt::Tokenizer tokenizer = load(dir / "t.gguf");
  CHECK(tokenizer.encode("a<think>b", {.add_bos = false}).value() == Ids{6, 7, 3, 5});
  CHECK(tokenizer.encode("a<s>", {.add_bos = false, .parse_special = true}).value() == Ids{6, 1});
  CHECK(tokenizer.encode("a<s>", {.add_bos = false}).value() == Ids{6, 0});  // a run of unknown characters
}

TEST_CASE("the pre-tokenizer is what its name says, and a missing or unknown one is refused", "[tokenizer][unit]") {
  const auto pieces = [](const char* pre) {
    GgufBuilder file = byte_vocabulary(1);
    auto tokens = std::get<std::vector<std::string>>(file.metadata["tokenizer.ggml.tokens"]);
    for (const char* more : {"12", "123", "1234"}) tokens.emplace_back(more);
    file.metadata["tokenizer.ggml.tokens"] = tokens;
    auto types = std::get<std::vector<std::int32_t>>(file.metadata["tokenizer.ggml.token_type"]);
    types.resize(tokens.size(), 1);
    file.metadata["tokenizer.ggml.token_type"] = types;
    file.metadata["tokenizer.ggml.merges"] = std::vector<std::string>{"1 2", "12 3", "123 4"};
    file.metadata["tokenizer.ggml.pre"] = std::string(pre);
    const elrt::TokenizerSpec spec = spec_of(file);
    return elrt::Tokenizer::create(spec)->encode("it's 12345  !!", {.add_bos = false}).value().size();
  };
  // "12345" stays as far as merges reach, in threes, or digit by digit.
  const std::size_t gpt2 = pieces("gpt-2"), llama3 = pieces("llama-bpe"), qwen2 = pieces("qwen2");
  CHECK(llama3 == gpt2 + 1);
  CHECK(qwen2 == gpt2 + 3);
  CHECK(pieces("smollm") == qwen2);
  for (const char* pre : {"default", "no-such", ""}) {
    expect_refused(byte_vocabulary(1), {"tokenizer.ggml.pre", "llama-bpe", "tokenizer.json", *pre ? pre : "is missing"},
                   [&](GgufBuilder& f) {
                     f.metadata["tokenizer.ggml.pre"] = std::string(pre);
                     if (*pre == 0) f.metadata.erase("tokenizer.ggml.pre");
                   });
  }
}

TEST_CASE("what begins and ends a text comes from the keys, and known ends of a turn from their text",
          "[tokenizer][unit]") {
  GgufBuilder file = byte_vocabulary(4);
  elrt::TokenizerSpec spec = spec_of(file);
  CHECK(spec.bos_id == 256);
  CHECK(spec.add_bos);  // Llama 3's own way where the file does not say
  CHECK(spec.eos_id == -1);
  CHECK(spec.stop_ids == Ids{257});
  file.metadata["tokenizer.ggml.eos_token_id"] = std::uint32_t{257};
  file.metadata["tokenizer.ggml.eot_token_id"] = std::uint32_t{258};
  file.metadata["tokenizer.ggml.add_bos_token"] = false;
  file.metadata["tokenizer.ggml.padding_token_id"] = std::uint32_t{0xFFFFFFFF};
  spec = spec_of(file);
  CHECK(spec.eos_id == 257);
  CHECK_FALSE(spec.add_bos);
  CHECK(spec.stop_ids == Ids{258});
  CHECK(spec.pad_id == -1);
  spec = spec_of(score_vocabulary());
  CHECK(spec.unk_id == 0);
  CHECK(spec.bos_id == 1);
  CHECK(spec.eos_id == 2);
  CHECK(spec.add_bos);
}

TEST_CASE("vocabularies that contradict themselves are refused", "[tokenizer][unit]") {
  const GgufBuilder bytes = byte_vocabulary(4), scores = score_vocabulary();
  const auto set = [](const char* key, elrt::gguf::Value value) {
    return [=](GgufBuilder& f) { f.metadata[key] = value; };
  };
  using Texts = std::vector<std::string>;
  expect_refused(bytes, {"kind 't5' is not supported"}, set("tokenizer.ggml.model", std::string("t5")));
  expect_refused(bytes, {"holds none", "setting tokenizer"}, set("tokenizer.ggml.model", std::string("none")));
  expect_refused(bytes, {"tokens is missing"}, [](GgufBuilder& f) { f.metadata.erase("tokenizer.ggml.tokens"); });
  expect_refused(bytes, {"tokens is not a list of strings"}, set("tokenizer.ggml.tokens", std::vector<float>{1}));
  expect_refused(bytes, {"260 tokens, but 1 types"}, set("tokenizer.ggml.token_type", std::vector<std::int32_t>{1}));
  expect_refused(bytes, {"token 3 has unknown type 9"}, [](GgufBuilder& f) {
    std::get<std::vector<std::int32_t>>(f.metadata["tokenizer.ggml.token_type"])[3] = 9;
  });
  expect_refused(bytes, {"tokens 5 and 6 are both \"x\""}, [](GgufBuilder& f) {
    auto& tokens = std::get<Texts>(f.metadata["tokenizer.ggml.tokens"]);
    std::replace(tokens.begin(), tokens.end(), std::string("x"), std::string("x0"));
    tokens[5] = tokens[6] = "x";
  });
  expect_refused(bytes, {"merges is missing"}, [](GgufBuilder& f) { f.metadata.erase("tokenizer.ggml.merges"); });
  expect_refused(bytes, {"merge 0", "two tokens"}, set("tokenizer.ggml.merges", Texts{"ab"}));
  expect_refused(bytes, {"merge 0", "\"zz\""}, set("tokenizer.ggml.merges", Texts{"zz a"}));
  expect_refused(bytes, {"merge 0", "\"ab\""}, set("tokenizer.ggml.merges", Texts{"a b"}));
  expect_refused(bytes, {"eos_token_id 260 is no token"}, set("tokenizer.ggml.eos_token_id", std::uint32_t{260}));
  expect_refused(bytes, {"add_eos_token without"}, set("tokenizer.ggml.add_eos_token", true));
  expect_refused(scores, {"8 tokens, but 0 scores"}, [](GgufBuilder& f) { f.metadata.erase("tokenizer.ggml.scores"); });
  expect_refused(scores, {"8 tokens, but 7 scores"}, set("tokenizer.ggml.scores", std::vector<float>(7)));
  const TempDir dir;
  write(dir / "t.gguf", bytes);
  expect_error(elastify::ErrorCode::kBadData, {"has 260 tokens", "only 259"},
               [&] { elastify::import_tokenizer(dir / "t.gguf", 259); });
  CHECK(elastify::import_tokenizer(dir / "t.gguf", 300).tokens.size() == 260);  // embeddings may be filled up
}
