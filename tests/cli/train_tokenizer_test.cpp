// elastify-suite train-tokenizer as a user runs it.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "cli/run_command.h"

namespace {

using elastify_test::Outcome;
using elastify_test::read_bytes;
using elastify_test::run_command;
using elastify_test::TempDir;
using elastify_test::write_bytes;
using nlohmann::json;

const std::string kStory = "Once upon a time there was a cat.\nThe cat had 12 kittens,  and every kitten had a hat.\n";

struct Run {
  TempDir dir;
  std::string path(const std::string& name) const { return (dir / name).string(); }
  Outcome train(const std::string& text, const std::string& more = "--vocab-size 300") const {
    return run_command("elastify-suite", "train-tokenizer --text " + text + " --out " + path("out") + " " + more);
  }
};

void expect_failure(const Outcome& outcome, int status, std::initializer_list<const char*> words) {
  INFO(outcome.err);
  CHECK(outcome.status == status);
  CHECK(outcome.out.empty());
  for (const char* word : words) CHECK_THAT(outcome.err, Catch::Matchers::Contains(word));
}

}  // namespace

TEST_CASE("train-tokenizer reads every kind of text and leaves the folder's other files", "[cli]") {
  const Run run;
  write_bytes(run.dir / "a.txt", kStory);
  write_bytes(run.dir / "b.jsonl", R"({"text": "A dog ran home."})"
                                   "\n"
                                   R"({"prompt": "Who ran?\n", "response": "the dog"})"
                                   "\n");
  write_bytes(run.dir / "c.json", R"([{"instruction": "Count.", "input": "", "output": "one two three"}])");
  std::filesystem::create_directory(run.dir / "out");
  write_bytes(run.dir / "out" / "config.json", "{}");
  const Outcome outcome =
      run.train(run.path("a.txt") + " " + run.path("b.jsonl") + " " + run.path("c.json"), "--vocab-size 330 --json");
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const json result = json::parse(outcome.out);
  CHECK(result.at("vocab_size") == 330);
  CHECK(result.at("texts") == 4);
  CHECK(result.at("bytes_per_token") > 1.0);
  CHECK(result.at("tokenizer") == run.path("out"));
  CHECK(json::parse(read_bytes(run.dir / "out" / "tokenizer.json")).at("model").at("vocab").size() == 330);
  CHECK(json::parse(read_bytes(run.dir / "out" / "tokenizer_config.json")).at("bos_token") == "<s>");
  CHECK(read_bytes(run.dir / "out" / "config.json") == "{}");
  CHECK_THAT(outcome.err, Catch::Matchers::Contains("330 tokens from 4 texts"));

  const std::string before = read_bytes(run.dir / "out" / "tokenizer.json");
  REQUIRE(
      run.train(run.path("a.txt") + " " + run.path("b.jsonl") + " " + run.path("c.json"), "--vocab-size 330").status ==
      0);
  CHECK(read_bytes(run.dir / "out" / "tokenizer.json") == before);
}

TEST_CASE("train-tokenizer names what is wrong with its texts", "[cli]") {
  const Run run;
  write_bytes(run.dir / "a.txt", kStory);
  write_bytes(run.dir / "empty.txt", "");
  write_bytes(run.dir / "blank.txt", "\n\n");
  write_bytes(run.dir / "latin.txt", "caf\xE9 au lait");
  write_bytes(run.dir / "bad.jsonl", "{\"text\": \"x\"}\n{\"text\": ");
  expect_failure(run.train(run.path("empty.txt")), 3, {"empty.txt", "no text"});
  expect_failure(run.train(run.path("blank.txt")), 3, {"blank.txt", "no text"});
  expect_failure(run.train(run.path("latin.txt")), 3, {"latin.txt", "not UTF-8", "byte 3"});
  expect_failure(run.train(run.path("bad.jsonl")), 3, {"bad.jsonl line 2", "not valid JSON"});
  expect_failure(run.train(run.path("none.txt")), 3, {"none.txt"});
  expect_failure(run.train(run.path("a.txt"), "--vocab-size 4096"), 3, {"support at most", "4096"});
  expect_failure(run.train(run.path("a.txt"), "--vocab-size 262"), 3, {"262", "character_coverage"});
  CHECK_FALSE(std::filesystem::exists(run.dir / "out"));
}

TEST_CASE("train-tokenizer refuses settings and folders that cannot be", "[cli]") {
  const Run run;
  write_bytes(run.dir / "a.txt", kStory);
  expect_failure(run.train(run.path("a.txt"), "--vocab-size 100"), 2, {"vocab_size", "261"});
  expect_failure(run.train(run.path("a.txt"), "--model unigram"), 2, {"--model", "bpe"});
  expect_failure(run.train(run.path("a.txt"), "--character-coverage 2"), 2, {"character_coverage"});
  write_bytes(run.dir / "out", "a file");
  expect_failure(run.train(run.path("a.txt")), 2, {"expected a folder", "out"});
  CHECK(read_bytes(run.dir / "out") == "a file");
  expect_failure(run_command("elastify-suite", "train-tokenizer --out " + run.path("x")), 2, {"--text"});
}
