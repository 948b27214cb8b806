// A conversation keeps what it has read, and answers as if it had read all afresh.
#include <algorithm>
#include <catch2/catch.hpp>

#include "elrt/elrt.h"
#include "unit/chat/chat_model.h"

namespace {

using namespace elastify_test;
using Catch::Matchers::Contains;
using elrt::Artifact;
using elrt::ChatMessage;
using elrt::Conversation;
using elrt::FinishReason;
using elrt::GenerateOptions;
using elrt::Status;
using elrt::TokenId;

Artifact open(const elrt::TokenizerSpec& spec = chat_tokenizer(), std::uint32_t context = 2048) {
  const TemporaryFile file(chat_artifact(spec, context).build());
  auto artifact = Artifact::open(file.path());
  if (!artifact) FAIL(artifact.failure().message);
  return std::move(artifact).value();
}

Conversation begin(const Artifact& artifact, std::uint32_t level = 100) {
  auto made = Conversation::create(artifact, {.level = level, .threads = 1});
  if (!made) FAIL(made.failure().message);
  return std::move(made).value();
}

GenerateOptions sampled(std::uint64_t seed, std::uint32_t tokens = 6) {
  GenerateOptions options;
  options.max_tokens = tokens;
  options.sampler = {1.0f, 0, 1, 0, seed};
  return options;
}

// The next answer of a conversation that starts with `said`.
elrt::ChatAnswer afresh(const Artifact& artifact, const std::vector<ChatMessage>& said, const GenerateOptions& options,
                        std::uint32_t level = 100) {
  Conversation chat = begin(artifact, level);
  for (const ChatMessage& message : said) chat.add(message);
  auto answer = chat.answer(options);
  if (!answer) FAIL(answer.failure().message);
  CHECK(answer->cached_tokens == 0);
  CHECK(answer->generation.prompt_tokens == answer->prompt_tokens);
  return std::move(answer).value();
}

std::size_t shared(std::span<const TokenId> a, std::span<const TokenId> b) {
  std::size_t count = 0;
  while (count < a.size() && count < b.size() && a[count] == b[count]) ++count;
  return count;
}

}  // namespace

TEST_CASE("each turn reads what is new, and answers as if all were read afresh", "[chat][unit]") {
  const Artifact artifact = open();
  const auto tokenizer = artifact.tokenizer().value();
  const auto chat_template = elrt::ChatTemplate::create(tokenizer).value();
  Conversation chat = begin(artifact);
  chat.add({"system", "ab cab"});
  std::size_t as_written = 0;
  for (std::uint64_t turn = 0; turn < 12; ++turn) {
    const std::vector<TokenId> held(chat.session().tokens().begin(), chat.session().tokens().end());
    std::vector<ChatMessage> said = chat.messages();
    said.push_back({"user", "ab" + std::to_string(turn)});
    const auto tokens = chat_template.tokens(said).value();
    const std::size_t same = shared(held, tokens);
    const auto answer = chat.ask(said.back().content, sampled(turn, 1 + turn % 3));
    REQUIRE(answer);
    CHECK(answer->prompt_tokens == tokens.size());
    CHECK(answer->cached_tokens == same);
    CHECK(answer->generation.prompt_tokens == tokens.size() - same);
    CHECK(answer->generation.tokens == afresh(artifact, said, sampled(turn, 1 + turn % 3)).generation.tokens);
    if (turn > 0 && same == held.size()) ++as_written;  // the answer's own tokens were kept too
  }
  CHECK(as_written >= 1);
  CHECK(chat.messages().size() == 25);
}

TEST_CASE("a change of level reads the conversation again, reuse does not", "[chat][unit]") {
  const Artifact artifact = open();
  Conversation chat = begin(artifact);
  REQUIRE(chat.ask("ab", sampled(1)));
  REQUIRE(chat.set_level(50));
  CHECK(chat.pending()->unread == chat.pending()->tokens);
  std::vector<ChatMessage> said = chat.messages();
  said.push_back({"user", "cab"});
  const auto answer = chat.ask("cab", sampled(2));
  REQUIRE(answer);
  CHECK(answer->cached_tokens == 0);
  CHECK(answer->generation.tokens == afresh(artifact, said, sampled(2), 50).generation.tokens);
  REQUIRE(chat.set_level(20, elrt::CachePolicy::kReuse));
  CHECK(chat.ask("c", sampled(3))->cached_tokens > 0);
  CHECK_FALSE(chat.set_level(33));
  CHECK(chat.session().level() == 20);
}

TEST_CASE("an answer that was written at a smaller level is read again for the next one", "[chat][unit]") {
  const Artifact artifact = open();
  Conversation chat = begin(artifact);
  GenerateOptions two_levels = sampled(1);
  two_levels.decode_level = 50;
  REQUIRE(chat.ask("ab", two_levels));
  CHECK(chat.session().level() == 100);
  CHECK(chat.pending()->unread == chat.pending()->tokens);
  std::vector<ChatMessage> said = chat.messages();
  said.push_back({"user", "cab"});
  const auto answer = chat.ask("cab", sampled(2));
  REQUIRE(answer);
  CHECK(answer->cached_tokens == 0);
  CHECK(answer->generation.tokens == afresh(artifact, said, sampled(2)).generation.tokens);
  CHECK(chat.ask("c", sampled(3))->cached_tokens > 0);
}

TEST_CASE("an answer that was ended stays as far as it came; one that never began leaves nothing", "[chat][unit]") {
  const Artifact artifact = open();
  Conversation chat = begin(artifact);
  const auto stopped = chat.ask("ab", sampled(1, 50), [](std::string_view) { return false; });
  REQUIRE(stopped);
  CHECK(stopped->generation.finish == FinishReason::kCancelled);
  REQUIRE(chat.messages().size() == 2);
  CHECK(chat.messages()[1].content == stopped->generation.text);
  GenerateOptions none = sampled(2);
  none.on_prompt = [](std::size_t, std::size_t) { return false; };
  CHECK(chat.ask("c", none)->generation.finish == FinishReason::kCancelled);
  CHECK(chat.messages().size() == 2);
  std::vector<ChatMessage> said = chat.messages();
  said.push_back({"user", "cab"});
  CHECK(chat.ask("cab", sampled(3))->generation.tokens == afresh(artifact, said, sampled(3)).generation.tokens);
}

TEST_CASE("an answer ends at every end: the tokenizer's, its further ones, and the turn's", "[chat][unit]") {
  const Artifact plain = open();
  GenerateOptions greedy;
  greedy.max_tokens = 4;
  const TokenId first = afresh(plain, {{"user", "ab"}}, greedy).generation.tokens.at(0);
  elrt::TokenizerSpec spec = chat_tokenizer();
  const auto check = [&](const elrt::TokenizerSpec& changed, GenerateOptions options) {
    const auto answer = afresh(open(changed), {{"user", "ab"}}, options);
    CHECK(answer.generation.finish == FinishReason::kEndOfText);
    CHECK(answer.generation.text.empty());
    CHECK(answer.generation.tokens.empty());
  };
  spec.eos_id = first;
  check(spec, greedy);
  spec.eos_id = 2, spec.stop_ids = {7, first};  // of a list in generation_config.json, or eot and eom
  check(spec, greedy);
  spec.stop_ids.clear();
  greedy.end_ids = {first};
  check(spec, greedy);
}

TEST_CASE("a model without template, and a conversation beyond the context, say what to do", "[chat][unit]") {
  elrt::TokenizerSpec without = chat_tokenizer("");
  const Artifact artifact = open(without);
  const auto refused = Conversation::create(artifact);
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().status == Status::kBadData);
  CHECK_THAT(refused.failure().message, Contains(artifact.path().string()) && Contains("no chat template"));
  const Artifact small = open(chat_tokenizer(), 80);
  Conversation chat = begin(small);
  chat.add({"system", "a"});
  const auto long_one = chat.ask(std::string(200, '.'), sampled(1));
  REQUIRE_FALSE(long_one);
  CHECK(long_one.failure().status == Status::kInvalidArgument);
  CHECK_THAT(long_one.failure().message, Contains("context holds 80"));
  CHECK(chat.messages().size() == 1);
  CHECK(chat.ask("ab", sampled(1)));
  chat.clear();
  CHECK(chat.messages().size() == 1);
  chat.clear(false);
  CHECK(chat.messages().empty());
}

TEST_CASE("the C API holds the same conversation", "[chat][unit]") {
  const TemporaryFile file(chat_artifact().build());
  elrt_engine* engine = nullptr;
  elrt_chat* chat = nullptr;
  REQUIRE(elrt_engine_open(file.path().c_str(), &engine) == ELRT_OK);
  elrt_session_options session;
  ELRT_INIT(&session);
  session.threads = 1;
  REQUIRE(elrt_chat_create(engine, &session, nullptr, &chat) == ELRT_OK);
  REQUIRE(elrt_chat_add(chat, "system", "ab", 2) == ELRT_OK);
  elrt_generate_options options;
  elrt_generate_result made;
  elrt_chat_result result;
  ELRT_INIT(&options), ELRT_INIT(&made), ELRT_INIT(&result);
  options.max_tokens = 4, result.generation = &made;
  const Artifact artifact = open();
  GenerateOptions same;
  same.max_tokens = 4;
  Conversation twin = begin(artifact);
  twin.add({"system", "ab"});
  for (const std::string text : {"cab", "c"}) {
    std::string streamed;
    const auto on_text = [](const char* piece, std::size_t bytes, void* out) {
      static_cast<std::string*>(out)->append(piece, bytes);
      return 1;
    };
    REQUIRE(elrt_chat_answer(chat, text.data(), text.size(), &options, on_text, &streamed, &result) == ELRT_OK);
    const auto expected = twin.ask(text, same);
    REQUIRE(expected);
    CHECK(streamed == expected->generation.text);
    CHECK(result.prompt_tokens == expected->prompt_tokens);
    CHECK(result.cached_tokens == expected->cached_tokens);
    CHECK(made.prompt_tokens == expected->generation.prompt_tokens);
  }
  CHECK(result.cached_tokens > 0);
  CHECK(elrt_chat_set_level(chat, 50, ELRT_CACHE_RECOMPUTE) == ELRT_OK);
  CHECK(elrt_chat_set_level(chat, 33, ELRT_CACHE_RECOMPUTE) == ELRT_INVALID_ARGUMENT);
  elrt_chat_clear(chat, 0);
  CHECK(elrt_chat_answer(chat, "a", 1, &options, nullptr, nullptr, nullptr) == ELRT_OK);
  CHECK(elrt_chat_answer(nullptr, "a", 1, nullptr, nullptr, nullptr, nullptr) == ELRT_INVALID_ARGUMENT);
  elrt_chat_destroy(chat);
  elrt_engine_close(engine);
}
