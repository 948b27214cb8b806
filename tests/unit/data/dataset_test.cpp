// Reading, splitting and packing text.
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <elrt/tokenizer.hpp>

#include <set>

#include "base/torch.h"
#include "data/dataset.h"

#include "checkpoint/safetensors.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::TempDir;

// 256 byte tokens with <s> and </s>: every text has exactly one id per byte.
elrt::Tokenizer byte_tokenizer() {
  elrt::TokenizerSpec spec;
  for (int byte = 0; byte < 256; ++byte) {
    spec.tokens.push_back(fmt::format("<0x{:02X}>", byte));
    spec.types.push_back(elrt::TokenType::kByte);
  }
  for (const char* special : {"<s>", "</s>"}) {
    spec.tokens.push_back(special);
    spec.types.push_back(elrt::TokenType::kControl);
  }
  spec.byte_fallback = true;
  spec.decoder = {{elrt::DecoderStep::Kind::kByteFallback, "", "", 0, 0},
                  {elrt::DecoderStep::Kind::kFuse, "", "", 0, 0}};
  spec.bos_id = 256;
  spec.eos_id = 257;
  spec.add_bos = true;
  auto tokenizer = elrt::Tokenizer::create(std::move(spec));
  REQUIRE(tokenizer.ok());
  return std::move(tokenizer).value();
}

std::vector<TextDocument> read_text(const std::string& name, const std::string& bytes) {
  const TempDir dir;
  elastify_test::write_bytes(dir / name, bytes);
  return read_documents(dir / name);
}

std::vector<TokenDocument> numbered_documents(std::int64_t count, std::int64_t tokens) {
  std::vector<TokenDocument> documents;
  for (std::int64_t i = 0; i < count; ++i) {
    std::vector<std::int64_t> ids;
    for (std::int64_t t = 0; t < tokens; ++t) ids.push_back(1000 * i + t);
    documents.push_back(elastify::plain_document(std::move(ids)));
  }
  return documents;
}

}  // namespace

TEST_CASE("plain text splits at separators", "[io][unit]") {
  const auto documents = read_text("a.txt", "one\n<|endoftext|>\n two\nlines \n<|endoftext|>\n\n");
  REQUIRE(documents.size() == 2);
  REQUIRE(documents[0].text == "one");
  REQUIRE(documents[1].text == "two\nlines");
}

TEST_CASE("a task's prompt is read, its right option learned", "[io][unit]") {
  const auto tasks = read_text(
      "t.jsonl", R"({"context": "Maya has it.", "question": "Who has it?", "options": ["Leo", "Maya"], "answer": 1})");
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].prompt == "Maya has it.\nWho has it?\nA:");
  CHECK(tasks[0].text == " Maya");
  CHECK(tasks[0].ends);
  expect_error(ErrorCode::kBadData, {"t.jsonl line 1", "answer"},
               [] { read_text("t.jsonl", R"({"question": "Who?", "options": ["Leo", "Maya"], "answer": 2})"); });
}

TEST_CASE("tasks in a row over one context are turns of one document", "[io][unit]") {
  const std::string maya =
      R"({"context": "Maya has it.", "question": "Who has it?", "options": ["Leo", "Maya"], "answer": 1})";
  const std::string what =
      R"({"context": "Maya has it.", "question": "Has she?", "options": ["yes", "no"], "answer": 0})";
  const std::string other =
      R"({"context": "Leo has it.", "question": "Who?", "options": ["Leo", "Maya"], "answer": 0})";
  const auto tasks = read_text("t.jsonl", maya + "\n" + what + "\n" + other + "\n" + maya + "\n");
  REQUIRE(tasks.size() == 3);
  REQUIRE(tasks[0].more.size() == 1);
  CHECK(elastify::whole_text(tasks[0]) == "Maya has it.\nWho has it?\nA: Maya\nHas she?\nA: yes");
  const auto documents = tokenize_documents({{"A:", "x", true, {{"\nB:", "y"}}}}, byte_tokenizer());
  CHECK(documents[0].ids == std::vector<std::int64_t>{256, 'A', ':', 'x', 257, '\n', 'B', ':', 'y', 257});
  CHECK(documents[0].counts == std::vector<std::uint8_t>{0, 0, 0, 1, 1, 0, 0, 0, 1, 1});
  CHECK(read_text("q.jsonl", R"({"question": "Who?", "options": ["Leo", "Maya"], "answer": 0})"
                             "\n"
                             R"({"question": "Who?", "options": ["Leo", "Maya"], "answer": 0})")
            .size() == 2);
}

TEST_CASE("instruction records keep prompt and answer apart", "[io][unit]") {
  const auto lines = read_text("a.jsonl", "{\"text\": \"plain\"}\n\n{\"prompt\": \"Q\", \"response\": \"A\"}\n");
  REQUIRE(lines.size() == 2);
  REQUIRE_FALSE(lines[0].ends);
  REQUIRE(lines[1].prompt == "Q");
  REQUIRE(lines[1].ends);
  const auto alpaca = read_text("a.json", R"([{"instruction": "Add.", "input": "1 2", "output": "3"}])");
  REQUIRE_THAT(alpaca[0].prompt,
               Catch::Matchers::Contains("### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n"));
  REQUIRE(alpaca[0].text == "3");
}

TEST_CASE("malformed text names file and line", "[io][unit]") {
  expect_error(ErrorCode::kBadData, {"a.jsonl line 2", "not valid JSON"},
               [] { read_text("a.jsonl", "{\"text\":\"x\"}\n{\"text\":\n"); });
  expect_error(ErrorCode::kBadData, {"line 1", "text must be a string"},
               [] { read_text("a.jsonl", "{\"text\": 3}\n"); });
  expect_error(ErrorCode::kBadData, {"item 0", "expected text"},
               [] { read_text("a.json", "[{\"question\": \"?\"}]"); });
  expect_error(ErrorCode::kBadData, {"array"}, [] { read_text("a.json", "{}"); });
  expect_error(ErrorCode::kBadData, {"not UTF-8", "byte 2", "0xff"}, [] { read_text("a.txt", "ab\xff"); });
  expect_error(ErrorCode::kBadData, {"holds no text"}, [] { read_text("a.txt", " \n"); });
}

TEST_CASE("the loss counts the answer and its end, not the prompt", "[io][unit]") {
  const auto documents = tokenize_documents({{"Say: ", "hi", true}}, byte_tokenizer());
  REQUIRE(documents.size() == 1);
  const std::vector<std::int64_t> expected = {256, 'S', 'a', 'y', ':', ' ', 'h', 'i', 257};
  REQUIRE(documents[0].ids == expected);
  REQUIRE(documents[0].counts == std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0, 1, 1, 1});
  const TokenRows rows = pack_rows(documents, 8, 0, 0);
  const auto targets = torch::tensor(
      {kIgnore, kIgnore, kIgnore, kIgnore, kIgnore, std::int64_t{'h'}, std::int64_t{'i'}, std::int64_t{257}});
  REQUIRE(torch::equal(rows.targets[0], targets));
  REQUIRE(rows.target_count() == 3);
}

TEST_CASE("packing predicts every token after a document's first exactly once", "[io][unit]") {
  const TokenRows rows = pack_rows(numbered_documents(5, 7), 4, 0, 0);
  REQUIRE(rows.inputs.sizes().vec() == std::vector<std::int64_t>{9, 4});  // 34 predictions
  REQUIRE(rows.target_count() == 5 * 6);
  std::multiset<std::int64_t> counted;
  for (std::int64_t i = 0; i < rows.targets.numel(); ++i) {
    const auto target = rows.targets.view({-1})[i].item<std::int64_t>();
    if (target != kIgnore) counted.insert(target);
  }
  for (std::int64_t d = 0; d < 5; ++d) {
    REQUIRE(counted.count(1000 * d) == 0);  // nothing predicts a document's first token
    for (std::int64_t t = 1; t < 7; ++t) REQUIRE(counted.count(1000 * d + t) == 1);
  }
  REQUIRE(pack_rows(numbered_documents(50, 7), 4, 20, 3).rows() == 5);
  REQUIRE(torch::equal(pack_rows(numbered_documents(50, 7), 4, 20, 3).inputs,
                       pack_rows(numbered_documents(50, 7), 4, 20, 3).inputs));
  expect_error(ErrorCode::kBadData, {"empty"}, [] { pack_rows({}, 4, 0, 0); });
}

TEST_CASE("separate rows hold one document each", "[io][unit]") {
  std::vector<TokenDocument> documents = {elastify::plain_document({1, 2, 3}),
                                          {{4, 5, 6, 7, 8, 9}, {0, 0, 0, 0, 1, 1}},
                                          elastify::plain_document({10, 11})};
  const TokenRows rows = separate_rows(documents, 4, 0, 0);
  const auto expected = torch::tensor({{1, 2, 0, 0}, {4, 5, 6, 7}, {8, 0, 0, 0}, {10, 0, 0, 0}}, torch::kInt64);
  const std::int64_t no = kIgnore;
  const auto targets = torch::tensor({{std::int64_t{2}, std::int64_t{3}, no, no},
                                      {no, no, no, std::int64_t{8}},
                                      {std::int64_t{9}, no, no, no},
                                      {std::int64_t{11}, no, no, no}},
                                     torch::kInt64);
  CHECK(torch::equal(rows.inputs, expected));
  CHECK(torch::equal(rows.targets, targets));
  CHECK(separate_rows(documents, 4, 3, 0).rows() == 2);
  expect_error(ErrorCode::kBadData, {"empty"}, [] { separate_rows({}, 4, 0, 0); });
}

TEST_CASE("calibration holds as many predictions as were asked for, whatever share of the text counts", "[io][unit]") {
  auto documents = numbered_documents(400, 50);                                                // 49 predictions each
  for (auto& document : documents) std::fill_n(document.counts.begin(), 30, std::uint8_t{0});  // 20 of 50 count
  const bool pack = GENERATE(true, false);
  for (const std::int64_t asked : {64, 1000, 3000}) {
    const TokenRows rows = elastify::predicting_rows(documents, 64, asked, 3, pack);
    CHECK(std::abs(rows.target_count() - asked) <= 20);  // half a row's: 20 to 40 predictions count in 64 tokens
    const TokenRows more = elastify::predicting_rows(documents, 64, asked + 200, 3, pack);
    CHECK(torch::equal(more.inputs.narrow(0, 0, rows.rows()), rows.inputs));
  }
  CHECK(elastify::predicting_rows(documents, 64, 1 << 30, 3, pack).target_count() == 400 * 20);
}

TEST_CASE("equal documents never land on both sides of a split", "[io][unit]") {
  auto documents = numbered_documents(200, 9);
  const auto copies = numbered_documents(200, 9);
  documents.insert(documents.end(), copies.begin(), copies.end());
  const DocumentSplit split = split_documents(documents, 0.25, 1);
  REQUIRE(split.train.size() + split.held_out.size() == 400);
  REQUIRE(split.held_out.size() > 50);
  REQUIRE(split.held_out.size() < 150);
  std::set<std::vector<std::int64_t>> held_out;
  for (const auto& document : split.held_out) held_out.insert(document.ids);
  for (const auto& document : split.train) REQUIRE(held_out.count(document.ids) == 0);
  REQUIRE(split_documents(numbered_documents(1, 5000), 0.1, 1).held_out.size() >= 1);  // a book is cut first
  expect_error(ErrorCode::kBadData, {"too short"}, [] { split_documents(numbered_documents(1, 9), 0.1, 1); });
}

TEST_CASE("saved documents come back, and damaged files are refused", "[io][unit]") {
  const TempDir dir;
  auto documents = numbered_documents(3, 4);
  documents[1].counts[1] = 0;
  save_documents(dir / "d.safetensors", documents);
  const auto loaded = load_documents(dir / "d.safetensors");
  REQUIRE(loaded.size() == 3);
  REQUIRE(loaded[1].ids == documents[1].ids);
  REQUIRE(loaded[1].counts == documents[1].counts);
  write_safetensors(dir / "bad.safetensors", {{"ids", torch::ones({3}, torch::kInt64)},
                                              {"lengths", torch::tensor({5}, torch::kInt64)},
                                              {"counts", torch::ones({3}, torch::kInt64)}});
  expect_error(ErrorCode::kBadData, {"length of document 0"}, [&] { load_documents(dir / "bad.safetensors"); });
  write_safetensors(dir / "bad.safetensors", {{"ids", torch::ones({3})}});
  expect_error(ErrorCode::kBadData, {"I64 tensor"}, [&] { load_documents(dir / "bad.safetensors"); });
}
