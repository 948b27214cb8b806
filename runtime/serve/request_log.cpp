#include "request_log.hpp"

#include <cerrno>
#include <cstring>

namespace elrt::serve {

Result<std::unique_ptr<RequestLog>> RequestLog::open(const std::filesystem::path& path) {
  std::FILE* file = path.empty() ? stderr : std::fopen(path.c_str(), "ae");
  if (file == nullptr) return invalid_argument("cannot write the log " + path.string() + ": " + std::strerror(errno));
  return std::unique_ptr<RequestLog>(new RequestLog(file));
}

RequestLog::~RequestLog() {
  if (file_ != stderr) std::fclose(file_);
}

void RequestLog::write(const nlohmann::json& record) {
  const std::string line = record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const std::lock_guard lock(mutex_);
  std::fwrite(line.data(), 1, line.size(), file_);
  std::fflush(file_);
}

}  // namespace elrt::serve
