// A random checkpoint with labelled tasks, and settings that build a tiny language model for it in seconds.
#pragma once

#include "pipeline/pipeline.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include "evaluate/variant.h"
#include "support/expect_error.h"
#include "support/small_shape.h"
#include "support/temp_dir.h"

namespace elastify_test {

inline std::string task_lines(int first, int count) {
  const std::vector<std::string> names = {"Ann", "Bo", "Cy", "Di"};
  std::string lines;
  for (int i = first; i < first + count; ++i) {
    elastify::json task;
    task["id"] = std::to_string(i);
    task["family"] = i % 2 != 0 ? "odd" : "even";
    task["context"] = fmt::format("It is day {}. {} has it.", i, names[static_cast<std::size_t>(i % 4)]);
    task["question"] = "Who has it?";
    task["options"] = names;
    task["answer"] = i % 4;
    lines += task.dump() + "\n";
  }
  return lines;
}

struct TaskRun {
  TaskRun() {
    elastify::ModelConfig shape = small_shape();
    shape.max_positions = 96;
    std::filesystem::create_directories(dir / "model");
    elastify::write_random_checkpoint(shape, 1, dir / "model");
    write_bytes(dir / "train.jsonl", task_lines(0, 16));
    write_bytes(dir / "validation.jsonl", task_lines(100, 8));
    write_bytes(dir / "test.jsonl", task_lines(200, 8));
    settings = {"checkpoint=" + (dir / "model").string(),
                "threads=1",
                "data.sample_documents=24",
                "finetune.steps=3",
                "label.prompt_levels=[50,100]",
                "label.train_items=4",
                "label.chunk_tasks=1",
                "label.repeats=1",
                "tlm.word_items=2",
                "tlm.size.vocab_size=96",
                "tlm.size.max_positions=64",
                "tlm.decisions.eval_every=3"};
    for (const char* split : {"train", "validation", "test"})
      settings.push_back(fmt::format("label.{}=[\"{}\"]", split, (dir / fmt::format("{}.jsonl", split)).string()));
    for (const char* phase : {"masked", "joint", "score", "decision"})
      settings.push_back(fmt::format("tlm.{}.steps=6", phase));
  }

  std::vector<std::string> with(const std::vector<std::string>& more) const {
    std::vector<std::string> all = settings;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  elastify::PipelineConfig config(const std::vector<std::string>& more = {}) const {
    return elastify::load_pipeline_config(path(), with(more));
  }
  elastify::json build(const std::string& run, const std::vector<std::string>& more = {}) const {
    return elastify::Pipeline(config(more), dir / run).build();
  }
  elastify::json variant(const elastify::Variant& one, const std::vector<std::string>& more = {},
                         const std::string& run = "run") const {
    return elastify::build_variant(path(), with(more), dir / run, one);
  }
  static std::filesystem::path path() { return ELASTIFY_SOURCE_DIR "/configs/smoke.json"; }

  TempDir dir;
  std::vector<std::string> settings;
};

inline elastify::Variant find_variant(const std::vector<elastify::Variant>& table, const std::string& name) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const auto& variant) { return variant.name == name; });
  REQUIRE(found != table.end());
  return *found;
}

// Every file of a run directory but those of its variants, with its bytes.
inline std::map<std::string, std::string> bytes_of(const std::filesystem::path& run) {
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(run)) {
    const std::string name = std::filesystem::relative(entry.path(), run).string();
    if (entry.is_regular_file() && name.rfind("evaluate/", 0) != 0) found[name] = read_bytes(entry.path());
  }
  return found;
}

// Names of the files that are not what they were.
inline std::vector<std::string> changed(const std::map<std::string, std::string>& before,
                                        const std::filesystem::path& run) {
  const auto now = bytes_of(run);
  std::vector<std::string> names;
  for (const auto& [name, bytes] : before) {
    if (now.count(name) == 0 || now.at(name) != bytes) names.push_back(name);
  }
  for (const auto& [name, bytes] : now) {
    if (before.count(name) == 0) names.push_back(name);
  }
  return names;
}

}  // namespace elastify_test
