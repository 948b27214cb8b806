// Exported Hugging Face folders and PEFT adapters: read again, they give the level's logits and other engines' own.
#include "export/export.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "model/decoder.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"
#include "tiny_run.h"

namespace {

using namespace elastify;
using elastify_test::checkpoint_logits;
using elastify_test::difference;
using elastify_test::expect_error;
using elastify_test::level_logits;
using elastify_test::TempDir;
using nlohmann::json;

const fs::path kGoldens = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/export";

torch::Tensor some_tokens() { return torch::arange(24, torch::kInt64) * 17 % 62; }

ExportOptions options_for(const fs::path& source, const char* format, const fs::path& out, std::int64_t level = 50) {
  ExportOptions options;
  options.source = source, options.level = level, options.format = format, options.out = out, options.dtype = "f32";
  return options;
}

json example(const char* name) { return elastify_test::export_cases().at(name); }

}  // namespace

TEST_CASE("an exported folder gives the level's logits and those that transformers and llama.cpp gave",
          "[export][golden]") {
  const json cases = elastify_test::export_cases();
  for (const auto& [name, what] : cases.items()) {
    DYNAMIC_SECTION(name) {
      const TempDir dir;
      elastify_test::write_tiny_run(what, dir / "run");
      const auto stored = open_safetensors(kGoldens / (name + ".safetensors"));
      const torch::Tensor tokens = stored.at("tokens").view(), rows = stored.at("rows").view();
      for (const std::int64_t level : {50, 100}) {
        const fs::path out = dir / std::to_string(level);
        const json summary = export_level(options_for(dir / "run", "hf", out, level));
        const torch::Tensor ours = level_logits(dir / "run", level, tokens), found = checkpoint_logits(out, tokens);
        // Merged weights are rounded to float32 once.
        CHECK(difference(ours, found) < 1e-5);
        for (const char* engine : {"transformers", "llama_cpp"}) {
          // Float32 sums in another order: measured up to 8e-7. ggml looks GELU up in a table of half floats: 3e-4.
          const bool table = name == "gemma3_widths" && std::string(engine) == "llama_cpp";
          const torch::Tensor theirs = stored.at(fmt::format("{}.{}", engine, level)).view();
          CHECK(difference(theirs, found.index_select(0, rows)) < (table ? 1e-3 : 1e-5));
        }
        CHECK(summary.at("adapter").is_null() == (level == 100));
      }
    }
  }
}

TEST_CASE("layers of different widths are padded with zeros, and empty ones left out", "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("llama_empty"), dir / "run");  // groups 0 2 0 3 0, neurons 64 0 0 32 64
  const json summary = export_level(options_for(dir / "run", "hf", dir / "out"));
  REQUIRE(summary.at("layers") == 4);
  REQUIRE(summary.at("layers_left_out") == 1);
  REQUIRE(summary.at("kv_groups") == json({3, 3, 3, 3}));
  REQUIRE(summary.at("neurons") == json({64, 64, 64, 64}));
  REQUIRE(summary.at("zero_groups") == 12 - 5);
  REQUIRE(summary.at("zero_neurons") == 256 - 160);
  const Checkpoint out = Checkpoint::open(dir / "out");
  REQUIRE(out.config().num_layers == 4);
  // The first layer has no attention: nothing comes of its o_proj, its bias included.
  REQUIRE(out.tensor("model.layers.0.self_attn.o_proj.weight").abs().max().item<float>() == 0);
  REQUIRE(out.tensor("model.layers.0.self_attn.o_proj.bias").abs().max().item<float>() == 0);
  REQUIRE(out.tensor("model.layers.1.mlp.down_proj.weight").abs().max().item<float>() == 0);
  auto strict = options_for(dir / "run", "hf", dir / "other");
  strict.pad = false;
  expect_error(ErrorCode::kUsage, {"level 50", "different numbers of units", "--no-pad"},
               [&] { export_level(strict); });
  REQUIRE_FALSE(fs::exists(dir / "other"));
  strict.level = 100;
  REQUIRE(export_level(strict).at("zero_groups") == 0);
}

TEST_CASE("the width of a head is stated where heads together are not as wide as the model", "[export][unit]") {
  for (const char* name : {"qwen2_even", "llama_even", "qwen3_widths"}) {
    const TempDir dir;
    elastify_test::write_tiny_run(example(name), dir / "run");
    export_level(options_for(dir / "run", "hf", dir / "out"));
    const json config = read_json(dir / "out" / "config.json");
    INFO(name);
    REQUIRE(config.at("head_dim") == example(name).at("config").at("head_dim"));
    REQUIRE(config.at("num_attention_heads") == 2 * config.at("num_key_value_heads").get<int>());
    REQUIRE(config.at("bos_token_id") == 62);
    REQUIRE(config.at("eos_token_id") == 63);
  }
}

TEST_CASE("a PEFT adapter over its base is the level", "[export][unit]") {
  for (const char* name : {"llama_widths", "llama_empty", "qwen3_widths"}) {
    DYNAMIC_SECTION(name) {
      const TempDir dir;
      elastify_test::write_tiny_run(example(name), dir / "run");
      const json summary = export_level(options_for(dir / "run", "peft", dir / "out"));
      REQUIRE(summary.at("adapter") == "separate");
      const json config = read_json(dir / "out" / "adapter_config.json");
      REQUIRE(config.at("target_modules").size() == 7);
      const double scale = config.at("lora_alpha").get<double>() / config.at("r").get<double>();
      const auto tensors = open_safetensors(dir / "out" / "adapter_model.safetensors");
      const Checkpoint base = Checkpoint::open(dir / "out" / "base");
      std::map<std::string, torch::Tensor> merged;
      for (const auto& [tensor, shape] : expected_tensors(base.config())) {
        torch::Tensor value = base.tensor(tensor);
        const std::string module = "base_model.model." + tensor.substr(0, tensor.rfind('.'));
        if (const auto a = tensors.find(module + ".lora_A.weight"); tensor.ends_with(".weight") && a != tensors.end())
          value = value + tensors.at(module + ".lora_B.weight").view().mm(a->second.view()) * scale;
        merged[tensor] = value;
      }
      REQUIRE(tensors.size() == static_cast<std::size_t>(base.config().num_layers) * 14);
      write_safetensors(dir / "out" / "base" / "model.safetensors", merged);
      REQUIRE(difference(level_logits(dir / "run", 50, some_tokens()),
                         checkpoint_logits(dir / "out" / "base", some_tokens())) < 1e-5);
      expect_error(ErrorCode::kUsage, {"level 100", "no adapter"},
                   [&] { export_level(options_for(dir / "run", "peft", dir / "full", 100)); });
    }
  }
}

TEST_CASE("without the adapter a level is exported as it was cut", "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("qwen2_widths"), dir / "run");
  auto options = options_for(dir / "run", "hf", dir / "out");
  options.adapter = false;
  REQUIRE(export_level(options).at("adapter").is_null());
  REQUIRE(difference(level_logits(dir / "run", 50, some_tokens(), false),
                     checkpoint_logits(dir / "out", some_tokens())) < 1e-6);
}

TEST_CASE("float types are the ones asked for, and values beyond float16 are refused", "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("llama_even"), dir / "run");
  auto options = options_for(dir / "run", "hf", dir / "out");
  options.dtype = "bf16";
  export_level(options);
  REQUIRE(read_json(dir / "out" / "config.json").at("torch_dtype") == "bfloat16");
  REQUIRE(Checkpoint::open(dir / "out").tensor(kEmbeddingName).scalar_type() == torch::kBFloat16);
  options.dtype = "q8_0", options.out = dir / "q8";
  expect_error(ErrorCode::kUsage, {"q8_0", "--format hf", "f32, f16 or bf16"}, [&] { export_level(options); });
  std::map<std::string, torch::Tensor> tensors;
  const Checkpoint checkpoint = Checkpoint::open(dir / "run" / "reordered");
  for (const auto& [name, shape] : expected_tensors(checkpoint.config()))
    tensors[name] = checkpoint.tensor(name).clone();
  tensors.at(kFinalNormName)[3] = 1e6;
  write_safetensors(dir / "run" / "reordered" / "model.safetensors", tensors);
  for (const char* format : {"hf", "gguf"}) {
    options.format = format, options.dtype = "f16", options.out = dir / (std::string("f16-") + format);
    if (std::string(format) == "gguf") {
      REQUIRE_NOTHROW(export_level(options));  // norms are float32 there
      continue;
    }
    expect_error(ErrorCode::kBadData, {"model.norm.weight", "65504", "f32 or bf16"}, [&] { export_level(options); });
    REQUIRE_FALSE(fs::exists(options.out));
  }
}

TEST_CASE("what is in the way of an export stays as it is", "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("llama_even"), dir / "run");
  auto options = options_for(dir / "run", "hf", dir / "out");
  export_level(options);
  expect_error(ErrorCode::kUsage, {"exists", "--force"}, [&] { export_level(options); });
  options.force = true;
  REQUIRE_NOTHROW(export_level(options));
  write_file(dir / "out" / "mine.txt", "mine");
  expect_error(ErrorCode::kUsage, {"mine.txt", "in the way"}, [&] { export_level(options); });
  REQUIRE(read_file(dir / "out" / "mine.txt") == "mine");
  for (const char* inside : {"run", "run/reordered", "run/plan.json", "."}) {
    options.out = dir / inside;
    options.format = std::string(inside).ends_with("json") ? "gguf" : "hf";
    INFO(inside);
    expect_error(ErrorCode::kUsage, {"--out"}, [&] { export_level(options); });
  }
  REQUIRE(fs::exists(dir / "run" / "plan.json"));
  options = options_for(dir / "run", "gguf", dir / "out");
  options.force = true;
  expect_error(ErrorCode::kUsage, {"no file"}, [&] { export_level(options); });
  write_file(dir / "file", "x");
  options = options_for(dir / "run", "gguf", dir / "file");
  expect_error(ErrorCode::kUsage, {"exists", "--force"}, [&] { export_level(options); });
  REQUIRE(read_file(dir / "file") == "x");
  options.format = "hf";
  expect_error(ErrorCode::kUsage, {"is a file"}, [&] { export_level(options); });
}

TEST_CASE("sources that cannot be exported are told apart", "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("llama_even"), dir / "run");
  expect_error(ErrorCode::kUsage, {"does not exist"},
               [&] { export_level(options_for(dir / "none", "hf", dir / "o")); });
  fs::create_directory(dir / "empty");
  expect_error(ErrorCode::kUsage, {"run directory", "elastify build"},
               [&] { export_level(options_for(dir / "empty", "hf", dir / "o")); });
  expect_error(ErrorCode::kUsage, {"60"}, [&] { export_level(options_for(dir / "run", "hf", dir / "o", 60)); });
  write_file(dir / "run" / "finetune.json", "{\"levels\": 3}");
  expect_error(ErrorCode::kBadData, {"finetune.json"},
               [&] { export_level(options_for(dir / "run", "hf", dir / "o")); });
  REQUIRE_FALSE(fs::exists(dir / "o"));
}

TEST_CASE("what the other families' formats lack is refused, and where layers count they keep their numbers",
          "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("fused_widths"), dir / "phi");
  expect_error(ErrorCode::kUsage, {"Phi-3 multiplies by several", "--format hf"},
               [&] { export_level(options_for(dir / "phi", "peft", dir / "peft")); });
  const Checkpoint phi = Checkpoint::open(dir / "phi/reordered");
  REQUIRE(phi.config().rope_scaling.kind == RopeScaling::Kind::kLongRope);
  json gemma = example("gemma3_widths");
  gemma["config"]["layer_types"][1] = "full_attention";
  elastify_test::write_tiny_run(gemma, dir / "gemma");
  expect_error(ErrorCode::kUsage, {"other layers without the window", "every 6th layer", "--format hf"},
               [&] { export_level(options_for(dir / "gemma", "gguf", dir / "gemma.gguf")); });
  json smol = example("smollm3_widths");
  smol["kv_groups"][2] = smol["neurons"][2] = 0;  // gone from a folder, which says which layers turn
  elastify_test::write_tiny_run(smol, dir / "smol");
  export_level(options_for(dir / "smol", "hf", dir / "smol-hf"));
  REQUIRE(read_json(dir / "smol-hf/config.json").at("no_rope_layers") == json({1, 1, 0, 1}));
  REQUIRE(difference(level_logits(dir / "smol", 50, some_tokens()), checkpoint_logits(dir / "smol-hf", some_tokens())) <
          1e-5);
}
