// Permute, then run: the full model must not change.
#include "reorder/reorder.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <functional>
#include <limits>

#include "model/decoder.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;

const fs::path kGoldens = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/models";

UnitOrder random_order(const ModelConfig& config) {
  torch::manual_seed(11);
  return order_by_importance(torch::rand({config.num_layers, config.num_kv_heads}),
                             torch::rand({config.num_layers, config.intermediate_size}));
}

}  // namespace

TEST_CASE("the checkpoint's order moves nothing", "[reorder][unit]") {
  const Checkpoint source = Checkpoint::open(kGoldens / "qwen2_bias_tied_bf16");
  const elastify_test::TempDir dir;
  write_reordered(source, order_of_checkpoint(source.config()), dir.path());
  const Checkpoint kept = Checkpoint::open(dir.path());
  for (const auto& tensor : expected_tensors(source.config())) {
    INFO(tensor.name);
    CHECK(torch::equal(kept.tensor(tensor.name), source.tensor(tensor.name)));
  }
}

TEST_CASE("reordering leaves the logits of every architecture unchanged", "[reorder][unit]") {
  for (const char* name :
       {"llama2_mha_f32", "llama_gqa_tied_f16", "llama3_rope_bf16", "mistral_window_bf16", "qwen2_bias_tied_bf16",
        "qwen3_sharded_bf16", "llama_bias_f16", "llama2c_v0_untied/model.bin", "smollm3_unturned_bf16", "gemma3_bf16",
        "phi3_longrope_f32"}) {
    DYNAMIC_SECTION(name) {
      const elastify_test::TempDir dir;
      const Checkpoint source = Checkpoint::open(kGoldens / name);
      write_reordered(source, random_order(source.config()), dir.path());
      const Checkpoint reordered = Checkpoint::open(dir.path());
      const torch::Tensor tokens = torch::randint(source.config().vocab_size, {2, 9}, torch::kInt64);
      REQUIRE(compare_logits(source, reordered, tokens) < 1e-10);
      REQUIRE_FALSE(torch::equal(source.tensor("model.layers.0.mlp.up_proj.weight"),
                                 reordered.tensor("model.layers.0.mlp.up_proj.weight")));
      REQUIRE(reordered.tensor("model.layers.0.mlp.up_proj.weight").scalar_type() ==
              source.tensor("model.layers.0.mlp.up_proj.weight").scalar_type());
    }
  }
}

TEST_CASE("a prefix of the reordered model is the original with the other units removed", "[reorder][unit]") {
  const elastify_test::TempDir dir;
  const Checkpoint source = Checkpoint::open(kGoldens / "qwen2_bias_tied_bf16");
  const ModelConfig& c = source.config();
  const UnitOrder order = random_order(c);
  write_reordered(source, order, dir.path());
  const LevelWidths widths{{1, 2}, {20, 7}};
  const Decoder sliced(slice_weights(load_weights(Checkpoint::open(dir.path()), torch::kCPU, torch::kFloat64), widths));
  const Decoder full(load_weights(source, torch::kCPU, torch::kFloat64));
  ForwardOptions options;
  options.tap = [&](std::int64_t layer, UnitKind kind, torch::Tensor activations) {
    const auto at = static_cast<std::size_t>(layer);
    const bool group = kind == UnitKind::kGroup;
    const auto& permutation = group ? order.groups[at] : order.neurons[at];
    const std::int64_t width = group ? c.group_width() : 1;
    torch::Tensor mask = torch::zeros({permutation.size(), width}, torch::kFloat64);
    for (std::int64_t i = 0; i < (group ? widths.kv_groups : widths.neurons)[at]; ++i)
      mask[permutation.order()[static_cast<std::size_t>(i)]] = 1;
    return activations * mask.view({-1});
  };
  const torch::Tensor tokens = torch::randint(c.vocab_size, {2, 9}, torch::kInt64);
  REQUIRE((sliced.logits(tokens) - full.logits(tokens, options)).abs().max().item<double>() < 1e-10);
}

TEST_CASE("logits that are all zero are equal logits", "[reorder][unit]") {
  const elastify_test::TempDir dir;
  const Checkpoint golden = Checkpoint::open(kGoldens / "llama2_mha_f32");
  const auto write = [&](const std::string& name, const std::function<void(std::map<std::string, torch::Tensor>&)>& f) {
    std::map<std::string, torch::Tensor> tensors;
    for (const auto& [tensor, shape] : expected_tensors(golden.config()))
      tensors[tensor] = golden.tensor(tensor).clone();
    f(tensors);
    fs::create_directories(dir / name);
    write_json(dir / name / "config.json", model_config_to_hf(golden.config()));
    write_safetensors(dir / name / "model.safetensors", tensors);
    return Checkpoint::open(dir / name);
  };
  const torch::Tensor tokens = torch::randint(golden.config().vocab_size, {1, 9}, torch::kInt64);
  const Checkpoint zero = write("zero", [](auto& t) { t[kHeadName].zero_(); });
  const Checkpoint same = write("same", [](auto& t) { t[kHeadName].zero_(); });
  REQUIRE(compare_logits(zero, same, tokens) == 0);
  REQUIRE(compare_logits(zero, golden, tokens) == std::numeric_limits<double>::infinity());
}
