#include "evaluate/shared_stages.h"

#include "base/error.h"
#include "model/device.h"
#include "pipeline/check_settings.h"
#include "pipeline/stage_key.h"
#include "pipeline/stage_table.h"

namespace elastify {
namespace {

void copy_whole(const fs::path& from, const fs::path& to) {
  const MappedFile source(from);
  AtomicFile copy(to);
  copy.write(source.data(), source.size_bytes());
  copy.commit();
}

// `to`, which may exist, becomes another name of `from`'s bytes, in one step.
void link_file(const fs::path& from, const fs::path& to) {
  const fs::path linked = to.string() + ".partial";
  std::error_code error, ignored;
  fs::remove(linked, ignored);
  fs::create_hard_link(from, linked, error);
  if (!error) fs::rename(linked, to, error);
  fs::remove(linked, ignored);  // renaming one name of a file to another of the same file does nothing
  if (error) copy_whole(from, to);
}

void link_folder(const fs::path& from, const fs::path& to) {
  AtomicDirectory linked(to);
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const fs::path place = linked.path() / fs::relative(entry.path(), from);
    if (entry.is_directory()) fs::create_directories(place);
    if (entry.is_regular_file()) link_file(entry.path(), place);
  }
  linked.commit();
}

void link_output(const fs::path& from, const fs::path& to) try {
  if (fs::is_directory(from))
    link_folder(from, to);
  else if (fs::exists(from))
    link_file(from, to);
} catch (const fs::filesystem_error& failed) {
  fail(ErrorCode::kInternal, "cannot share {} as {}: {}", from.string(), to.string(), failed.code().message());
}

fs::path record_of(const fs::path& run_dir, const std::string& stage) {
  return run_dir / ".stages" / (stage + ".json");
}
fs::path summary_of(const fs::path& run_dir, const std::string& stage) {
  return run_dir / ".stages" / (stage + ".summary.json");
}

// null: the stage has not run.
json key_of(const fs::path& run_dir, const std::string& stage) {
  const fs::path record = record_of(run_dir, stage);
  if (!fs::exists(record) || !fs::exists(summary_of(run_dir, stage))) return nullptr;
  const json found = json::parse(read_file(record), nullptr, false);
  return found.is_object() ? found.value("key", json()) : json();
}

// The record comes last: it says that the stage has run.
bool take_over(const Stage& stage, const std::string& key, const fs::path& from, RunDirectory& into) {
  if (key_of(from, stage.name) != key) return false;
  into.claim(stage.name, stage.outputs);
  for (const auto& output : stage.outputs) link_output(from / output, into.file(output));
  link_output(summary_of(from, stage.name), summary_of(into.path(), stage.name));
  link_output(record_of(from, stage.name), record_of(into.path(), stage.name));
  if (into.up_to_date(stage.name, key)) return true;
  std::error_code ignored;
  fs::remove(record_of(into.path(), stage.name), ignored);
  for (const auto& output : stage.outputs) fs::remove_all(into.file(output), ignored);
  return false;
}

}  // namespace

std::vector<std::string> share_stages(const PipelineConfig& config, const fs::path& from, const fs::path& into) {
  const auto stages = wanted_stages(config);
  check_settings(config, stages);
  set_compute_threads(config.threads, Checkpoint::open(config.checkpoint).config());  // keys name their number
  RunDirectory run(into);
  std::vector<std::string> shared;
  for (const Stage* stage : stages) {
    const std::string key = stage_key(*stage, config, run);
    if (!run.up_to_date(stage->name, key) && !take_over(*stage, key, from, run)) break;
    shared.push_back(stage->name);
  }
  return shared;
}

bool ran_alike(const fs::path& run_dir, const fs::path& other, const std::string& stage) {
  const json key = key_of(run_dir, stage);
  return !key.is_null() && key == key_of(other, stage);
}

}  // namespace elastify
