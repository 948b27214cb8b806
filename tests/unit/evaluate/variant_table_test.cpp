// Which variants there are, and what they lay over a configuration.
#include "tlm/dual_head_file.h"
#include "unit/evaluate/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

std::vector<std::string> names_of(const std::vector<Variant>& table) {
  std::vector<std::string> names;
  for (const auto& variant : table) names.push_back(variant.name);
  return names;
}

}  // namespace

TEST_CASE("every variant of the shipped configuration changes what it is named after, and nothing of it is refused",
          "[evaluate][unit]") {
  const fs::path demo = ELASTIFY_SOURCE_DIR "/configs/demo.json";
  const std::string checkpoint = "checkpoint=" ELASTIFY_SOURCE_DIR "/datasets/models/assist-5m",
                    body = "tlm.body=" ELASTIFY_SOURCE_DIR "/datasets/models/assist-tlm";
  const auto load = [&](std::vector<std::string> overrides) {
    overrides.insert(overrides.begin(), {checkpoint, body});
    return load_pipeline_config(demo, overrides);
  };
  const auto table = variant_table(load({}));
  CHECK(names_of(table) == std::vector<std::string>{"no_reordering", "no_adapters", "no_score_head", "small_tlm",
                                                    "steps_of_5", "weights_f16", "weights_q8_0", "weights_iq4_nl",
                                                    "weights_q4_0"});
  const auto with = [&](const char* name) { return load(find_variant(table, name).overrides); };
  CHECK(with("no_reordering").reorder.order == "checkpoint");
  CHECK_FALSE(with("no_adapters").pack.adapters);
  CHECK(with("no_score_head").label.ranking == "random");
  CHECK(with("weights_q4_0").pack.dtype == "q4_0");
  const PipelineConfig finer = with("steps_of_5");
  const std::vector<std::int64_t> steps = {20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100};
  CHECK(finer.reorder.levels == steps);
  CHECK(finer.label.model_levels == steps);
  CHECK(finer.finetune.levels == std::vector<std::int64_t>{20, 25, 30, 35, 40, 45, 50});

  // The shipped tiny language model has 2 shared layers, 2 and 1.
  const PipelineConfig small = with("small_tlm");
  CHECK(small.tlm.model.body.empty());
  CHECK(small.tlm.model.vocabulary == ELASTIFY_SOURCE_DIR "/datasets/models/assist-tlm/vocab.txt");
  CHECK(small.tlm.model.size.num_layers == 2);
  const DualHeadConfig& heads = small.tlm.model.heads;
  CHECK(std::vector<std::int64_t>{heads.bottom_layers, heads.score_layers, heads.decision_layers} ==
        std::vector<std::int64_t>{1, 1, 1});
  TlmConfig shipped = read_dual_head(load({}).tlm.model.body, torch::kCPU, torch::kFloat32).body;
  shipped.num_layers = 2;
  CHECK(small.tlm.model.size.resolve(shipped.vocab_size) == shipped);
}

TEST_CASE("variants that change nothing are left out", "[evaluate][unit]") {
  const auto table = [](const std::vector<std::string>& more) {
    std::vector<std::string> overrides = {"checkpoint=x"};
    overrides.insert(overrides.end(), more.begin(), more.end());
    return variant_table(load_pipeline_config(ELASTIFY_SOURCE_DIR "/configs/smoke.json", overrides));
  };
  // No tasks: no tiny language model.
  CHECK(names_of(table({})) == std::vector<std::string>{"no_reordering", "no_adapters", "steps_of_5", "weights_f16",
                                                        "weights_q8_0", "weights_iq4_nl", "weights_q4_0"});
  CHECK(names_of(
            table({"reorder.order=checkpoint", "pack.adapters=false", "reorder.levels=[95,100]", "pack.dtype=q4_0"})) ==
        std::vector<std::string>{"weights_f16", "weights_q8_0", "weights_iq4_nl"});
  // Levels off the steps stay.
  CHECK(find_variant(table({"reorder.levels=[72,81,100]"}), "steps_of_5").overrides ==
        std::vector<std::string>{"reorder.levels=[72,75,80,81,85,90,95,100]"});
  const std::vector<std::string> tasks = {"label.train=[\"tasks.jsonl\"]"};
  const auto names = names_of(table({tasks[0], "tlm.heads.bottom_layers=1", "tlm.heads.score_layers=1"}));
  CHECK(std::count(names.begin(), names.end(), "small_tlm") == 0);
  CHECK(std::count(names.begin(), names.end(), "no_score_head") == 1);
  // The artifact takes its tiny language model from elsewhere.
  const auto given = names_of(table({tasks[0], "pack.tlm=elsewhere"}));
  CHECK(std::count(given.begin(), given.end(), "small_tlm") + std::count(given.begin(), given.end(), "no_score_head") ==
        0);
}

TEST_CASE("a published body is cut to half of what the heads take of it", "[evaluate][unit]") {
  const TempDir dir;
  TlmConfig shape = bert_base_config();
  shape.num_layers = 12;
  write_json(dir / "config.json", tlm_config_to_hf(shape));
  const auto small = [&](const std::vector<std::string>& more) {
    std::vector<std::string> overrides = {"checkpoint=x", "label.train=[\"tasks.jsonl\"]",
                                          "tlm.body=" + dir.path().string()};
    overrides.insert(overrides.end(), more.begin(), more.end());
    return find_variant(variant_table(load_pipeline_config(ELASTIFY_SOURCE_DIR "/configs/smoke.json", overrides)),
                        "small_tlm")
        .overrides;
  };
  CHECK(small({}) == std::vector<std::string>{"tlm.heads.bottom_layers=1", "tlm.heads.score_layers=1",
                                              "tlm.heads.decision_layers=1", "tlm.size.num_layers=2"});
  // 0: half of the body's 12, and all above.
  CHECK(small({"tlm.heads.bottom_layers=0", "tlm.heads.score_layers=0", "tlm.heads.decision_layers=4"}) ==
        std::vector<std::string>{"tlm.heads.bottom_layers=3", "tlm.heads.score_layers=3", "tlm.heads.decision_layers=2",
                                 "tlm.size.num_layers=6"});
}
