#include "base/output_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/error.h"

namespace elastify {
namespace {

std::set<std::string> marked(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_regular_file(folder / kOutputMark, error)) return {};
  const nlohmann::json mark = nlohmann::json::parse(read_file(folder / kOutputMark), nullptr, false);
  std::set<std::string> names;
  if (!mark.is_object() || !mark.contains("made")) return names;
  for (const auto& name : mark["made"]) {
    if (name.is_string()) names.insert(name.get<std::string>());
  }
  return names;
}

std::vector<std::string> entries_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void write_mark(const fs::path& folder, const std::set<std::string>& names) {
  write_json(folder / kOutputMark, {{"about", "what elastify made in this folder and may replace"}, {"made", names}});
}

void check_system(const std::error_code& error, const char* what, const fs::path& path) {
  if (error) fail(ErrorCode::kInternal, "cannot {} {}: {}", what, path.string(), error.message());
}

// Does the user, or this process, stand in `folder`? Then it has to stay the folder that it is.
bool holds_current(const fs::path& folder) {
  if (!fs::exists(folder)) return false;
  const fs::path here = fs::current_path();
  return std::mismatch(folder.begin(), folder.end(), here.begin(), here.end()).first == folder.end();
}

// Where a run that fills `target` works: next to it, or in it where it has to stay.
fs::path work_path(const fs::path& target) {
  return holds_current(target) ? target / ".elastify.partial" : fs::path(target.string() + ".partial");
}

// Did a run of the tool make it? One that was ended between making the folder and marking it left nothing else in it.
bool unfinished_run(const fs::path& work) {
  if (fs::exists(work / kOutputMark)) return true;
  const std::vector<std::string> names = entries_of(work);
  return names.empty() || names == std::vector<std::string>{std::string(kOutputMark) + ".partial"};
}

// Names that reach the disk before anybody relies on them.
void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && (::fsync(descriptor) == 0 || errno == EINVAL);
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced) check_system({reason, std::generic_category()}, "flush", folder);
}

// Entry by entry, what the run before made and this one did not last.
void move_entries(const fs::path& work, const fs::path& target, const std::vector<std::string>& names) {
  std::error_code error;
  const std::set<std::string> old = marked(target);
  for (const std::string& name : names) {
    if (fs::is_directory(target / name)) fs::remove_all(target / name, error);
    check_system(error, "replace", target / name);
    fs::rename(work / name, target / name, error);
    check_system(error, "put in place", target / name);
  }
  for (const std::string& name : old) {
    if (std::find(names.begin(), names.end(), name) == names.end()) fs::remove_all(target / name, error);
  }
  fs::rename(work / kOutputMark, target / kOutputMark, error);
  check_system(error, "put in place", target / kOutputMark);
  fs::remove_all(work, error);
  sync_folder(target);
}

}  // namespace

fs::path output_path(const fs::path& named) {
  if (named.empty()) fail_usage("the output folder has no name: give one with --out");
  std::error_code error;
  fs::path path = fs::weakly_canonical(fs::absolute(named), error).lexically_normal();
  if (error) fail_usage("cannot use the output folder {}: {}", named.string(), error.message());
  if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();  // a slash at the end
  if (fs::exists(path) && !fs::is_directory(path))
    fail_usage("{} is a file: expected a folder; give another name, or remove it", path.string());
  return path;
}

void require_free(const fs::path& folder, const std::vector<std::string>& names) {
  if (!fs::exists(folder)) return;
  const std::set<std::string> ours = marked(folder);
  for (const std::string& name : entries_of(folder)) {
    if (name == kOutputMark || name == ".elastify.partial" || ours.contains(name)) continue;
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
    fail_usage(
        "{} is in the way: elastify did not make it and removes nothing of yours; move it, or name another folder",
        (folder / name).string());
  }
}

void mark_outputs(const fs::path& folder, const std::vector<std::string>& names) {
  std::set<std::string> all;
  for (const std::string& name : marked(folder)) {
    if (fs::exists(folder / name)) all.insert(name);
  }
  all.insert(names.begin(), names.end());
  write_mark(folder, all);
}

void claim_outputs(const fs::path& folder, const std::vector<std::string>& names) {
  require_free(folder, names);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail_usage("cannot make the folder {}: {}", folder.string(), error.message());
  mark_outputs(folder, names);
}

void put_in_place(const fs::path& work, const fs::path& target) {
  std::vector<std::string> names = entries_of(work);
  std::erase(names, kOutputMark);
  write_mark(work, {names.begin(), names.end()});
  require_free(target);
  if (holds_current(target))
    move_entries(work, target, names);
  else
    replace_directory(work, target);
}

OutputFolder::OutputFolder(const fs::path& named) : target_(output_path(named)), work_(work_path(target_)) {
  require_free(target_);
  std::error_code error;
  if (fs::exists(work_)) {  // of a run that was killed, or somebody's
    if (!fs::is_directory(work_) || !unfinished_run(work_))
      fail_usage("{} is in the way: elastify did not make it; move it, or name another folder", work_.string());
    fs::remove_all(work_, error);
    check_system(error, "remove", work_);
  }
  fs::create_directories(work_, error);
  check_system(error, "create", work_);
  try {
    write_mark(work_, {});
  } catch (...) {  // no destructor runs: a folder without a mark would be in the way of the next run
    fs::remove_all(work_, error);
    throw;
  }
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(work_, ignored);
}

void OutputFolder::commit() {
  put_in_place(work_, target_);
  committed_ = true;
}

}  // namespace elastify
