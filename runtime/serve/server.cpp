#include "server.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "http_server.hpp"

namespace elrt::serve {
namespace {

bool is_loopback(const std::string& host) { return host == "127.0.0.1" || host == "::1" || host == "localhost"; }

std::string model_name(const Artifact& artifact, const std::string& asked) {
  return asked.empty() ? artifact.path().stem().string() : asked;
}

}  // namespace

struct Server::Impl {
  std::unique_ptr<Engine> engine;
  ModelNames names;
  ServerOptions options;
  std::unique_ptr<HttpServer> http;
  std::uint16_t port = 0;
  std::atomic<int> stops{0};

  Impl(std::unique_ptr<Engine> opened, ModelNames known, ServerOptions chosen)
      : engine(std::move(opened)), names(std::move(known)), options(std::move(chosen)) {}

  Result<void> bind();
  void end_when_asked(const std::atomic<bool>& ended);
};

Result<void> Server::Impl::bind() {
  const int found = options.port == 0                                     ? http->bind_to_any_port(options.host)
                    : http->bind_to_port(options.host, int{options.port}) ? int{options.port}
                                                                          : -1;
  if (found <= 0)
    return invalid_argument("cannot listen at " + options.host + " port " + std::to_string(options.port) + ": " +
                            std::strerror(errno) + "; give another --host or --port");
  http->widen_backlog();
  port = static_cast<std::uint16_t>(found);
  return {};
}

// Waits for stop(), then lets what is there end: within the time, unless it is asked for again.
void Server::Impl::end_when_asked(const std::atomic<bool>& ended) {
  constexpr std::chrono::milliseconds kLook{10};
  while (stops == 0 && !ended) std::this_thread::sleep_for(kLook);
  http->begin_stop();
  while (!http->is_running() && !ended) std::this_thread::sleep_for(kLook);
  if (!ended) http->stop();
  const Clock::time_point last = Clock::now() + options.drain;
  while (!ended) {
    if (stops > 1 || Clock::now() >= last) engine->give_up_all();
    std::this_thread::sleep_for(kLook);
  }
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

Result<Server> Server::create(const Artifact& artifact, const ServerOptions& options) {
  if (!is_loopback(options.host) && options.api_key_file.empty())
    return invalid_argument("others can reach " + options.host +
                            "; give --api-key-file, or a loopback address (127.0.0.1) as --host");
  ApiKeys keys;
  if (!options.api_key_file.empty()) {
    auto read = ApiKeys::read(options.api_key_file);
    if (!read) return read.take_failure();
    keys = std::move(read).value();
  }
  auto log = RequestLog::open(options.log);
  if (!log) return log.take_failure();
  auto engine = Engine::create(artifact, options.engine);
  if (!engine) return engine.take_failure();
  ModelNames names(artifact, model_name(artifact, options.name), options.engine.service.session.level);
  auto impl = std::make_unique<Impl>(std::move(engine).value(), std::move(names), options);
  impl->http =
      std::make_unique<HttpServer>(*impl->engine, impl->names, HttpLimits{options.body_bytes, options.connections},
                                   std::move(keys), std::move(log).value());
  if (auto bound = impl->bind(); !bound) return bound.take_failure();
  return Server(std::move(impl));
}

std::uint16_t Server::port() const { return impl_->port; }
const std::string& Server::model() const { return impl_->names.name(); }
const Engine& Server::engine() const { return *impl_->engine; }

Result<void> Server::run() {
  std::atomic<bool> ended{false};
  std::thread ender([&] { impl_->end_when_asked(ended); });
  const bool served = impl_->http->listen_after_bind();
  const bool asked = impl_->stops > 0;
  ended = true;
  ender.join();
  if (!served && !asked) return internal_error("the server's socket failed; start it again");
  return {};
}

void Server::stop() { ++impl_->stops; }

}  // namespace elrt::serve
