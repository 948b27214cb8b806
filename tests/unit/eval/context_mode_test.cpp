#include "eval/context_mode.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <sstream>

#include "support/expect_error.h"

using elastify::ContextMode;
using elastify::ErrorCode;
using elastify::EvalItem;
using elastify::half_of_words;
using elastify::with_contexts;
using elastify_test::expect_error;

namespace {

EvalItem item(const std::string& id, const std::string& family, const std::string& context) {
  EvalItem made;
  made.task.id = id;
  made.task.family = family;
  made.task.context = context;
  made.task.question = "q";
  made.task.options = {"a", "b"};
  return made;
}

std::vector<EvalItem> two_families() {
  std::vector<EvalItem> items;
  for (int i = 0; i < 12; ++i) items.push_back(item("a" + std::to_string(i), "A", "context A" + std::to_string(i / 2)));
  for (int i = 0; i < 5; ++i) items.push_back(item("b" + std::to_string(i), "B", "context B" + std::to_string(i)));
  items.push_back(item("b-none", "B", ""));
  return items;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> found;
  for (std::string word; in >> word;) found.push_back(word);
  return found;
}

}  // namespace

TEST_CASE("a shuffled context is another one of the same family, whatever the order", "[eval][unit]") {
  const auto items = two_families();
  const auto shuffled = with_contexts(items, ContextMode::kShuffled, 3);
  std::set<std::string> given;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].task.context.empty()) {
      CHECK(shuffled[i].task.context.empty());
      continue;
    }
    CHECK(shuffled[i].task.context != items[i].task.context);
    CHECK(shuffled[i].task.context.substr(0, 9) == "context " + items[i].task.family);
    given.insert(shuffled[i].task.context);
  }
  CHECK(given.size() > 5);
  auto reversed = items;
  std::reverse(reversed.begin(), reversed.end());
  const auto again = with_contexts(reversed, ContextMode::kShuffled, 3);
  for (std::size_t i = 0; i < items.size(); ++i)
    CHECK(again[items.size() - 1 - i].task.context == shuffled[i].task.context);
  bool differs = false;
  const auto other = with_contexts(items, ContextMode::kShuffled, 4);
  for (std::size_t i = 0; i < items.size(); ++i) differs |= other[i].task.context != shuffled[i].task.context;
  CHECK(differs);
}

TEST_CASE("half of the words go, the others stay in order and on their lines", "[eval][unit]") {
  std::string text;
  for (int i = 0; i < 101; ++i) text += "w" + std::to_string(i) + (i % 10 == 9 ? "\n" : "  ");
  const auto all = words(text);
  const std::string half = half_of_words(text, 5);
  const auto kept = words(half);
  CHECK(kept.size() == 50);
  auto at = all.begin();
  for (const auto& word : kept) {
    at = std::find(at, all.end(), word);
    REQUIRE(at != all.end());
    ++at;
  }
  // Two kept words of one line are joined by a space, of two lines by a line break.
  for (std::size_t i = 1; i < kept.size(); ++i) {
    const int a = std::stoi(kept[i - 1].substr(1)) / 10, b = std::stoi(kept[i].substr(1)) / 10;
    CHECK(half.find(kept[i - 1] + (a == b ? " " : "\n") + kept[i]) != std::string::npos);
  }
  CHECK(half == half_of_words(text, 5));
  CHECK(half != half_of_words(text, 6));
  CHECK(half_of_words("one", 1).empty());
  CHECK(half_of_words("", 1).empty());
}

TEST_CASE("without a context only the question is left", "[eval][unit]") {
  for (const auto& bare : with_contexts(two_families(), ContextMode::kNone, 1)) CHECK(bare.task.context.empty());
  for (const auto& half : with_contexts(two_families(), ContextMode::kHalf, 1))
    CHECK(words(half.task.context).size() <= 1);
}

TEST_CASE("controls without a context to change are refused", "[eval][unit]") {
  const std::vector<EvalItem> bare{item("x", "A", ""), item("y", "A", "")},
      same{item("x", "A", "c"), item("y", "A", "c")};
  expect_error(ErrorCode::kUsage, {"--context half", "no item has a context"},
               [&] { with_contexts(bare, ContextMode::kHalf, 1); });
  expect_error(ErrorCode::kUsage, {"shuffled", "A", "same context"},
               [&] { with_contexts(same, ContextMode::kShuffled, 1); });
  expect_error(ErrorCode::kUsage, {"'some'", "shuffled"}, [] { elastify::context_mode("some"); });
  CHECK(elastify::context_mode("half") == ContextMode::kHalf);
}
