// Checkpoints that are missing, damaged or not supported.
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <functional>
#include <limits>

#include "base/torch.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/random_checkpoint.h"
#include "model/weights.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::TempDir;
using nlohmann::json;

json small_config() {
  return {{"model_type", "llama"},
          {"vocab_size", 11},
          {"hidden_size", 8},
          {"intermediate_size", 12},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"max_position_embeddings", 16},
          {"rms_norm_eps", 1e-5},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", false},
          {"torch_dtype", "float32"}};
}

using Tensors = std::map<std::string, torch::Tensor>;

Tensors small_tensors(const ModelConfig& config) {
  Tensors tensors;
  for (const auto& [name, shape] : expected_tensors(config)) tensors[name] = torch::randn(shape);
  return tensors;
}

// Writes a sound checkpoint, lets `damage` change it, and opens it.
void open_damaged(const std::function<void(json&, Tensors&)>& damage) {
  const TempDir dir;
  json config = small_config();
  Tensors tensors = small_tensors(model_config_from_hf(config, "test"));
  damage(config, tensors);
  write_json(dir / "config.json", config);
  write_safetensors(dir / "model.safetensors", tensors);
  Checkpoint::open(dir.path());
}

void expect_refused(std::initializer_list<const char*> words, const std::function<void(json&, Tensors&)>& damage) {
  expect_error(ErrorCode::kBadData, words, [&] { open_damaged(damage); });
}

}  // namespace

TEST_CASE("a sound checkpoint opens", "[io][unit]") {
  REQUIRE_NOTHROW(open_damaged([](json&, Tensors&) {}));
}

TEST_CASE("missing checkpoints are named", "[io][unit]") {
  const TempDir dir;
  expect_error(ErrorCode::kBadData, {"does not exist"}, [&] { Checkpoint::open(dir / "nothing"); });
  expect_error(ErrorCode::kBadData, {"expected a checkpoint"}, [&] { Checkpoint::open(dir.path()); });
  write_json(dir / "config.json", small_config());
  expect_error(ErrorCode::kBadData, {"found neither"}, [&] { Checkpoint::open(dir.path()); });
}

TEST_CASE("wrong tensors are refused by name", "[io][unit]") {
  const std::string q = "model.layers.1.self_attn.q_proj.weight";
  expect_refused({"model.layers.1.self_attn.q_proj.weight", "missing"}, [&](json&, Tensors& t) { t.erase(q); });
  expect_refused({"wrong shape", "[8, 8]", "[8, 7]"}, [&](json&, Tensors& t) { t[q] = torch::zeros({8, 7}); });
  expect_refused({"dtype I64"}, [&](json&, Tensors& t) { t[q] = torch::zeros({8, 8}, torch::kInt64); });
  expect_refused({"experts", "not part of"},
                 [&](json&, Tensors& t) { t["model.layers.0.mlp.experts.weight"] = torch::zeros({1}); });
  expect_refused({"lm_head.weight", "missing"}, [&](json&, Tensors& t) { t.erase("lm_head.weight"); });
}

TEST_CASE("a tied head may be stored under either name", "[io][unit]") {
  REQUIRE_NOTHROW(open_damaged([](json& c, Tensors& t) {
    c["tie_word_embeddings"] = true;
    t.erase("model.embed_tokens.weight");
  }));
  REQUIRE_NOTHROW(open_damaged([](json& c, Tensors& t) {
    c["tie_word_embeddings"] = true;
    t.erase("lm_head.weight");
  }));
}

TEST_CASE("unknown architectures and features are refused, never ignored", "[io][unit]") {
  expect_refused({"model_type 'gpt2'", "llama, mistral"}, [](json& c, Tensors&) { c["model_type"] = "gpt2"; });
  expect_refused({"hidden_act 'gelu'"}, [](json& c, Tensors&) { c["hidden_act"] = "gelu"; });
  expect_refused({"mlp_bias"}, [](json& c, Tensors&) { c["mlp_bias"] = true; });
  expect_refused({"quantised"}, [](json& c, Tensors&) { c["quantization_config"] = json::object(); });
  expect_refused({"rope_scaling type 'yarn'"}, [](json& c, Tensors&) {
    c["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 2.0}};
  });
  expect_refused({"use_sliding_window"}, [](json& c, Tensors&) {
    c["model_type"] = "qwen2";
    c["use_sliding_window"] = true;
  });
}

TEST_CASE("impossible dimensions are refused", "[io][unit]") {
  expect_refused({"vocab_size", "found 0"}, [](json& c, Tensors&) { c["vocab_size"] = 0; });
  expect_refused({"hidden_size", "whole number"}, [](json& c, Tensors&) { c["hidden_size"] = "wide"; });
  expect_refused({"multiple of"}, [](json& c, Tensors&) { c["num_key_value_heads"] = 3; });
  expect_refused({"must be even"}, [](json& c, Tensors&) { c["head_dim"] = 3; });
  expect_refused({"num_hidden_layers", "missing"}, [](json& c, Tensors&) { c.erase("num_hidden_layers"); });
  expect_refused({"rms_norm_eps"}, [](json& c, Tensors&) { c["rms_norm_eps"] = -1; });
}

TEST_CASE("NaN and infinite weights are found when a tensor is read", "[io][unit]") {
  for (const double poison : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    const TempDir dir;
    json config = small_config();
    Tensors tensors = small_tensors(model_config_from_hf(config, "test"));
    tensors["model.layers.1.mlp.down_proj.weight"][3][5] = poison;
    write_json(dir / "config.json", config);
    write_safetensors(dir / "model.safetensors", tensors);
    const Checkpoint checkpoint = Checkpoint::open(dir.path());
    expect_error(ErrorCode::kBadData, {"model.layers.1.mlp.down_proj.weight", "NaN"},
                 [&] { load_weights(checkpoint, torch::kCPU, torch::kFloat32); });
  }
}

TEST_CASE("damaged shard indexes are refused", "[io][unit]") {
  const TempDir dir;
  write_json(dir / "config.json", small_config());
  const auto with_index = [&](const json& index) {
    write_json(dir / "model.safetensors.index.json", index);
    Checkpoint::open(dir.path());
  };
  expect_error(ErrorCode::kBadData, {"weight_map"}, [&] { with_index({{"metadata", 1}}); });
  expect_error(ErrorCode::kBadData, {"same folder"}, [&] {
    with_index({{"weight_map", {{"a", "../elsewhere.safetensors"}}}});
  });
  expect_error(ErrorCode::kBadData, {"cannot open"}, [&] {
    with_index({{"weight_map", {{"a", "model-1.safetensors"}}}});
  });
  write_safetensors(dir / "model-1.safetensors", {{"b", torch::ones({1})}});
  expect_error(ErrorCode::kBadData, {"tensor a is in none"}, [&] {
    with_index({{"weight_map", {{"a", "model-1.safetensors"}}}});
  });
}

TEST_CASE("llama2.c files of the wrong size or version are refused", "[io][unit]") {
  const TempDir dir;
  const std::string whole =
      elastify_test::read_bytes(fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/models/llama2c_v0_tied/model.bin");
  const auto open_bytes = [&](const std::string& bytes) {
    elastify_test::write_bytes(dir / "model.bin", bytes);
    Checkpoint::open(dir / "model.bin");
  };
  REQUIRE_NOTHROW(open_bytes(whole));
  expect_error(ErrorCode::kBadData, {"truncated"}, [&] { open_bytes(whole.substr(0, 100)); });
  expect_error(ErrorCode::kBadData, {"truncated"}, [&] { open_bytes(whole.substr(0, whole.size() - 1)); });
  expect_error(ErrorCode::kBadData, {"by its header"}, [&] { open_bytes(whole + "x"); });
  std::string negative = whole;
  negative[3] = '\x80';
  expect_error(ErrorCode::kBadData, {"hidden_size"}, [&] { open_bytes(negative); });
  std::string quantised =
      elastify_test::read_bytes(fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/models/llama2c_v1_tied/model.bin");
  quantised[4] = 2;
  expect_error(ErrorCode::kBadData, {"version 2"}, [&] { open_bytes(quantised); });
}

TEST_CASE("a random checkpoint of every architecture opens and repeats its bytes", "[io][unit]") {
  for (const char* type : {"llama", "mistral", "qwen2", "qwen3"}) {
    const TempDir dir;
    json document = small_config();
    document["model_type"] = type;
    document["vocab_size"] = 300;
    document["torch_dtype"] = "bfloat16";
    const ModelConfig config = model_config_from_hf(document, "test");
    write_random_checkpoint(config, 7, dir / "a");
    write_random_checkpoint(config, 7, dir / "b");
    write_random_checkpoint(config, 8, dir / "c");
    REQUIRE_NOTHROW(load_weights(Checkpoint::open(dir / "a"), torch::kCPU, torch::kFloat32));
    const auto bytes = [&](const char* name) { return elastify_test::read_bytes((dir / name) / "model.safetensors"); };
    REQUIRE(bytes("a") == bytes("b"));
    REQUIRE(bytes("a") != bytes("c"));
  }
}
