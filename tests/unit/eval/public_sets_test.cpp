// The public sets themselves, where they are at hand. Counts are those of the published files.
#include <catch2/catch.hpp>

#include <map>

#include "eval/task_reader.h"
#include "support/skip.h"

using elastify_test::have_shared;
using elastify_test::shared_dir;

namespace {

// Items by family. Every file also meets what add_item checks.
void expect(const std::string& relative, const std::map<std::string, std::size_t>& families, std::size_t left_out,
            std::size_t options) {
  if (!have_shared("data/" + relative)) return;
  INFO(relative);
  const auto file = elastify::read_task_file(shared_dir() / "data" / relative);
  std::map<std::string, std::size_t> found;
  std::size_t most = 0, missing = 0;
  for (const auto& item : file.items) {
    ++found[item.task.family];
    most = std::max(most, item.task.options.size());
  }
  for (const auto& [reason, count] : file.left_out) missing += count;
  CHECK(found == families);
  CHECK(missing == left_out);
  CHECK(most == options);
}

}  // namespace

TEST_CASE("llm-foundry's evaluation sets are read", "[eval][unit]") {
  expect("eval-llm-foundry/arc_easy.jsonl", {{"arc_easy", 2369}}, 7, 4);
  expect("eval-llm-foundry/arc_challenge.jsonl", {{"arc_challenge", 1168}}, 4, 4);
  expect("eval-llm-foundry/openbook_qa.jsonl", {{"openbook_qa", 500}}, 0, 4);
  expect("eval-llm-foundry/boolq.jsonl", {{"boolq", 3270}}, 0, 2);
  expect("eval-llm-foundry/copa.jsonl", {{"copa", 100}}, 0, 2);
  expect("eval-llm-foundry/siqa.jsonl", {{"siqa", 1954}}, 0, 2);
  expect("eval-llm-foundry/commonsense_qa.jsonl", {{"commonsense_qa", 1221}}, 0, 4);
  expect("eval-llm-foundry/winogrande.jsonl", {{"winogrande", 1267}}, 0, 2);
  expect("eval-llm-foundry/winograd_wsc.jsonl", {{"winograd_wsc", 273}}, 0, 2);
}

TEST_CASE("the ElastiLM release's tasks and traces are read", "[eval][unit]") {
  expect("elastilm-release/Octopus_refined/val/android_benchmark.csv", {{"octopus", 178}}, 0, 21);
  expect("elastilm-release/LlamaTouch/test/llamatouch_task_metadata.tsv", {{"llamatouch", 490}}, 0, 74);
  expect("elastilm-release/traces/trace_0.json", {{"ARC_E", 100}, {"SCIQ", 100}, {"OBQA", 100}, {"PIQA", 100}}, 200, 5);
}

TEST_CASE("LlamaTouch's own table is read", "[eval][unit]") {
  expect("llamatouch/llamatouch_task_metadata.tsv", {{"llamatouch", 495}}, 0, 74);
}

TEST_CASE("a passage's question is cut from it", "[eval][unit]") {
  if (!have_shared("data/eval-llm-foundry/boolq.jsonl")) return;
  for (const auto& item : elastify::read_task_file(shared_dir() / "data/eval-llm-foundry/boolq.jsonl").items) {
    REQUIRE(item.task.context.substr(0, 9) == "Passage: ");
    REQUIRE(item.task.question.substr(0, 10) == "Question: ");
    REQUIRE(item.task.question.find('\n') == std::string::npos);
  }
}
