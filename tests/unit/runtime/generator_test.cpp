#include "elrt/generator.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "elrt/elrt.h"
#include "elrt/elrt.hpp"
#include "unit/runtime/tiny_tokenizer.h"

using elastify_test::TemporaryFile;
using elrt::Artifact;
using elrt::FinishReason;
using elrt::GenerateOptions;
using elrt::Session;
using elrt::Status;
using elrt::TokenId;

namespace {

struct Loaded {
  Artifact artifact;
  std::shared_ptr<const elrt::Tokenizer> tokenizer;
  Session session(std::uint32_t level = 100, std::uint32_t threads = 1, std::uint32_t batch = 128) const {
    return Session::create(artifact, {level, threads, 0, batch}).value();
  }
};

Loaded load() {
  const TemporaryFile file(elastify_test::tiny_artifact_with_tokenizer().build());
  auto artifact = Artifact::open(file.path());
  if (!artifact) FAIL(artifact.failure().message);
  auto tokenizer = artifact->tokenizer();
  if (!tokenizer) FAIL(tokenizer.failure().message);
  return {std::move(artifact).value(), tokenizer.value()};
}

GenerateOptions sampled(std::uint32_t tokens, std::uint64_t seed = 3) {
  GenerateOptions options;
  options.max_tokens = tokens;
  options.sampler = {1.0f, 0, 1, 0, seed};
  options.ignore_end = true;
  return options;
}

}  // namespace

TEST_CASE("what is streamed is what is returned, in whole characters", "[runtime][unit]") {
  const Loaded loaded = load();
  Session session = loaded.session();
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::string streamed;
    const auto result =
        elrt::generate(session, *loaded.tokenizer, "abc", sampled(30, seed), [&](std::string_view piece) {
          CHECK_FALSE(piece.empty());
          CHECK((static_cast<unsigned char>(piece[0]) & 0xC0) != 0x80);
          streamed += piece;
          return true;
        });
    REQUIRE(result);
    CHECK(streamed == result->text);
    CHECK(result->tokens.size() == 30);
    CHECK(result->finish == FinishReason::kMaxTokens);
    elrt::DecodeOptions continues;
    continues.continues = true;
    CHECK(result->text == loaded.tokenizer->decode(result->tokens, continues));
  }
}

TEST_CASE("generation equals sampling by hand and does not depend on threads or batches", "[runtime][unit]") {
  const Loaded loaded = load();
  for (const std::uint32_t level : {20u, 100u}) {
    GenerateOptions options;
    options.max_tokens = 12;
    options.ignore_end = true;
    Session first = loaded.session(level), second = loaded.session(level, 2, 1), manual = loaded.session(level);
    const auto a = elrt::generate(first, *loaded.tokenizer, "ab cab", options);
    const auto b = elrt::generate(second, *loaded.tokenizer, "ab cab", options);
    REQUIRE((a && b));
    CHECK(a->tokens == b->tokens);
    std::vector<TokenId> text = elrt::prompt_tokens(*loaded.tokenizer, "ab cab").value();
    CHECK(text.front() == 1);
    CHECK(a->prompt_tokens == text.size());
    for (const TokenId expected : a->tokens) {
      manual.reset();
      const auto logits = manual.forward(text).value();
      const auto best = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
      CHECK(best == expected);
      text.push_back(best);
    }
  }
}

TEST_CASE("generation ends where it should", "[runtime][unit]") {
  const Loaded loaded = load();
  Session session = loaded.session();
  const auto whole = elrt::generate(session, *loaded.tokenizer, "abc", sampled(40));
  REQUIRE(whole);
  REQUIRE(whole->text.size() > 12);
  SECTION("before a stop string") {
    GenerateOptions options = sampled(40);
    options.stop = {whole->text.substr(5, 6)};
    const auto cut = elrt::generate(session, *loaded.tokenizer, "abc", options);
    REQUIRE(cut);
    CHECK(cut->text == whole->text.substr(0, whole->text.find(options.stop[0])));
    CHECK(cut->finish == FinishReason::kStopString);
  }
  SECTION("when the caller says so") {
    int pieces = 0;
    const auto cut =
        elrt::generate(session, *loaded.tokenizer, "abc", sampled(40), [&](std::string_view) { return ++pieces < 2; });
    REQUIRE(cut);
    CHECK(cut->finish == FinishReason::kCancelled);
    CHECK(pieces == 2);
  }
  SECTION("when the context is full") {
    const auto full = elrt::generate(session, *loaded.tokenizer, "abc", sampled(500));
    REQUIRE(full);
    CHECK(full->finish == FinishReason::kContextFull);
    CHECK(full->prompt_tokens + full->tokens.size() == 64 + 1);  // the last token is sampled but never read
  }
}

TEST_CASE("empty and long prompts are refused with numbers", "[runtime][unit]") {
  const Loaded loaded = load();
  Session session = loaded.session();
  const auto empty = elrt::generate(session, *loaded.tokenizer, "", {});
  REQUIRE_FALSE(empty);
  CHECK(empty.failure().status == Status::kInvalidArgument);
  const auto fits = elrt::generate(session, *loaded.tokenizer, std::string(63, '!'), sampled(1));
  CHECK(fits.ok());
  const auto long_prompt = elrt::generate(session, *loaded.tokenizer, std::string(64, '!'), {});
  REQUIRE_FALSE(long_prompt);
  CHECK(long_prompt.failure().status == Status::kInvalidArgument);
  CHECK(long_prompt.failure().message.find("65 tokens") != std::string::npos);
  CHECK(long_prompt.failure().message.find("64") != std::string::npos);
}

TEST_CASE("a generation that fails leaves the text that it was to continue as it was", "[runtime][unit]") {
  const Loaded loaded = load();
  Session session = loaded.session(), fresh = loaded.session();
  GenerateOptions options;
  options.max_tokens = 5, options.ignore_end = options.keep_context = true;
  for (Session* s : {&session, &fresh}) REQUIRE(elrt::generate(*s, *loaded.tokenizer, "ab c", options));
  const std::vector<TokenId> before(session.tokens().begin(), session.tokens().end());
  int pieces = 0;
  const auto failed = elrt::generate(session, *loaded.tokenizer, "cab", options, [&](std::string_view) -> bool {
    return ++pieces == 2 ? throw std::bad_alloc() : true;
  });
  REQUIRE_FALSE(failed);
  CHECK(failed.failure().message.find("out of memory") != std::string::npos);
  CHECK(std::vector<TokenId>(session.tokens().begin(), session.tokens().end()) == before);
  CHECK(elrt::generate(session, *loaded.tokenizer, "cab", options)->tokens ==
        elrt::generate(fresh, *loaded.tokenizer, "cab", options)->tokens);
}

TEST_CASE("a conversation is one text: nothing is repeated and nothing is lost between its turns", "[runtime][unit]") {
  const Loaded loaded = load();
  Session turns = loaded.session(), whole = loaded.session();
  GenerateOptions options;
  options.max_tokens = 5, options.ignore_end = options.keep_context = true;
  std::vector<TokenId> text;
  for (const char* prompt : {"ab c", "cab", "c"}) {
    elrt::PromptOptions part;
    part.begin = text.empty();
    const auto added = elrt::prompt_tokens(*loaded.tokenizer, prompt, part).value();
    text.insert(text.end(), added.begin(), added.end());
    const auto turn = elrt::generate(turns, *loaded.tokenizer, prompt, options);
    REQUIRE(turn);
    CHECK(turn->prompt_tokens == added.size());
    GenerateOptions apart = options;
    apart.keep_context = false;
    CHECK(elrt::generate(whole, *loaded.tokenizer, text, apart)->tokens == turn->tokens);
    text.insert(text.end(), turn->tokens.begin(), turn->tokens.end());
    CHECK(std::vector<TokenId>(turns.tokens().begin(), turns.tokens().end()) == text);
  }
  CHECK(std::count(text.begin(), text.end(), loaded.tokenizer->bos_id()) == 1);
}

TEST_CASE("a text that was written at a smaller level is read again at the session's own where it goes on",
          "[runtime][unit]") {
  const Loaded loaded = load();
  for (const std::uint32_t decode : {20u, 50u, 100u}) {
    Session session = loaded.session(), fresh = loaded.session();
    GenerateOptions options = sampled(9);
    options.decode_level = decode;
    options.keep_context = true;
    for (const char* prompt : {"ab cab", " ba"}) REQUIRE(elrt::generate(session, *loaded.tokenizer, prompt, options));
    CHECK(session.level() == 100);
    const std::vector<TokenId> text(session.tokens().begin(), session.tokens().end()), more{5, 6};
    REQUIRE(text.size() > 18);
    REQUIRE(fresh.forward(text));
    const auto after = session.forward(more).value(), expected = fresh.forward(more).value();
    CHECK(std::equal(after.begin(), after.end(), expected.begin(), expected.end()));
  }
}

TEST_CASE("a decode level above the session's, or unknown, is refused before anything is read", "[runtime][unit]") {
  const Loaded loaded = load();
  Session session = loaded.session(50);
  GenerateOptions options = sampled(3);
  REQUIRE(elrt::generate(session, *loaded.tokenizer, "ab", options));
  const std::size_t held = session.tokens().size();
  options.keep_context = true;
  for (const std::uint32_t wrong : {100u, 33u, 51u}) {
    options.decode_level = wrong;
    const auto refused = elrt::generate(session, *loaded.tokenizer, "c", options);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().status == Status::kInvalidArgument);
    CHECK(refused.failure().message.find(std::to_string(wrong)) != std::string::npos);
    CHECK(session.tokens().size() == held);
    CHECK(session.level() == 50);
  }
}

TEST_CASE("scoring predicts every token after the first once, from its window", "[runtime][unit]") {
  const Loaded loaded = load();
  const auto tokens = elrt::prompt_tokens(*loaded.tokenizer, "ab cab!? c abcabab c? ab").value();
  for (const std::uint32_t context : {2u, 5u, 64u}) {
    Session session = loaded.session(50, 1, 3), plain = loaded.session(50);
    std::vector<double> losses(tokens.size(), -1);
    const auto score = elrt::score(session, tokens, context, [&](std::size_t index, double nll) {
      CHECK(losses[index] == -1);
      losses[index] = nll;
    });
    REQUIRE(score);
    CHECK(score->tokens == tokens.size() - 1);
    CHECK(losses[0] == -1);
    double total = 0;
    for (std::size_t i = 1; i < tokens.size(); ++i) {
      const std::size_t begin = (i - 1) / (context - 1) * (context - 1);
      plain.reset();
      const auto logits = plain.forward(std::span(tokens).subspan(begin, i - begin)).value();
      double sum = 0;
      for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
      const double expected = std::log(sum) - logits[static_cast<std::size_t>(tokens[i])];
      CHECK(losses[i] == Approx(expected).margin(1e-9));
      total += expected;
    }
    CHECK(score->nll == Approx(total / static_cast<double>(score->tokens)));
    CHECK(score->perplexity == Approx(std::exp(score->nll)));
  }
  Session session = loaded.session();
  CHECK_FALSE(elrt::score(session, tokens, 1));
  CHECK_FALSE(elrt::score(session, tokens, 65));
  CHECK_FALSE(elrt::score(session, std::vector<TokenId>{1}));
  CHECK_FALSE(elrt::score(session, std::vector<TokenId>{1, 99999}));
}

TEST_CASE("the C API does what the C++ API does", "[runtime][unit]") {
  const TemporaryFile file(elastify_test::tiny_artifact_with_tokenizer().build());
  elrt_engine* engine = nullptr;
  REQUIRE(elrt_engine_open(file.path().c_str(), &engine) == ELRT_OK);
  CHECK(elrt_engine_level_count(engine) == 3);
  CHECK(elrt_engine_level(engine, 1) == 50);
  CHECK(elrt_engine_level(engine, 3) == 0);
  elrt_session* session = nullptr;
  CHECK(elrt_session_create(engine, nullptr, &session) == ELRT_OK);
  CHECK(elrt_session_level(session) == 100);
  CHECK(elrt_session_set_level(session, 33, ELRT_CACHE_RECOMPUTE) == ELRT_INVALID_ARGUMENT);
  CHECK(std::strstr(elrt_last_error(), "33") != nullptr);
  CHECK(elrt_session_set_level(session, 50, ELRT_CACHE_RECOMPUTE) == ELRT_OK);

  int32_t* tokens = nullptr;
  size_t count = 0, bytes = 0;
  REQUIRE(elrt_tokenize(engine, "ab c", 4, nullptr, &tokens, &count) == ELRT_OK);
  CHECK(count == 3);
  char text[3];
  REQUIRE(elrt_detokenize(engine, tokens, count, text, sizeof text, &bytes) == ELRT_OK);
  CHECK(bytes == 4);
  CHECK(std::string(text, 3) == "ab ");
  elrt_tokens_free(tokens);

  elrt_engine_close(engine);  // the session keeps what it needs
  elrt_generate_options options;
  ELRT_INIT(&options);
  options.max_tokens = 9;
  options.temperature = 1;
  options.seed = 3;
  elrt_generate_result result;
  ELRT_INIT(&result);
  std::string streamed;
  const auto append = [](const char* piece, size_t size, void* user) {
    static_cast<std::string*>(user)->append(piece, size);
    return 1;
  };
  REQUIRE(elrt_generate(session, "abc", 3, &options, append, &streamed, &result) == ELRT_OK);
  const Loaded loaded = load();
  Session direct = loaded.session(50);
  GenerateOptions same = sampled(9);
  same.ignore_end = false;
  CHECK(elrt::generate(direct, *loaded.tokenizer, "abc", same)->text == streamed);
  double nll = 0;
  uint64_t predictions = 0;
  REQUIRE(elrt_score(session, "ab cab", 6, &nll, &predictions) == ELRT_OK);
  CHECK(predictions > 0);
  CHECK(nll > 0);
  CHECK(elrt_generate(session, "", 0, nullptr, nullptr, nullptr, nullptr) == ELRT_INVALID_ARGUMENT);
  CHECK(elrt_engine_open("/nonexistent", &engine) == ELRT_BAD_DATA);
  CHECK(elrt_engine_open(nullptr, nullptr) == ELRT_INVALID_ARGUMENT);
  elrt_session_destroy(session);
  elrt_session_destroy(nullptr);
  elrt_engine_close(nullptr);
}
