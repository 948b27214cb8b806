// What is wrong gets the right status and OpenAI's error object, and the server goes on.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "serving.h"

namespace {

using namespace elastify_test;
using nlohmann::json;

const std::string kText = "/v1/completions", kChat = "/v1/chat/completions";

void check_error(const httplib::Result& got, int status, const json& param) {
  REQUIRE(got);
  INFO(got->body);
  CHECK(got->status == status);
  const json body = json::parse(got->body, nullptr, false);
  REQUIRE(body.is_object());
  const json& error = body["error"];
  for (const char* field : {"message", "type", "param", "code"}) CHECK(error.contains(field));
  CHECK(error["param"] == param);
  CHECK_FALSE(error["message"].get<std::string>().empty());
  CHECK(error["message"].get<std::string>().find('\n') == std::string::npos);
}

void check_alive(const Serving& serving) {
  const json good = {{"prompt", "ab"}, {"max_tokens", 2}, {"temperature", 0}};
  CHECK(serving.answer(kText, good)["status"] == 200);
}

// Bytes as they are, and what comes back until the server closes.
std::string raw(const Serving& serving, const std::string& bytes) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(serving.port()));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = ::recv(socket, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<std::size_t>(n));
  ::close(socket);
  return answer;
}

}  // namespace

TEST_CASE("bodies that are no request are refused", "[serve]") {
  const Serving serving;
  const std::vector<std::pair<std::string, json>> bodies = {{"", nullptr},
                                                            {"{not json", nullptr},
                                                            {"\xff\xfe", nullptr},
                                                            {"{\"prompt\": \"\xff\"}", nullptr},
                                                            {"[]", nullptr},
                                                            {"3", nullptr},
                                                            {std::string(100000, '['), nullptr},
                                                            {R"({"prompt": "a", "prompt": "b"})", nullptr},
                                                            {R"({"prompt": "a", "max_tokens": 1e999})", nullptr},
                                                            {R"({"messages": 3})", "messages"},
                                                            {"{}", "messages"}};
  for (const auto& [body, param] : bodies) {
    check_error(serving.post(kChat, body), 400, param);
    check_alive(serving);
  }
}

TEST_CASE("wrong values are refused by the field's name", "[serve]") {
  const Serving serving;
  const std::vector<std::pair<json, const char*>> cases = {
      {{{"max_tokens", 0}}, "max_tokens"},
      {{{"max_tokens", -1}}, "max_tokens"},
      {{{"max_tokens", 1.5}}, "max_tokens"},
      {{{"max_tokens", "8"}}, "max_tokens"},
      {{{"max_tokens", 1e30}}, "max_tokens"},
      {{{"max_completion_tokens", 0}}, "max_completion_tokens"},
      {{{"max_completion_tokens", -1}}, "max_completion_tokens"},
      {{{"max_completion_tokens", 1.5}}, "max_completion_tokens"},
      {{{"max_completion_tokens", "8"}}, "max_completion_tokens"},
      {{{"max_completion_tokens", 1e30}}, "max_completion_tokens"},
      {{{"max_tokens", 1}, {"max_completion_tokens", 2}}, "max_completion_tokens"},
      {{{"temperature", -1}}, "temperature"},
      {{{"temperature", "hot"}}, "temperature"},
      {{{"top_p", 0}}, "top_p"},
      {{{"top_p", 1.1}}, "top_p"},
      {{{"min_p", 2}}, "min_p"},
      {{{"top_k", -1}}, "top_k"},
      {{{"seed", 1.5}}, "seed"},
      {{{"stop", 3}}, "stop"},
      {{{"stop", ""}}, "stop"},
      {{{"stop", {"a", 3}}}, "stop"},
      {{{"stream", "yes"}}, "stream"},
      {{{"stream_options", 1}}, "stream_options"},
      {{{"n", 2}}, "n"},
      {{{"model", 3}}, "model"},
      {{{"presence_penalty", 0.5}}, "presence_penalty"},
      {{{"frequency_penalty", 0.5}}, "frequency_penalty"},
      {{{"logprobs", true}}, "logprobs"},
      {{{"logit_bias", {{"5", 1}}}}, "logit_bias"},
      {{{"slo", 3}}, "slo"},
      {{{"slo", {{"ttft_ms", 5}}}}, "slo"},
      {{{"slo", {{"ttft_ms", 0}, {"tpot_ms", 5}}}}, "slo"},
      {{{"slo", {{"ttft", 0.5}, {"tpot_ms", 5}}}}, "slo"},
      {{{"slo", {{"ttft", 2}, {"tpot", 1}}}}, "ttft"},
      {{{"slo", {{"ttft_ms", 5}, {"tpot_ms", 5}}}}, "slo"}};  // the last: nothing was calibrated
  for (const auto& [fields, param] : cases) {
    json text = {{"prompt", "ab"}, {"max_tokens", 2}}, chat = {{"messages", {{{"role", "user"}, {"content", "ab"}}}}};
    if (fields.contains("max_completion_tokens") && !fields.contains("max_tokens")) text.erase("max_tokens");
    text.update(fields), chat.update(fields);
    INFO(fields.dump());
    check_error(serving.post(kText, text.dump()), 400, param);
    check_error(serving.post(kChat, chat.dump()), 400, param);
  }
  const json user = {{"role", "user"}, {"content", "ab"}};
  const std::vector<std::pair<json, const char*>> chats = {
      {{{"response_format", {{"type", "json_object"}}}, {"messages", {user}}}, "response_format"},
      {{{"tools", {{{"type", "function"}}}}, {"messages", {user}}}, "tools"},
      {{{"messages", json::array()}}, "messages"},
      {{{"messages", {3}}}, "messages"},
      {{{"messages", {{{"content", "ab"}}}}}, "messages"},
      {{{"messages", {{{"role", "user"}, {"content", {{{"type", "image_url"}}}}}}}}, "messages"}};
  for (const auto& [body, param] : chats) check_error(serving.post(kChat, body.dump()), 400, param);
  for (const json& prompt : {json(), json(""), json(3), json({"a", "b"})})
    check_error(serving.post(kText, json{{"prompt", prompt}}.dump()), 400, "prompt");
  check_alive(serving);
}

TEST_CASE("values that change nothing are accepted, and what is unknown is ignored", "[serve]") {
  const Serving serving;
  const json body = {{"prompt", "ab"},           {"max_tokens", 2.0},     {"max_completion_tokens", 2},
                     {"temperature", 0},         {"presence_penalty", 0}, {"n", 1},
                     {"frequency_penalty", 0.0}, {"logprobs", nullptr},   {"logit_bias", nullptr},
                     {"stop", nullptr},          {"user", "someone"},     {"best_of", 1},
                     {"stream", nullptr},        {"slo", nullptr},        {"no_such_field", {1, 2}}};
  CHECK(serving.answer(kText, body)["status"] == 200);
  const json chat = {{"messages", {{{"role", "user"}, {"content", "ab"}}}},
                     {"max_tokens", 2},
                     {"tools", json::array()},
                     {"response_format", {{"type", "text"}}},
                     {"logprobs", false}};
  CHECK(serving.answer(kChat, chat)["status"] == 200);
}

TEST_CASE("a template's own refusal is the client's error", "[serve]") {
  const Serving serving(chat_artifact(chat_tokenizer(
      "{% if messages[0].role == 'system' %}{{ raise_exception('No system messages here') }}{% endif %}{{ "
      "messages[0].content }}")));
  const json bad = {{"messages", {{{"role", "system"}, {"content", "a"}}}}, {"max_tokens", 2}};
  const auto got = serving.post(kChat, bad.dump());
  check_error(got, 400, "messages");
  CHECK(got->body.find("No system messages here") != std::string::npos);
  const json good = {{"messages", {{{"role", "user"}, {"content", "a"}}}}, {"max_tokens", 2}};
  CHECK(serving.answer(kChat, good)["status"] == 200);
  const Serving plain(tiny_artifact_with_tokenizer());
  check_error(plain.post(kChat, good.dump()), 400, "messages");
}

TEST_CASE("unknown models, paths and methods", "[serve]") {
  const Serving serving;
  for (const char* model : {"gpt-4", "tiny:30", "tiny:", "tiny:050", ""}) {
    const bool none = *model == '\0';
    const auto got = serving.post(kText, json{{"prompt", "a"}, {"max_tokens", 1}, {"model", model}}.dump());
    if (none) {
      CHECK(got->status == 200);
    } else {
      check_error(got, 404, "model");
    }
  }
  check_error(serving.client().Get("/"), 404, nullptr);
  check_error(serving.client().Get("/v1/../etc/passwd"), 404, nullptr);
  check_error(serving.post("/v1/nothing", "{}"), 404, nullptr);
  check_error(serving.client().Get(kText), 405, nullptr);
  check_error(serving.client().Delete(kChat), 405, nullptr);
  check_error(serving.post("/v1/models", "{}"), 405, nullptr);
  check_alive(serving);
}

TEST_CASE("a body that is too large is refused, whatever it says of its size", "[serve]") {
  const Serving serving(chat_artifact(), [](auto& options) { options.body_bytes = 10000; });
  const std::string large = json{{"prompt", std::string(20000, 'a')}}.dump();
  check_error(serving.post(kText, large), 413, nullptr);
  // In chunks, without a length.
  auto client = serving.client();
  const auto chunked = client.Post(
      kText,
      [&](std::size_t offset, httplib::DataSink& sink) {
        if (offset < large.size())
          sink.write(large.data() + offset, std::min<std::size_t>(large.size() - offset, 1000));
        else
          sink.done();
        return true;
      },
      "application/json");
  check_error(chunked, 413, nullptr);
  auto packed = serving.client();  // a few bytes that become many
  packed.set_compress(true);
  check_error(packed.Post(kText, large, "application/json"), 413, nullptr);
  const std::string small = json{{"prompt", std::string(2000, 'a')}, {"max_tokens", 1}}.dump();
  CHECK(packed.Post(kText, small, "application/json")->status == 200);
  const std::string head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n";
  CHECK(raw(serving, head + "Content-Length: 99999999999999999999\r\n\r\n").find(" 413 ") != std::string::npos);
  CHECK(raw(serving, head + "Connection: close\r\n\r\n").find(" 400 ") != std::string::npos);  // no body at all
  CHECK(raw(serving, "nonsense\r\n\r\n").find(" 400 ") != std::string::npos);
  CHECK(raw(serving, "GET /health HTTP/1.1\r\nA: " + std::string(100000, 'a')).find(" 200 ") == std::string::npos);
  check_alive(serving);
}

TEST_CASE("without keys, requests by another name than localhost are refused", "[serve]") {
  const Serving serving;
  for (const char* host :
       {"page.example", "page.example:80", "localhost.page.example", "127.0.0.1.page.example", "[::2]"})
    check_error(serving.client().Get("/v1/models", httplib::Headers{{"Host", host}}), 403, nullptr);
  for (const char* host : {"localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"})
    CHECK(serving.client().Get("/v1/models", httplib::Headers{{"Host", host}})->status == 200);
}

TEST_CASE("with keys, nothing but health is told without one", "[serve]") {
  const TempDir dir;
  std::ofstream(dir / "keys") << "# keys\nfirst-key\n  second-key  \n";
  const Serving serving(chat_artifact(), [&](auto& options) { options.api_key_file = dir / "keys"; });
  const std::string body = json{{"prompt", "ab"}, {"max_tokens", 1}}.dump();
  CHECK(serving.client().Get("/health")->status == 200);
  for (const char* key :
       {"", "Bearer ", "Bearer first-ke", "Bearer first-keyfirst-key", "first-key", "Bearer # keys"}) {
    const httplib::Headers headers = {{"Authorization", key}};
    check_error(serving.client().Post(kText, headers, body, "application/json"), 401, nullptr);
  }
  check_error(serving.client().Get("/v1/models"), 401, nullptr);
  for (const char* key : {"Bearer first-key", "Bearer second-key"}) {
    const httplib::Headers headers = {{"Authorization", key}};
    CHECK(serving.client().Post(kText, headers, body, "application/json")->status == 200);
  }
}

TEST_CASE("an address that others can reach needs keys, and keys need a file with some", "[serve]") {
  const TemporaryFile model(chat_artifact().build());
  const auto artifact = elrt::Artifact::open(model.path()).value();
  elrt::serve::ServerOptions options;
  options.port = 0;
  options.host = "0.0.0.0";
  auto open = elrt::serve::Server::create(artifact, options);
  REQUIRE_FALSE(open);
  CHECK(open.failure().message.find("--api-key-file") != std::string::npos);
  const TempDir dir;
  std::ofstream(dir / "keys") << "# none\n";
  for (const char* name : {"keys", "missing"}) {
    options.api_key_file = dir / name;
    CHECK_FALSE(elrt::serve::Server::create(artifact, options).ok());
  }
}
