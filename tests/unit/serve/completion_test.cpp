// Answers are those of elrt::generate, whole and streamed, for one client and for many.
#include <catch2/catch.hpp>
#include <future>

#include "serving.h"

namespace {

using namespace elastify_test;
using nlohmann::json;

const std::string kText = "/v1/completions", kChat = "/v1/chat/completions";

// What the runtime itself makes of the prompt.
elrt::Generation expected(const Serving& serving, const std::string& prompt, elrt::GenerateOptions options,
                          std::uint32_t level = 100) {
  auto session = elrt::Session::create(serving.artifact, {.level = level, .threads = 1}).value();
  return elrt::generate(session, *serving.artifact.tokenizer().value(), prompt, options).value();
}

elrt::GenerateOptions up_to(std::uint32_t tokens) {
  elrt::GenerateOptions options;
  options.max_tokens = tokens;
  return options;
}

json greedy(const std::string& prompt, int tokens) {
  return {{"prompt", prompt}, {"max_tokens", tokens}, {"temperature", 0}};
}

std::vector<json> streamed(const Serving& serving, const std::string& path, json body) {
  body["stream"] = true;
  return events_of(serving.post(path, body.dump())->body);
}

}  // namespace

TEST_CASE("a greedy completion is what generate writes, at the level that the model names", "[serve]") {
  const Serving serving;
  for (const std::uint32_t level : {20u, 50u, 100u}) {
    const auto alone = expected(serving, "ab cab", up_to(40), level);
    json body = greedy("ab cab", 40);
    body["model"] = "tiny:" + std::to_string(level);
    const json answer = serving.answer(kText, body);
    INFO(answer.dump(1));
    REQUIRE(answer["status"] == 200);
    CHECK(answer["object"] == "text_completion");
    CHECK(answer["model"] == body["model"]);
    CHECK(answer["choices"][0]["text"] == alone.text);
    CHECK(answer["choices"][0]["finish_reason"] == (alone.tokens.size() == 40 ? "length" : "stop"));
    CHECK(answer["usage"]["prompt_tokens"] == alone.prompt_tokens);
    CHECK(answer["usage"]["completion_tokens"] == alone.tokens.size());
    CHECK(answer["usage"]["total_tokens"] == alone.prompt_tokens + alone.tokens.size());
    CHECK(answer["elastic"]["level"] == level);
    CHECK(answer["elastic"]["ttft_ms"].get<double>() > 0);
  }
  const json plain = serving.answer(kText, greedy("ab cab", 40));
  CHECK(plain["model"] == "tiny");
  CHECK(plain["choices"][0]["text"] == expected(serving, "ab cab", up_to(40)).text);
}

TEST_CASE("a chat is put into the model's own template", "[serve]") {
  const Serving serving;
  const auto chat = elrt::ChatTemplate::create(serving.artifact.tokenizer().value()).value();
  const std::vector<elrt::ChatMessage> said = {{"system", "ab"}, {"user", "cab <|im_end|>"}};
  const auto tokens = chat.tokens(said).value();
  auto options = up_to(30);
  options.end_ids = chat.turn_ends();
  auto session = elrt::Session::create(serving.artifact, {.threads = 1}).value();
  const auto alone = elrt::generate(session, *serving.artifact.tokenizer().value(), tokens, options).value();
  const json body = {
      {"messages",
       {{{"role", "system"}, {"content", "ab"}},
        {{"role", "user"},
         {"content", {{{"type", "text"}, {"text", "cab "}}, {{"type", "text"}, {"text", "<|im_end|>"}}}}}}},
      {"max_completion_tokens", 30},
      {"temperature", 0}};
  const json answer = serving.answer(kChat, body);
  INFO(answer.dump(1));
  REQUIRE(answer["status"] == 200);
  CHECK(answer["object"] == "chat.completion");
  CHECK(answer["choices"][0]["message"] == json({{"role", "assistant"}, {"content", alone.text}}));
  CHECK(answer["usage"]["prompt_tokens"] == tokens.size());
  const auto events = streamed(serving, kChat, body);
  CHECK(events.front()["choices"][0]["delta"]["role"] == "assistant");
  CHECK(joined(events) == alone.text);
  CHECK(events.back()["choices"][0]["finish_reason"] == answer["choices"][0]["finish_reason"]);
  CHECK(events.back()["elastic"]["level"] == 100);
}

TEST_CASE("a chat's answer ends at the marker that the template writes after one, which is not shown", "[serve]") {
  const Serving serving;
  const auto& tokenizer = *serving.artifact.tokenizer().value();
  const auto chat = elrt::ChatTemplate::create(serving.artifact.tokenizer().value()).value();
  const auto tokens = chat.tokens(std::vector<elrt::ChatMessage>{{"user", "ab"}}).value();
  auto session = elrt::Session::create(serving.artifact, {.threads = 1}).value();
  auto options = up_to(3);
  options.sampler.temperature = 1.5F;
  REQUIRE(chat.turn_ends().size() == 1);
  std::size_t ended = 0;
  for (; ended < 2 && options.sampler.seed < 2000; ++options.sampler.seed) {  // until the model says it
    const auto made = elrt::generate(session, tokenizer, tokens, options).value();
    const auto marker = std::find(made.tokens.begin(), made.tokens.end(), chat.turn_ends()[0]);
    if (marker == made.tokens.end()) continue;
    ++ended;
    const json answer = serving.answer(kChat, {{"messages", {{{"role", "user"}, {"content", "ab"}}}},
                                               {"max_tokens", 3},
                                               {"temperature", 1.5},
                                               {"seed", options.sampler.seed}});
    CHECK(answer["choices"][0]["finish_reason"] == "stop");
    CHECK(answer["usage"]["completion_tokens"] == marker - made.tokens.begin());
  }
  CHECK(ended == 2);
}

// The tiny model writes bytes at random: most of its letters are cut, or made of several tokens.
TEST_CASE("joined pieces of a stream are the whole answer, letters of several tokens too", "[serve]") {
  const Serving serving;
  for (int seed = 0; seed < 12; ++seed) {
    json body = {
        {"prompt", "ab c"}, {"max_tokens", 1 + seed % 5 + (seed > 8 ? 60 : 0)}, {"seed", seed}, {"temperature", 1.5}};
    const json whole = serving.answer(kText, body);
    REQUIRE(whole["status"] == 200);
    const auto events = streamed(serving, kText, body);
    INFO(whole.dump(1));
    CHECK(joined(events) == whole["choices"][0]["text"].get<std::string>());
    CHECK(events.back()["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]);
  }
}

TEST_CASE("usage comes in an event of its own, the last, only where it is asked for", "[serve]") {
  const Serving serving;
  json body = greedy("ab", 5);
  const json whole = serving.answer(kText, body);
  for (const bool asked : {true, false}) {
    body["stream_options"] = {{"include_usage", asked}};
    const auto events = streamed(serving, kText, body);
    std::size_t with_usage = 0;
    for (const json& event : events) with_usage += event.contains("usage") ? 1 : 0;
    CHECK(with_usage == (asked ? 1 : 0));
    if (!asked) continue;
    CHECK(events.back()["choices"].empty());
    CHECK(events.back()["usage"] == whole["usage"]);
  }
}

TEST_CASE("nothing of a stop string over several tokens is sent", "[serve]") {
  const Serving serving;
  const std::string text = expected(serving, "ab cab", up_to(60)).text;
  // Two characters that no token writes alone, and not the first ones.
  const auto& tokenizer = *serving.artifact.tokenizer().value();
  std::string stop;
  for (std::size_t at = 6; stop.empty() && at + 6 < text.size(); ++at) {
    const std::string two = text.substr(at, 2);
    bool one_token = (two[0] & 0x80) != 0 || (two[1] & 0x80) != 0 || text.find(two) < 3;
    for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
      one_token = one_token || tokenizer.token_bytes(id).find(two) != std::string_view::npos;
    if (!one_token) stop = two;
  }
  INFO(text);
  REQUIRE_FALSE(stop.empty());
  const std::string before = text.substr(0, text.find(stop));
  for (const json& stops : {json(stop), json({"never here", stop})}) {
    json body = greedy("ab cab", 60);
    body["stop"] = stops;
    const json whole = serving.answer(kText, body);
    CHECK(whole["choices"][0]["text"] == before);
    CHECK(whole["choices"][0]["finish_reason"] == "stop");
    CHECK(joined(streamed(serving, kText, body)) == before);
  }
  // A beginning that comes to nothing is sent late, but whole.
  json body = greedy("ab cab", 60);
  body["stop"] = stop + "\x01 never";
  CHECK(joined(streamed(serving, kText, body)) == text);
}

TEST_CASE("without max_tokens an answer goes on to the end of the context", "[serve]") {
  const Serving serving(chat_artifact(chat_tokenizer(), 64));
  const std::string prompt(58, 'a');  // and a token that begins the text
  for (const json& tokens : {json(), json(1000)}) {
    json body = {{"prompt", prompt}, {"temperature", 0}, {"ignore_eos", true}, {"max_tokens", tokens}};
    const json answer = serving.answer(kText, body);
    INFO(answer.dump(1));
    CHECK(answer["choices"][0]["finish_reason"] == "length");
    CHECK(answer["usage"]["total_tokens"] == 65);  // the last one is never read
  }
  const json refused = serving.answer(kText, greedy(std::string(64, 'a'), 1));
  CHECK(refused["status"] == 400);
  CHECK(refused["error"]["code"] == "context_length_exceeded");
}

TEST_CASE("eight clients at once each get the answer of a lone one", "[serve]") {
  const Serving serving;
  std::vector<json> bodies;
  std::vector<std::string> alone;
  for (int i = 0; i < 8; ++i) {
    bodies.push_back({{"prompt", std::string(static_cast<std::size_t>(i) + 1, 'a') + " cab"},
                      {"max_tokens", 20 + i},
                      {"temperature", i % 2},
                      {"seed", i},
                      {"model", i % 3 == 0 ? "tiny:20" : "tiny"}});
    alone.push_back(serving.answer(kText, bodies.back())["choices"][0]["text"]);
  }
  std::vector<std::future<std::string>> together;
  for (int i = 0; i < 8; ++i) {
    together.push_back(std::async(std::launch::async, [&, i] {
      const json& body = bodies[static_cast<std::size_t>(i)];
      if (i % 2 == 0) return joined(streamed(serving, kText, body));
      return serving.answer(kText, body)["choices"][0]["text"].get<std::string>();
    }));
  }
  for (std::size_t i = 0; i < 8; ++i) CHECK(together[i].get() == alone[i]);
}

TEST_CASE("models, tokens and health are told, and the log holds no prompt", "[serve]") {
  Serving serving;
  const auto models = json::parse(serving.client().Get("/v1/models")->body);
  std::vector<std::string> names;
  for (const json& model : models["data"]) names.push_back(model["id"]);
  CHECK(names == std::vector<std::string>{"tiny", "tiny:20", "tiny:50", "tiny:100"});
  const json tokens = serving.answer("/v1/tokenize", {{"prompt", "ab c"}});
  CHECK(tokens["tokens"] == elrt::prompt_tokens(*serving.artifact.tokenizer().value(), "ab c").value());
  CHECK(json::parse(serving.client().Get("/health")->body)["status"] == "ok");
  CHECK(serving.answer(kText, greedy("cabcab", 3))["status"] == 200);
  CHECK(serving.stop());
  std::istringstream log(serving.log());
  std::vector<json> lines;
  for (std::string line; std::getline(log, line);) lines.push_back(json::parse(line));
  REQUIRE(lines.size() == 4);
  // Each is written after its answer, by a thread of its own: their order is not that of the calls.
  const auto line = std::find_if(lines.begin(), lines.end(), [](const json& one) { return one["path"] == kText; });
  REQUIRE(line != lines.end());
  CHECK((*line)["status"] == 200);
  CHECK((*line)["completion_tokens"] == 3);
  CHECK(serving.log().find("cabcab") == std::string::npos);
}
