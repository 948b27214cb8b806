// The endpoints, on cpp-httplib's server: checks every call before its body is read, reads bodies within their bounds,
// and turns what fails into OpenAI's errors.
#pragma once

#include <httplib.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "api_error.hpp"
#include "api_keys.hpp"
#include "completion_handler.hpp"
#include "engine.hpp"
#include "model_names.hpp"
#include "request_log.hpp"

namespace elrt::serve {

struct HttpLimits {
  std::size_t body_bytes, connections;
};

class HttpServer : public httplib::Server {
 public:
  HttpServer(Engine& engine, const ModelNames& names, const HttpLimits& limits, ApiKeys keys,
             std::unique_ptr<RequestLog> log);

  // After the address is bound. The library lets five clients wait to be accepted; one more would try again only after
  // a second.
  void widen_backlog() { ::listen(svr_sock_, SOMAXCONN); }
  void begin_stop() { stopping_ = true; }  // further requests of clients that are here are refused

 private:
  void set_endpoints();
  void set_handlers();  // of what is no endpoint's: refusals, the library's own errors, the log
  void post(const char* path, std::function<void(const std::string& body, httplib::Response&)> handle);
  static void fail(httplib::Response& response, const ApiError& error);
  void check(const httplib::Request& request) const;
  std::string read_body(const httplib::Request& request, const httplib::ContentReader& reader) const;

  void health(httplib::Response& response) const;
  void models(httplib::Response& response) const;
  void tokenize(const std::string& body, httplib::Response& response) const;
  void write_log(const httplib::Request& request, const httplib::Response& response) const;
  bool process_and_close_socket(socket_t socket) override;

  Engine& engine_;
  const ModelNames& names_;
  const HttpLimits limits_;
  const ApiKeys keys_;
  const std::unique_ptr<RequestLog> log_;
  CompletionHandler completions_;
  std::atomic<bool> stopping_{false};
};

}  // namespace elrt::serve
