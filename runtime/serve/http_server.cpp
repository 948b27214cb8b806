#include "http_server.hpp"

#include <sys/socket.h>

#include <array>
#include <cstring>
#include <utility>

#include "connection.hpp"
#include "fields.hpp"

namespace elrt::serve {
namespace {

using nlohmann::json;

struct Route {
  const char *path, *method;
};
constexpr std::array<Route, 5> kRoutes{{{"/health", "GET"},
                                        {"/v1/models", "GET"},
                                        {"/v1/tokenize", "POST"},
                                        {"/v1/completions", "POST"},
                                        {"/v1/chat/completions", "POST"}}};

// One thread for each connection, so many and no more: who comes then is refused at once, by the thread that accepts.
class Workers : public httplib::TaskQueue {
 public:
  explicit Workers(std::size_t most) : most_(most), pool_(most) {}
  void enqueue(std::function<void()> serve) override {
    if (busy_ >= most_) {
      refusing = true;
      serve();
      refusing = false;
      return;
    }
    ++busy_;
    pool_.enqueue([this, serve = std::move(serve)] {
      serve();
      --busy_;
    });
  }
  void shutdown() override { pool_.shutdown(); }

  static thread_local bool refusing;

 private:
  const std::size_t most_;
  std::atomic<std::size_t> busy_{0};
  httplib::ThreadPool pool_;
};
thread_local bool Workers::refusing = false;

void refuse(socket_t socket) {
  const std::string body = ApiError(503, "too many connections; try again later", "", "too_many_connections").body();
  const std::string answer =
      "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Type: application/json\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  std::array<char, 4096> unread;
  (void)::recv(socket, unread.data(), unread.size(), MSG_DONTWAIT);  // what is unread would reset the connection
  (void)::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(socket, SHUT_WR);
  ::close(socket);
}

// A web page whose own name is made to mean 127.0.0.1 asks with that name: what it reads here is not meant for it.
bool names_loopback(const std::string& host) {
  const std::string name = host.substr(0, host.find(':', host.starts_with('[') ? host.find(']') : 0));
  return name.empty() || name == "localhost" || name == "127.0.0.1" || name == "[::1]";
}

// The handlers' view of the call that their thread serves.
thread_local Call* current_call = nullptr;

}  // namespace

HttpServer::HttpServer(Engine& engine, const ModelNames& names, const HttpLimits& limits, ApiKeys keys,
                       std::unique_ptr<RequestLog> log)
    : engine_(engine),
      names_(names),
      limits_(limits),
      keys_(std::move(keys)),
      log_(std::move(log)),
      completions_(engine, names) {
  new_task_queue = [most = limits.connections] { return new Workers(most); };
  set_tcp_nodelay(true);
  set_socket_options([](socket_t socket) {  // the library's own let two servers share one port
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  set_payload_max_length(limits.body_bytes);
  set_endpoints();
  set_handlers();
}

void HttpServer::set_handlers() {
  set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    try {
      check(request);
      return HandlerResponse::Unhandled;
    } catch (const ApiError& error) {
      fail(response, error);
      return HandlerResponse::Handled;
    }
  });
  set_post_routing_handler([](const httplib::Request&, httplib::Response& response) {
    if (current_call->connection.closes()) response.set_header("Connection", "close");
  });
  set_error_handler(HandlerWithResponse([](const httplib::Request&, httplib::Response& response) {
    if (!response.body.empty()) return HandlerResponse::Unhandled;
    current_call->connection.close_after();  // the library refused it: who knows what it has read
    fail(response, ApiError(response.status, "the request could not be read"));
    return HandlerResponse::Handled;
  }));
  set_exception_handler([](const httplib::Request&, httplib::Response& response, std::exception_ptr thrown) {
    try {
      std::rethrow_exception(std::move(thrown));
    } catch (const std::bad_alloc&) {
      fail(response, ApiError(503, "out of memory; ask again later"));
    } catch (const std::exception& error) {
      fail(response, ApiError(500, error.what()));
    }
  });
  set_logger(
      [this](const httplib::Request& request, const httplib::Response& response) { write_log(request, response); });
}

void HttpServer::set_endpoints() {
  using Request = httplib::Request;
  using Response = httplib::Response;
  Get("/health", [this](const Request&, Response& response) { health(response); });
  Get("/v1/models", [this](const Request&, Response& response) { models(response); });
  post("/v1/tokenize", [this](const std::string& body, Response& response) { tokenize(body, response); });
  post("/v1/completions", [this](const std::string& body, Response& response) {
    completions_.answer(*current_call, body, false, response);
  });
  post("/v1/chat/completions", [this](const std::string& body, Response& response) {
    completions_.answer(*current_call, body, true, response);
  });
}

void HttpServer::post(const char* path, std::function<void(const std::string& body, httplib::Response&)> handle) {
  Post(path, [this, handle = std::move(handle)](const httplib::Request& request, httplib::Response& response,
                                                const httplib::ContentReader& reader) {
    try {
      const std::string body = read_body(request, reader);
      current_call->arrival = Clock::now();
      handle(body, response);
    } catch (const ApiError& error) {
      fail(response, error);
    }
  });
}

void HttpServer::fail(httplib::Response& response, const ApiError& error) {
  response.status = error.status();
  if (error.status() == 503) response.set_header("Retry-After", "1");
  if (error.status() == 401) response.set_header("WWW-Authenticate", "Bearer");
  response.set_content(error.body(), "application/json");
  current_call->record["error"] = error.what();
}

// Before any of the body is read.
void HttpServer::check(const httplib::Request& request) const {
  const bool body = request.has_header("Transfer-Encoding") ||
                    (request.has_header("Content-Length") && request.get_header_value("Content-Length") != "0");
  if (body) current_call->connection.close_after();  // until it is read whole
  if (!keys_.asked() && !names_loopback(request.get_header_value("Host")))
    throw ApiError(
        403,
        "without API keys only requests to localhost are answered; found Host: " + request.get_header_value("Host"), "",
        "foreign_host");
  if (stopping_) throw ApiError(503, "the server is shutting down; ask again later");
  const Route* route = nullptr;
  for (const Route& known : kRoutes) {
    if (request.path == known.path) route = &known;
  }
  if (route == nullptr) throw ApiError(404, "there is no " + request.path, "", "not_found");
  if (request.path != "/health" && keys_.asked()) {
    const std::string given = request.get_header_value("Authorization");
    const std::string kind = "Bearer ";
    if (!given.starts_with(kind) || !keys_.allow(std::string_view(given).substr(kind.size())))
      throw ApiError(401, "this server asks for an API key: Authorization: Bearer KEY", "", "invalid_api_key");
  }
  const bool head = request.method == "HEAD" && std::strcmp(route->method, "GET") == 0;
  if (request.method != route->method && !head)
    throw ApiError(405, request.path + " takes " + route->method + "; found " + request.method, "",
                   "method_not_allowed");
}

// Counted as it is received: a body in chunks, or a compressed one, does not say its size.
std::string HttpServer::read_body(const httplib::Request& request, const httplib::ContentReader& reader) const {
  if (request.is_multipart_form_data()) throw ApiError(415, "the body should be JSON, found a form");
  Connection& connection = current_call->connection;
  std::string body;
  if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding")) return body;
  bool large = false;
  connection.allow_body(2 * limits_.body_bytes);  // twice, for the frames of chunks
  const std::string length = request.get_header_value("Content-Length");
  if (length.size() > 15 || std::strtoull(length.c_str(), nullptr, 10) > limits_.body_bytes) large = true;
  const bool whole = !large && reader([&](const char* bytes, std::size_t count) {
    large = body.size() + count > limits_.body_bytes;
    if (!large) body.append(bytes, count);
    return !large;
  });
  if (large) {
    throw ApiError(413, "the body has more than " + std::to_string(limits_.body_bytes) + " bytes; shorten it", "",
                   "request_too_large");
  }
  if (!whole) throw ApiError(400, "the body did not arrive whole, or in an unknown encoding", "", "invalid_body");
  connection.reuse();
  return body;
}

void HttpServer::health(httplib::Response& response) const {
  response.set_content(
      json_text({{"status", "ok"}, {"model", names_.name()}, {"busy", engine_.busy()}, {"waiting", engine_.waiting()}}),
      "application/json");
}

void HttpServer::models(httplib::Response& response) const {
  json list = json::array();
  const auto add = [&](const std::string& id) {
    list.push_back({{"id", id}, {"object", "model"}, {"created", 0}, {"owned_by", "elastify"}});
  };
  add(names_.name());
  for (const std::uint32_t level : names_.levels()) add(names_.of_level(level));
  response.set_content(json_text({{"object", "list"}, {"data", list}}), "application/json");
}

// {"prompt" or "content": text, "add_special_tokens": true} -> {"tokens", "count"}
void HttpServer::tokenize(const std::string& body, httplib::Response& response) const {
  const json object = read_object(body);
  const Fields fields(object);
  auto text = fields.text("prompt");
  if (!text) text = fields.text("content");
  if (!text) throw ApiError(400, "prompt should be text", "prompt", "invalid_value");
  PromptOptions options;
  options.begin = fields.flag("add_special_tokens").value_or(true);
  auto tokens = prompt_tokens(engine_.tokenizer(), *text, options);
  if (!tokens) throw ApiError(tokens.failure(), "prompt");
  response.set_content(json_text({{"tokens", tokens.value()}, {"count", tokens->size()}}), "application/json");
}

void HttpServer::write_log(const httplib::Request& request, const httplib::Response& response) const {
  json record = std::move(current_call->record);
  record["time"] = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  record["method"] = request.method;
  record["path"] = request.path.substr(0, 200);
  record["client"] = request.remote_addr;
  record["status"] = response.status;
  record["ms"] = std::chrono::duration<double, std::milli>(Clock::now() - current_call->arrival).count();
  log_->write(record);
}

bool HttpServer::process_and_close_socket(socket_t socket) {
  if (Workers::refusing) {
    refuse(socket);
    return false;
  }
  Connection connection(socket, {});
  bool going = true;
  while (going && connection.next_request(stopping_)) {
    Call call{connection};
    current_call = &call;
    bool closed = false;
    going = process_request(connection, false, closed, [](httplib::Request& request) { request.ranges.clear(); });
    going = going && !closed && !connection.closes();
    current_call = nullptr;
  }
  return going;
}

}  // namespace elrt::serve
