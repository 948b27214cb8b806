#include "finetune/flat_adapter.h"
#include "model/decoder.h"
#include "unit/finetune/support.h"

using namespace elastify;
using namespace elastify_test;

namespace {

torch::Tensor some_tokens() { return pattern_rows(3, 10).inputs; }

ForwardOptions with(const Adapter& adapter) {
  ForwardOptions options;
  options.adapter = &adapter;
  return options;
}

}  // namespace

TEST_CASE("a fresh adapter changes nothing, because B is zero", "[finetune][unit]") {
  const Decoder decoder(tiny_model({}, 1, torch::kFloat64));
  const Adapter adapter = make_adapter(decoder.weights(), all_targets(), 4, 16, 0.1, 5);
  CHECK(torch::equal(decoder.logits(some_tokens(), with(adapter)), decoder.logits(some_tokens())));
}

TEST_CASE("an unmerged adapter computes what its merged weights compute", "[finetune][unit]") {
  TinyShape shape;
  shape.qkv_bias = shape.qk_norm = true;
  const ModelWeights weights = tiny_model(shape, 2, torch::kFloat64);
  const Adapter adapter = busy_adapter(weights);
  const Decoder plain(weights), merged(merge_adapter(weights, adapter));
  CHECK(torch::allclose(plain.logits(some_tokens(), with(adapter)), merged.logits(some_tokens()), 1e-10, 1e-10));
  CHECK_FALSE(torch::allclose(plain.logits(some_tokens()), merged.logits(some_tokens()), 1e-3, 1e-3));
}

TEST_CASE("a sliced sub-model equals the full one with its other units masked, gradients of the adapter included",
          "[finetune][unit]") {
  const ModelWeights weights = tiny_model({}, 4, torch::kFloat64);
  const LevelPlan level = half_level(weights.config);
  Adapter large = busy_adapter(weights);
  for (const auto& parameter : large.parameters()) parameter.requires_grad_();
  Adapter small = slice_adapter(large, weights.config, level.widths);
  for (auto& block : small.blocks) {
    for (auto& pair : block)
      pair = {pair.a.detach().clone().requires_grad_(), pair.b.detach().clone().requires_grad_()};
  }
  ForwardOptions masked = with(large);
  masked.tap = [&](std::int64_t layer, UnitKind kind, torch::Tensor x) {
    const auto index = static_cast<std::size_t>(layer);
    const std::int64_t kept = kind == UnitKind::kGroup ? level.widths.kv_groups[index] * weights.config.group_width()
                                                       : level.widths.neurons[index];
    const torch::Tensor mask = (torch::arange(x.size(-1)) < kept).to(x.dtype());
    return x * mask;
  };
  const torch::Tensor full = Decoder(weights).logits(some_tokens(), masked);
  const torch::Tensor sliced = Decoder(slice_weights(weights, level.widths)).logits(some_tokens(), with(small));
  REQUIRE(torch::allclose(full, sliced, 1e-10, 1e-10));

  full.square().sum().backward();
  sliced.square().sum().backward();
  for (auto& block : large.blocks) {
    for (auto& pair : block) pair = {pair.a.grad(), pair.b.grad()};
  }
  const Adapter expected = slice_adapter(large, weights.config, level.widths);
  for (std::size_t i = 0; i < expected.parameters().size(); ++i) {
    CHECK(torch::allclose(expected.parameters()[i], small.parameters()[i].grad(), 1e-8, 1e-8));
  }
}

TEST_CASE("empty halves have no factors, and what the others have is what merged weights compute", "[finetune][unit]") {
  const ModelWeights weights = tiny_model({}, 4, torch::kFloat64);
  const LevelWidths widths{{0, 1}, {48, 0}};
  const ModelWeights sliced = slice_weights(weights, widths);
  const Adapter fresh = busy_adapter(sliced), cut = slice_adapter(busy_adapter(weights), weights.config, widths);
  for (const Adapter& adapter : {fresh, cut}) {
    for (std::size_t target = 0; target < kTargetNames.size(); ++target) {
      const bool attention = target <= static_cast<std::size_t>(Target::kO);
      CHECK(adapter.blocks[0][target].defined() == !attention);
      CHECK(adapter.blocks[1][target].defined() == attention);
    }
    const Decoder plain(sliced), merged(merge_adapter(sliced, adapter));
    CHECK(torch::allclose(plain.logits(some_tokens(), with(adapter)), merged.logits(some_tokens()), 1e-10, 1e-10));
  }
  // Levels nest: what an empty half's parent gives is empty again, and files keep it so.
  CHECK_FALSE(slice_adapter(cut, weights.config, {{0, 0}, {16, 0}}).blocks[1][0].defined());
  const TempDir dir;
  save_adapter(dir.path(), cut);
  const Adapter loaded = load_adapter(dir.path(), weights.config, torch::kCPU, torch::kFloat64);
  CHECK(loaded.weight_count() == cut.weight_count());
  CHECK_FALSE(loaded.blocks[0][0].defined());
}

TEST_CASE("a flat adapter's factors and gradients are views of its two buffers", "[finetune][unit]") {
  const ModelWeights weights = tiny_model();
  const Decoder decoder(weights);
  const Adapter adapter = busy_adapter(weights);
  FlatAdapter flat = flatten_adapter(adapter);
  REQUIRE(flat.values.numel() == adapter.weight_count());
  decoder.logits(some_tokens(), with(flat.adapter)).square().mean().backward();
  std::int64_t offset = 0;
  for (const auto& parameter : flat.adapter.parameters()) {
    CHECK(torch::equal(parameter.grad().flatten(), flat.gradients.narrow(0, offset, parameter.numel())));
    offset += parameter.numel();
  }
  CHECK(flat.gradients.abs().sum().item<float>() > 0);
  flat.values.zero_();
  CHECK(torch::equal(decoder.logits(some_tokens(), with(flat.adapter)), decoder.logits(some_tokens())));
}
