#include "api_error.hpp"

#include <nlohmann/json.hpp>

namespace elrt::serve {
namespace {

const char* type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 503) return "service_unavailable_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

nlohmann::json text_or_null(const std::string& text) { return text.empty() ? nlohmann::json() : nlohmann::json(text); }

}  // namespace

std::string ApiError::body() const {
  const nlohmann::json error = {
      {"message", what()}, {"type", type_of(status_)}, {"param", text_or_null(param_)}, {"code", text_or_null(code_)}};
  return nlohmann::json{{"error", error}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace elrt::serve
