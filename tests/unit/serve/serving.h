// A server over a tiny model on a loopback port, and what clients of it need.
#pragma once

#include <httplib.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "serve/server.hpp"
#include "support/temp_dir.h"
#include "unit/chat/chat_model.h"

namespace elastify_test {

class Serving {
 public:
  using Change = std::function<void(elrt::serve::ServerOptions&)>;

  explicit Serving(const GgufBuilder& file = chat_artifact(), const Change& change = {})
      : model_(file.build()),
        artifact(elrt::Artifact::open(model_.path()).value()),
        server_(elrt::serve::Server::create(artifact, options(change)).value()),
        thread_([this] { ended_ = server_.run().ok(); }) {}
  ~Serving() { stop(); }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  bool stop() {  // true: it ended well
    if (thread_.joinable()) {
      server_.stop();
      thread_.join();
    }
    return ended_;
  }
  const elrt::serve::Engine& engine() const { return server_.engine(); }
  httplib::Client client() const {
    httplib::Client made("127.0.0.1", server_.port());
    made.set_read_timeout(60);
    return made;
  }
  httplib::Result post(const std::string& path, const std::string& body) const {
    return client().Post(path, body, "application/json");
  }
  nlohmann::json answer(const std::string& path, const nlohmann::json& body) const {
    const auto got = post(path, body.dump());
    if (!got) return {{"failed", to_string(got.error())}};
    auto parsed = nlohmann::json::parse(got->body);
    parsed["status"] = got->status;
    return parsed;
  }
  std::string log() const { return read_bytes(folder_ / "log"); }
  int port() const { return server_.port(); }

 private:
  elrt::serve::ServerOptions options(const Change& change) const {
    elrt::serve::ServerOptions made;
    made.port = 0;
    made.name = "tiny";
    made.log = folder_ / "log";
    made.engine.service.session.threads = 1;
    if (change) change(made);
    return made;
  }

  TempDir folder_;
  TemporaryFile model_;

 public:
  const elrt::Artifact artifact;

 private:
  elrt::serve::Server server_;
  bool ended_ = false;
  std::thread thread_;
};

// The data of a stream's events, without [DONE], which must be the last.
inline std::vector<nlohmann::json> events_of(const std::string& stream) {
  std::vector<nlohmann::json> events;
  bool done = false;
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t end = stream.find("\n\n", at);
    const std::string event = stream.substr(at, end - at);
    if (done || end == std::string::npos || event.rfind("data: ", 0) != 0) return {{{"broken", event}}};
    done = event == "data: [DONE]";
    if (!done) events.push_back(nlohmann::json::parse(event.substr(6)));
    at = end + 2;
  }
  if (!done) events.push_back({{"broken", "no [DONE]"}});
  return events;
}

inline std::string joined(const std::vector<nlohmann::json>& events) {
  std::string text;
  for (const auto& event : events) {
    if (!event.contains("choices") || event["choices"].empty()) continue;
    const auto& choice = event["choices"][0];
    if (choice.contains("text")) text += choice["text"].get<std::string>();
    if (choice.contains("delta") && choice["delta"].contains("content"))
      text += choice["delta"]["content"].get<std::string>();
  }
  return text;
}

inline bool soon(const std::function<bool()>& happens, std::chrono::milliseconds most = std::chrono::seconds(2)) {
  const auto end = std::chrono::steady_clock::now() + most;
  while (!happens()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace elastify_test
