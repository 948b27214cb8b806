// Clients that leave free their place, others go on; a full queue says so; a server that is asked to end lets requests
// end.
#include <catch2/catch.hpp>
#include <future>

#include "serving.h"

namespace {

using namespace elastify_test;
using nlohmann::json;

const std::string kText = "/v1/completions";

// Long enough that no test waits for its end: a minute on any machine.
constexpr std::uint32_t kContext = 200000;

json endless(const std::string& prompt = "ab") {
  return {{"prompt", prompt}, {"temperature", 0}, {"ignore_eos", true}, {"stream", true}};
}

// A client in a thread of its own that asks for a stream and leaves when it is told to.
class Guest {
 public:
  Guest(const Serving& serving, const json& body)
      : done_(std::async(std::launch::async, [this, &serving, body] {
          auto client = serving.client();
          httplib::Request request;
          request.method = "POST";
          request.path = kText;
          request.body = body.dump();
          request.set_header("Content-Type", "application/json");
          request.content_receiver = [this](const char* bytes, std::size_t count, std::uint64_t, std::uint64_t) {
            text_.append(bytes, count);
            received_ = true;
            return !leave_;
          };
          client.send(request);
        })) {}
  ~Guest() { leave(); }
  bool hears() {
    return soon([this] { return received_.load(); });
  }
  void leave() { leave_ = true; }
  std::string all() { return done_.get(), text_; }

 private:
  std::string text_;
  std::atomic<bool> received_{false}, leave_{false};
  std::future<void> done_;
};

// Sends a request and closes the connection while nothing has been answered.
void ask_and_leave(const Serving& serving, const std::string& body, std::chrono::milliseconds after) {
  auto client = serving.client();
  client.set_read_timeout(after);
  CHECK_FALSE(client.Post(kText, body, "application/json"));
}

}  // namespace

TEST_CASE("a client that leaves a stream frees the engine, for the next at once", "[serve]") {
  const Serving serving(chat_artifact(chat_tokenizer(), kContext));
  Guest guest(serving, endless());
  REQUIRE(guest.hears());
  CHECK(serving.engine().busy());
  guest.leave();
  CHECK(soon([&] { return !serving.engine().busy(); }));
  CHECK(serving.answer(kText, {{"prompt", "ab"}, {"max_tokens", 2}})["status"] == 200);
}

TEST_CASE("a client that leaves before its whole answer is there frees the engine", "[serve]") {
  const Serving serving(chat_artifact(chat_tokenizer(), kContext));
  json body = endless();
  body["stream"] = false;
  ask_and_leave(serving, body.dump(), std::chrono::milliseconds(100));
  CHECK(soon([&] { return !serving.engine().busy(); }));
}

TEST_CASE("a client that leaves while its prompt is read frees the engine", "[serve]") {
  const Serving serving(chat_artifact(chat_tokenizer(), kContext));
  std::string prompt;  // many times what a model as tiny as this one reads within the time that is waited
  for (int i = 0; i < 90000; ++i) prompt += "cc";
  auto asked = std::async(std::launch::async,
                          [&] { ask_and_leave(serving, endless(prompt).dump(), std::chrono::milliseconds(500)); });
  CHECK(soon([&] { return serving.engine().busy(); }));
  asked.get();
  CHECK(soon([&] { return !serving.engine().busy(); }));
  CHECK(serving.answer(kText, {{"prompt", "ab"}, {"max_tokens", 2}})["status"] == 200);
}

TEST_CASE("a client that leaves the queue never starts, and disturbs nobody", "[serve]") {
  const Serving serving(chat_artifact(chat_tokenizer(), kContext));
  json body = endless();
  body["max_tokens"] = 3000;
  const json alone =
      serving.answer(kText, {{"prompt", "ab"}, {"temperature", 0}, {"ignore_eos", true}, {"max_tokens", 3000}});
  Guest blocker(serving, endless("cab"));
  REQUIRE(blocker.hears());
  Guest stays(serving, body);
  CHECK(soon([&] { return serving.engine().waiting() == 1; }));
  ask_and_leave(serving, R"({"prompt": "ab", "stream": true})", std::chrono::milliseconds(100));
  CHECK(soon([&] { return serving.engine().waiting() == 1; }));
  blocker.leave();
  std::string stream = stays.all();
  CHECK(joined(events_of(stream)) == alone["choices"][0]["text"].get<std::string>());
}

TEST_CASE("health answers while the engine works, and a full queue says so", "[serve]") {
  const Serving serving(chat_artifact(chat_tokenizer(), kContext), [](auto& options) { options.engine.queue = 1; });
  Guest works(serving, endless());
  REQUIRE(works.hears());
  Guest waits(serving, endless("cab"));
  REQUIRE(soon([&] { return serving.engine().waiting() == 1; }));
  const auto health = json::parse(serving.client().Get("/health")->body);
  CHECK(health["busy"] == true);
  CHECK(health["waiting"] == 1);
  const auto refused = serving.post(kText, endless().dump());
  CHECK(refused->status == 503);
  CHECK(refused->has_header("Retry-After"));
  CHECK(json::parse(refused->body)["error"]["code"] == "queue_full");
  works.leave();
  CHECK(waits.hears());
}

TEST_CASE("more connections than allowed are refused at once", "[serve]") {
  const Serving serving(chat_artifact(chat_tokenizer(), kContext), [](auto& options) { options.connections = 1; });
  Guest works(serving, endless());
  REQUIRE(works.hears());
  const auto refused = serving.client().Get("/health");
  REQUIRE(refused);
  CHECK(refused->status == 503);
  works.leave();
  CHECK(soon([&] {
    const auto health = serving.client().Get("/health");
    return health && health->status == 200;
  }));
}

TEST_CASE("a server that is to end lets what runs end, and gives up what takes too long", "[serve]") {
  SECTION("it waits") {
    Serving serving(chat_artifact(chat_tokenizer(), kContext));
    json body = endless();
    body["max_tokens"] = 3000;
    Guest guest(serving, body);
    REQUIRE(guest.hears());
    CHECK(serving.stop());
    CHECK(events_of(guest.all()).back()["choices"][0]["finish_reason"] == "length");
  }
  SECTION("but not for ever") {
    Serving serving(chat_artifact(chat_tokenizer(), kContext),
                    [](auto& options) { options.drain = std::chrono::seconds(0); });
    Guest guest(serving, endless());
    REQUIRE(guest.hears());
    CHECK(serving.stop());
    CHECK(guest.all().find("shutting down") != std::string::npos);
  }
}
