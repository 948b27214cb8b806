#include "pipeline/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "base/output_folder.h"

namespace elastify {

using nlohmann::json;

std::string tool_version() { return ELASTIFY_VERSION; }

RunDirectory::RunDirectory(const fs::path& path) : path_(path) {
  std::error_code error;
  fs::create_directories(path_ / ".stages", error);
  if (error) fail_usage("cannot create run directory {}: {}", path_.string(), error.message());
  const fs::path lock = path_ / ".stages" / "lock";
  lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) fail_usage("cannot open {}: {}", lock.string(), std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_);
    fail_usage("run directory {} is in use by another process: wait for it or choose another --run-dir",
               path_.string());
  }
  const fs::path hashes = path_ / ".stages" / "hashes.json";
  if (!fs::exists(hashes)) return;
  const json saved = json::parse(read_file(hashes), nullptr, false);  // a cache: if it is damaged, it is made again
  if (!saved.is_object()) return;
  for (const auto& item : saved.items()) {
    if (item.value().is_string()) hashes_[item.key()] = item.value().get<std::string>();
  }
}

RunDirectory::~RunDirectory() {
  if (lock_ >= 0) ::close(lock_);
}

void RunDirectory::save_hashes() const { write_json(path_ / ".stages" / "hashes.json", json(hashes_)); }

std::string RunDirectory::content_hash(const fs::path& path) {
  if (fs::is_directory(path)) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::string all;
    for (const auto& file : files) all += fs::relative(file, path).generic_string() + " " + content_hash(file) + "\n";
    return hash_text(all);
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail_data("cannot read {}: {}", path.string(), std::strerror(errno));
  // A program can set the time of modification, the time of change only the system.
  const std::string id =
      fmt::format("{} {} {}.{:09} {}.{:09}", fs::absolute(path).lexically_normal().string(), info.st_size,
                  info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
  const auto known = hashes_.find(id);
  if (known != hashes_.end()) return known->second;
  const std::string hash = hash_file(path);
  hashes_[id] = hash;
  save_hashes();
  return hash;
}

std::string RunDirectory::input_hash(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_directory(status)) fail_usage("{} is a folder, expected a file", path.string());
  if (fs::exists(status) && !fs::is_regular_file(status))
    fail_usage("{} is a device, pipe or socket, expected a file", path.string());
  return content_hash(path);
}

fs::path RunDirectory::record_path(const std::string& stage) const { return path_ / ".stages" / (stage + ".json"); }

bool RunDirectory::up_to_date(const std::string& stage, const std::string& key) {
  if (!fs::exists(record_path(stage))) return false;
  const json record = json::parse(read_file(record_path(stage)), nullptr, false);
  if (!record.is_object() || record.value("key", "") != key || !record.contains("outputs")) return false;
  for (const auto& output : record["outputs"].items()) {
    const fs::path path = path_ / output.key();
    if (!fs::exists(path) || content_hash(path) != output.value()) return false;
  }
  return true;
}

void RunDirectory::claim(const std::string& stage, const std::vector<std::string>& outputs) {
  if (fs::exists(record_path(stage)))  // also of a version that left no mark
    mark_outputs(path_, outputs);
  else
    claim_outputs(path_, outputs);
}

void RunDirectory::record(const std::string& stage, const std::string& key, const std::vector<std::string>& outputs,
                          double seconds, const json& settings) {
  json hashes = json::object();
  for (const auto& output : outputs) {
    if (fs::exists(path_ / output)) hashes[output] = content_hash(path_ / output);
  }
  write_json(
      record_path(stage),
      {{"key", key}, {"version", tool_version()}, {"outputs", hashes}, {"seconds", seconds}, {"settings", settings}});
}

std::string RunDirectory::output_hash(const std::string& stage) {
  if (!fs::exists(record_path(stage))) {
    fail_usage(
        "stage {} has not run in {}: run elastify {} with the same configuration first, or elastify build for all",
        stage, path_.string(), stage);
  }
  const json record = read_json(record_path(stage));
  if (!record.is_object() || !record.contains("outputs"))
    fail_data("{} is damaged: remove it and run the stage again", record_path(stage).string());
  std::string all;
  for (const auto& output : record["outputs"].items()) {
    const fs::path path = path_ / output.key();
    if (!fs::exists(path)) fail_usage("{} is gone: run elastify {} again", path.string(), stage);
    const std::string found = content_hash(path);
    if (found != output.value()) {
      fail_data(
          "{} is not what stage {} wrote: expected hash {}, found {}; run elastify {} again, or elastify build for "
          "all",
          path.string(), stage, output.value().is_string() ? output.value().get<std::string>() : "none", found, stage);
    }
    all += output.key() + " " + found + "\n";
  }
  return hash_text(all);
}

double RunDirectory::last_seconds(const std::string& stage) const {
  if (!fs::exists(record_path(stage))) return 0;
  const json record = json::parse(read_file(record_path(stage)), nullptr, false);
  const json seconds = record.is_object() ? record.value("seconds", json()) : json();
  return seconds.is_number() ? seconds.get<double>() : 0;
}

fs::path RunDirectory::work_dir(const std::string& stage, const std::string& key) {
  const fs::path all = path_ / ".stages" / (stage + ".work"), mine = all / key;
  std::error_code error;
  if (fs::exists(all)) {
    for (const auto& entry : fs::directory_iterator(all)) {
      if (entry.path() != mine) fs::remove_all(entry.path(), error);
    }
  }
  fs::create_directories(mine, error);
  if (error) fail(ErrorCode::kInternal, "cannot create {}: {}", mine.string(), error.message());
  return mine;
}

void RunDirectory::clear_work(const std::string& stage) {
  std::error_code ignored;
  fs::remove_all(path_ / ".stages" / (stage + ".work"), ignored);
}

}  // namespace elastify
