#include "tlm/word_alignment.h"

#include <sstream>

#include "support.h"
#include "tlm/compression_pairs.h"

using namespace elastify;
using namespace elastify_test;

namespace {

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> all;
  for (std::string word; stream >> word;) all.push_back(word);
  return all;
}

// The kept words of the original.
std::string kept(const std::string& original, const std::string& compressed) {
  const auto all = words(original);
  const auto flags = kept_by_alignment(all, words(compressed));
  std::string text;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (flags[i]) text += (text.empty() ? "" : " ") + all[i];
  }
  return text;
}

}  // namespace

TEST_CASE("words align in order, whatever their case and punctuation", "[tlm][unit]") {
  CHECK(kept("The council, then, voted on Item 15.", "council voted item 15") == "council, voted Item 15.");
  CHECK(kept("a b c", "") == "");
  CHECK(kept("", "a") == "");
  CHECK(kept("a b c", "a b c") == "a b c");
}

TEST_CASE("changed forms align, numbers only with themselves", "[tlm][unit]") {
  CHECK(kept("They were discussing the approved budgets", "discuss approve budget") == "discussing approved budgets");
  CHECK(kept("item 1550 and item 155", "155") == "155");
  CHECK(kept("the cat sat", "cats sit") == "cat");
}

TEST_CASE("of repeated words the alignment takes those that fit the order", "[tlm][unit]") {
  const auto flags = kept_by_alignment(words("the mayor spoke and the clerk noted the vote"),
                                       words("mayor spoke clerk noted the vote"));
  CHECK(flags == std::vector<bool>{false, true, true, false, false, true, true, true, true});
  CHECK(kept_by_alignment(words("a a a"), words("a")) == std::vector<bool>{true, false, false});
}

TEST_CASE("added and moved words do not disturb the others", "[tlm][unit]") {
  CHECK(kept("we will vote now on the budget", "summary: vote budget today") == "vote budget");
  CHECK(kept("one two three four", "four one two three") == "one two three");
}

TEST_CASE("pairs are read in every layout, and malformed ones refused with their place", "[tlm][unit]") {
  const TempDir dir;
  write_bytes(dir / "lists.json", R"([{"prompt_list": ["a b", "c d"], "compressed_prompt_list": ["a", "d"]}])");
  write_bytes(dir / "lines.jsonl",
              "{\"prompt\": \"a b\", \"compressed_prompt\": \"a\"}\n\n{\"origin\": \"c d\", \"comp\": \"d\"}\n");
  for (const char* name : {"lists.json", "lines.jsonl"}) {
    const auto pairs = read_compression_pairs(dir / name);
    REQUIRE(pairs.size() == 2);
    CHECK(pairs[1].original == "c d");
    CHECK(pairs[1].compressed == "d");
  }
  write_bytes(dir / "bad.jsonl", "{\"prompt_list\": [\"a\"], \"compressed_prompt_list\": []}\n");
  expect_error(ErrorCode::kBadData, {"bad.jsonl item 1"}, [&] { read_compression_pairs(dir / "bad.jsonl"); });
  write_bytes(dir / "bad.jsonl", "{\n");
  expect_error(ErrorCode::kBadData, {"bad.jsonl line 1"}, [&] { read_compression_pairs(dir / "bad.jsonl"); });
}
