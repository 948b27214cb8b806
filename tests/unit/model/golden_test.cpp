// Every architecture against logits of an implementation that shares no code with this one
// (tests/golden/models/README.md).
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <set>

#include "base/torch.h"
#include "checkpoint/checkpoint.h"
#include "model/decoder.h"

namespace {

using namespace elastify;

const fs::path kGoldens = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/models";

struct Expected {
  torch::Tensor tokens, logits;
};

Expected read_expected(const fs::path& path, const std::string& logits = "logits",
                       const std::string& tokens = "tokens") {
  const auto stored = open_safetensors(path);
  return {stored.at(tokens).view(), stored.at(logits).view()};
}

fs::path checkpoint_path(const fs::path& folder) {
  return fs::exists(folder / "config.json") ? folder : folder / "model.bin";
}

// transformers computes rotary angles and Gemma's norms in float32, whatever the model's dtype.
double float64_tolerance(const fs::path& folder) {
  const fs::path config = folder / "config.json";
  return fs::exists(config) && read_json(config).contains("dtype") ? 2e-5 : 1e-8;
}

double largest_difference(const fs::path& folder, torch::ScalarType dtype) {
  const Expected expected = read_expected(folder / "expected.safetensors");
  const Decoder decoder(load_weights(Checkpoint::open(checkpoint_path(folder)), torch::kCPU, dtype));
  torch::NoGradGuard no_grad;
  return (decoder.logits(expected.tokens).to(torch::kFloat64) - expected.logits).abs().max().item<double>();
}

}  // namespace

TEST_CASE("every golden checkpoint gives the reference's logits", "[model][golden]") {
  std::set<std::string> seen;
  for (const auto& entry : fs::directory_iterator(kGoldens)) {
    if (!entry.is_directory()) continue;
    DYNAMIC_SECTION(entry.path().filename().string()) {
      // float64: only the order of sums differs, and the goldens keep 10 digits. float32: rounding of a few layers,
      // measured below 2e-5 on logits of a few units.
      REQUIRE(largest_difference(entry.path(), torch::kFloat64) < float64_tolerance(entry.path()));
      REQUIRE(largest_difference(entry.path(), torch::kFloat32) < 1e-4);
    }
    seen.insert(entry.path().filename().string());
  }
  REQUIRE(seen.size() == 16);
}

TEST_CASE("transformers 5 writes the same model with rope_parameters", "[model][golden]") {
  const fs::path folder = kGoldens / "llama3_rope_bf16";
  const ModelConfig old_style = model_config_from_hf(read_json(folder / "config.json"), "old");
  const ModelConfig new_style = model_config_from_hf(read_json(folder / "config_transformers5.json"), "new");
  REQUIRE(old_style.rope_theta == new_style.rope_theta);
  REQUIRE(old_style.rope_scaling.factor == new_style.rope_scaling.factor);
  REQUIRE(torch::equal(rotary_frequencies(old_style), rotary_frequencies(new_style)));
  REQUIRE(model_config_to_hf(old_style) == model_config_to_hf(new_style));
}

TEST_CASE("removed units give the reference's logits, by tap and by slicing", "[model][golden]") {
  const fs::path folder = kGoldens / "llama_gqa_tied_f16";
  const Decoder full(load_weights(Checkpoint::open(folder), torch::kCPU, torch::kFloat64));
  torch::NoGradGuard no_grad;
  const auto masked = read_json(folder / "masked.json");
  for (const auto& one : masked.at("cases")) {
    DYNAMIC_SECTION(one.at("name").get<std::string>()) {
      const Expected expected =
          read_expected(folder / masked.at("file").get<std::string>(), one.at("tensor").get<std::string>());
      const auto groups = one.at("kv_groups").get<std::vector<std::vector<std::int64_t>>>();
      const auto neurons = one.at("neurons").get<std::vector<std::vector<std::int64_t>>>();
      ForwardOptions options;
      options.tap = [&](std::int64_t layer, UnitKind kind, torch::Tensor activations) {
        const auto& kept = (kind == UnitKind::kGroup ? groups : neurons)[static_cast<std::size_t>(layer)];
        const std::int64_t width = kind == UnitKind::kGroup ? full.config().group_width() : 1;
        torch::Tensor mask = torch::zeros({activations.size(-1) / width, width}, torch::kFloat64);
        for (const auto unit : kept) mask[unit] = 1;
        return activations * mask.view({-1});
      };
      REQUIRE((full.logits(expected.tokens, options) - expected.logits).abs().max().item<double>() < 1e-8);
      if (one.at("name") != "prefix") continue;
      LevelWidths widths;
      for (const auto& kept : groups) widths.kv_groups.push_back(static_cast<std::int64_t>(kept.size()));
      for (const auto& kept : neurons) widths.neurons.push_back(static_cast<std::int64_t>(kept.size()));
      const Decoder sliced(slice_weights(full.weights(), widths));
      REQUIRE((sliced.logits(expected.tokens) - expected.logits).abs().max().item<double>() < 1e-8);
    }
  }
}

TEST_CASE("a key-value cache gives the logits of one whole pass", "[model][unit]") {
  const fs::path folder = kGoldens / "mistral_window_bf16";
  const Expected expected = read_expected(folder / "expected.safetensors");
  const Decoder decoder(load_weights(Checkpoint::open(folder), torch::kCPU, torch::kFloat64));
  torch::NoGradGuard no_grad;
  KvCache cache;
  ForwardOptions options;
  options.cache = &cache;
  std::vector<torch::Tensor> steps = {decoder.logits(expected.tokens.narrow(1, 0, 3), options)};
  for (std::int64_t t = 3; t < expected.tokens.size(1); ++t)
    steps.push_back(decoder.logits(expected.tokens.narrow(1, t, 1), options));
  REQUIRE((torch::cat(steps, 1) - expected.logits).abs().max().item<double>() < 1e-8);
}
