// Settings are refused before the first stage, all that is wrong with them at once.
#include <chrono>

#include "unit/pipeline/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

const Workplace& place() {
  static const auto* const shared = new Workplace;
  return *shared;
}

// The whole build is refused for these reasons, and leaves no run directory.
void refused(const std::vector<std::string>& settings, std::initializer_list<const char*> words,
             const std::string& stage = "") {
  const std::string run = (place().dir / "refused").string();
  expect_error(ErrorCode::kUsage, words, [&] { Pipeline(place().config(settings), run, stage); });
  CHECK_FALSE(fs::exists(run));
}

std::string list_of(const fs::path& path) { return "[\"" + path.string() + "\"]"; }

}  // namespace

TEST_CASE("levels, targets and counts are checked before the first stage", "[pipeline][unit]") {
  refused({"reorder.levels=[35]"}, {"reorder.levels", "end in 100"});
  refused({"reorder.levels=[50,50,100]"}, {"reorder.levels", "without repeats"});
  refused({"finetune.targets=[\"q_proj\"]"}, {"finetune.targets", "q_proj"});
  refused({"finetune.targets=[]"}, {"finetune.targets"});
  refused({"finetune.levels=[45]"}, {"finetune.levels", "45"});
  refused({"finetune.batch_rows=4", "finetune.accumulation=3"}, {"finetune.accumulation"});
  refused({"anchors.count=9"}, {"anchors.count", "4 layers"});
  refused({"reorder.anchors_judged_at=45"}, {"reorder.anchors_judged_at", "45 is not one of"});
  refused({"device=tpu"}, {"device 'tpu'"});
}

TEST_CASE("all that is wrong is said at once", "[pipeline][unit]") {
  refused(
      {"reorder.levels=[35]", "finetune.targets=[\"q_proj\"]", "data.recovery=[\"none.txt\"]", "anchors.count=9"},
      {"4 problems", "reorder.levels", "finetune.targets", "data.recovery: none.txt does not exist", "anchors.count"});
}

TEST_CASE("every path that is read must be there and be what is read", "[pipeline][unit]") {
  const fs::path text = place().dir / "text.txt";
  write_bytes(text, "a text\n");
  const std::string tasks = "label.train=" + list_of(text);
  for (const char* key : {"data.recovery", "data.calibration", "data.held_out", "label.train"}) {
    refused({std::string(key) + "=[\"/nonexistent\"]"}, {key, "/nonexistent does not exist"});
    refused({std::string(key) + "=" + list_of(place().dir.path())}, {key, "is a folder, expected a file"});
  }
  refused({tasks, "label.validation=[\"/nonexistent\"]"}, {"label.validation", "does not exist"});
  refused({tasks, "tlm.pairs=[\"/nonexistent\"]"}, {"tlm.pairs", "does not exist"});
  refused({tasks, "tlm.vocabulary=/nonexistent"}, {"tlm.vocabulary", "does not exist"});
  refused({tasks, "tlm.latency_table=/nonexistent"}, {"tlm.latency_table", "does not exist"});
  refused({tasks, "tlm.body=/nonexistent"}, {"tlm.body", "does not exist"});
  refused({tasks, "tlm.body=" + text.string()}, {"tlm.body", "is a file"});
  refused({tasks, "tlm.body=/"}, {"tlm.body", "config.json does not exist"});
  refused({"pack.tlm=/"}, {"pack.tlm", "config.json does not exist"});
  refused({"data.recovery=[\"/dev/zero\"]"}, {"data.recovery", "device"});
  // Damaged files alone are bad data, as where a stage meets them.
  expect_error(ErrorCode::kBadData, {"tlm.latency_table", "not valid JSON"}, [&] {
    Pipeline(place().config({tasks, "tlm.latency_table=" + text.string()}), (place().dir / "refused").string());
  });
  expect_error(ErrorCode::kBadData, {"/nonexistent", "does not exist"},
               [] { Pipeline(place().config({"checkpoint=/nonexistent"}), "/nonexistent/run"); });
}

TEST_CASE("labels and the tiny language model's heads are checked before the first stage", "[pipeline][unit]") {
  const fs::path text = place().dir / "text.txt";
  write_bytes(text, "a text\n");
  const std::string tasks = "label.train=" + list_of(text);
  refused({tasks, "label.model_levels=[35,100]"}, {"label.model_levels", "35"});
  refused({tasks, "label.prompt_levels=[50,20]"}, {"label.prompt_levels"});
  refused({tasks, "tlm.word_level=33"}, {"tlm.word_level", "33"});
  refused({tasks, "tlm.heads.bottom_layers=9"}, {"bottom_layers"});
  refused({tasks, "label.decisions_from=validation"}, {"label.validation"});
  refused({}, {"stage label needs tasks", "set label.train"}, "label");
}

TEST_CASE("a folder in place of text is refused at once", "[pipeline][unit]") {
  const auto started = std::chrono::steady_clock::now();
  refused({"data.recovery=[\"/\"]"}, {"data.recovery", "/ is a folder"});
  CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds(5));
}

TEST_CASE("what a stage does not read, it does not ask for", "[pipeline][unit]") {
  const std::string run = (place().dir / "single").string();
  CHECK_NOTHROW(Pipeline(place().config({"pack.tlm=/nonexistent"}), run, "anchors"));
}
