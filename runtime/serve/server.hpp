// An OpenAI-compatible HTTP server over one artifact.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "elrt/artifact.hpp"
#include "elrt/result.hpp"
#include "engine.hpp"

namespace elrt::serve {

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;           // 0: any that is free
  std::string name;                    // of the model; empty: the file's, without .gguf
  std::filesystem::path api_key_file;  // empty: no key is asked for, which only loopback addresses allow
  std::filesystem::path log;           // empty: standard error
  std::size_t body_bytes = 4 << 20;    // of a request, at most
  std::size_t connections = 64;        // at once
  std::chrono::seconds drain{30};      // how long what runs and waits may take once the server is to end
  EngineOptions engine;
};

class Server {
 public:
  // Opens the engine and binds the address; clients are heard once run() is called. kInvalidArgument for an address
  // that cannot be had, and for one that others can reach without keys.
  static Result<Server> create(const Artifact& artifact, const ServerOptions& options);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

  std::uint16_t port() const;
  const std::string& model() const;
  const Engine& engine() const;

  // Serves until stop(), then ends what runs and waits, within ServerOptions::drain.
  Result<void> run();
  void stop();  // from any thread, also before run(); called again, what runs is given up

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace elrt::serve
