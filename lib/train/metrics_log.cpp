#include "train/metrics_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>

#include "base/error.h"

namespace elastify {
namespace {

[[noreturn]] void fail_metrics(const fs::path& path) {
  fail(ErrorCode::kInternal, "cannot write {}: {}", path.string(), std::strerror(errno));
}

}  // namespace

MetricsLog::MetricsLog(fs::path path, std::uint64_t bytes) : path_(std::move(path)), bytes_(bytes) {
  std::error_code none;
  if (fs::hard_link_count(path_, none) > 1 && !none) write_file(path_, read_file(path_));  // others keep theirs
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail_metrics(path_);
  const off_t found = ::lseek(descriptor_, 0, SEEK_END);
  const bool whole = found >= 0 && static_cast<std::uint64_t>(found) >= bytes;
  if (!whole || ::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) {
    ::close(descriptor_);
    if (whole) fail_metrics(path_);
    fail_data(
        "{} is shorter than its checkpoint says: expected {} bytes, found {}; remove its folder to start the level "
        "again",
        path_.string(), bytes, found);
  }
}

MetricsLog::~MetricsLog() { ::close(descriptor_); }

void MetricsLog::append(const nlohmann::json& line) {
  const std::string text = line.dump() + "\n";
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::pwrite(descriptor_, text.data() + done, text.size() - done, static_cast<off_t>(bytes_));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_metrics(path_);
    done += static_cast<std::size_t>(written);
    bytes_ += static_cast<std::uint64_t>(written);
  }
}

std::uint64_t MetricsLog::sync() {
  if (::fsync(descriptor_) != 0) fail_metrics(path_);
  return bytes_;
}

std::vector<nlohmann::json> read_metrics(const fs::path& path) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_file(path));
  for (std::string line; std::getline(text, line);) {
    lines.push_back(nlohmann::json::parse(line, nullptr, false));
    if (lines.back().is_discarded()) fail_data("{}:{} is not JSON", path.string(), lines.size());
  }
  return lines;
}

}  // namespace elastify
