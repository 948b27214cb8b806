// One JSON line per request: what was asked of the server and how it went, never what was said.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "elrt/result.hpp"

namespace elrt::serve {

class RequestLog {
 public:
  // Appends to the file; empty: standard error.
  static Result<std::unique_ptr<RequestLog>> open(const std::filesystem::path& path);
  ~RequestLog();
  RequestLog(const RequestLog&) = delete;
  RequestLog& operator=(const RequestLog&) = delete;

  void write(const nlohmann::json& record);  // from any thread

 private:
  explicit RequestLog(std::FILE* file) : file_(file) {}
  std::FILE* file_;
  std::mutex mutex_;
};

}  // namespace elrt::serve
