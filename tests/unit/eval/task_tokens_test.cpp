#include "eval/task_tokens.h"

#include <catch2/catch.hpp>

#include "support/expect_error.h"
#include "unit/runtime/tiny_tokenizer.h"

using elastify::EvalItem;
using elastify::tokenize_task;
using elastify_test::tiny_tokenizer;
using Ids = std::vector<std::int32_t>;

namespace {

elrt::Tokenizer make(const elrt::TokenizerSpec& spec) {
  auto made = elrt::Tokenizer::create(spec);
  if (!made) FAIL(made.failure().message);
  return std::move(made).value();
}

EvalItem item(const std::string& context, const std::string& question, std::vector<std::string> options) {
  EvalItem made;
  made.task.id = "item";
  made.task.context = context;
  made.task.question = question;
  made.task.options = std::move(options);
  return made;
}

// Tokens of the tiny tokenizer: begin of text, bytes from 3, then letters and pairs.
constexpr std::int32_t kBegin = 1, kA = 259, kB = 260, kC = 261, kSpace = 262, kPairAb = 263, kPairC = 264;
std::int32_t byte(char c) { return 3 + static_cast<unsigned char>(c); }

}  // namespace

TEST_CASE("an option's tokens are those after its prompt", "[eval][unit]") {
  const auto tokens = tokenize_task(make(tiny_tokenizer()), "", item("b", "c", {"ab", "a c"}), 64);
  REQUIRE(tokens.options.size() == 2);
  CHECK(tokens.options[0].ids == Ids{kBegin, kB, byte('\n'), kC, byte('\n'), byte('A'), byte(':'), kSpace, kPairAb});
  CHECK(tokens.options[0].from == 7);
  CHECK(tokens.options[1].ids == Ids{kBegin, kB, byte('\n'), kC, byte('\n'), byte('A'), byte(':'), kSpace, kA, kPairC});
  CHECK(tokens.options[1].from == 7);
  CHECK(tokens.prompt == Ids{kBegin, kB, byte('\n'), kC, byte('\n'), byte('A'), byte(':')});
  CHECK(tokens.answer_room == 3 + elastify::kSpareTokens);
  CHECK_FALSE(tokens.shortened);
}

TEST_CASE("a token across the border belongs to the option", "[eval][unit]") {
  auto spec = tiny_tokenizer();
  spec.tokens.push_back(": ");
  spec.types.push_back(elrt::TokenType::kNormal);
  spec.scores.push_back(-1);
  spec.tokens.push_back(":");
  spec.types.push_back(elrt::TokenType::kNormal);
  spec.scores.push_back(-2);
  const auto tokens = tokenize_task(make(spec), "", item("", "c", {"a", "b"}), 64);
  CHECK(tokens.prompt == Ids{kBegin, kC, byte('\n'), byte('A'), 266});
  CHECK(tokens.options[0].ids == Ids{kBegin, kC, byte('\n'), byte('A'), 265, kA});
  CHECK(tokens.options[0].from == 4);
}

TEST_CASE("a schema's option is read after its own lead and cannot be written", "[eval][unit]") {
  EvalItem schema = item("", "", {"c", "c"});
  schema.leads = {"a", "bb"};
  const auto tokens = tokenize_task(make(tiny_tokenizer()), "", schema, 64);
  CHECK(tokens.options[0].ids == Ids{kBegin, kA, kPairC});
  CHECK(tokens.options[1].ids == Ids{kBegin, kB, kB, kPairC});
  CHECK(tokens.options[1].from == 3);
  CHECK(tokens.prompt.empty());
}

TEST_CASE("long prompts lose their beginning, equally for all options", "[eval][unit]") {
  const elrt::Tokenizer tokenizer = make(tiny_tokenizer());
  const EvalItem asked = item("cccccccc", "b", {"a", "bbb"});
  const auto whole = tokenize_task(tokenizer, "", asked, 64);
  REQUIRE(whole.options[1].ids.size() == 18);
  CHECK_FALSE(tokenize_task(tokenizer, "", asked, 18).shortened);
  const auto cut = tokenize_task(tokenizer, "", asked, 15);
  CHECK(cut.shortened);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto &full = whole.options[i].ids, &kept = cut.options[i].ids;
    REQUIRE(kept.size() == full.size() - 3);
    CHECK(kept[0] == kBegin);
    CHECK(std::equal(kept.begin() + 1, kept.end(), full.begin() + 4));
    CHECK(cut.options[i].from == whole.options[i].from - 3);
  }
  CHECK(cut.prompt.size() + cut.answer_room <= 15);
  CHECK(cut.prompt.front() == kBegin);
  // Examples go first.
  const auto shown = tokenize_task(tokenizer, "aaaa\n\n", asked, 18);
  CHECK(shown.shortened);
  CHECK(shown.options[1].ids == whole.options[1].ids);
}

TEST_CASE("options that alone exceed the context do not fit", "[eval][unit]") {
  const elrt::Tokenizer tokenizer = make(tiny_tokenizer());
  const EvalItem asked = item("", "b", {"a", "bbbbbbb"});
  const auto fits = tokenize_task(tokenizer, "", asked, 9);  // begin of text, a space and the option
  CHECK(fits.fits);
  CHECK(fits.options[1].from == 1);
  CHECK_FALSE(tokenize_task(tokenizer, "", asked, 8).fits);
}

TEST_CASE("an option without tokens of its own is refused by name", "[eval][unit]") {
  auto spec = tiny_tokenizer();
  spec.normalizer = {{elrt::NormalizerStep::Kind::kReplace, " a", ""}};
  const elrt::Tokenizer tokenizer = make(spec);
  elastify_test::expect_error(elastify::ErrorCode::kBadData, {"item", "option 1", "adds no token"}, [&] {
    tokenize_task(tokenizer, "", item("", "b", {"c", "a"}), 64);
  });
}
