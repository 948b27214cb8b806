// Checkpoints that are missing, damaged or not supported.
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <functional>
#include <limits>

#include <fmt/ranges.h>

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

// Writes a sound checkpoint after `damage` has changed it.
void write_checkpoint(const fs::path& folder, const std::function<void(json&, Tensors&)>& damage = {}) {
  json config = small_config();
  Tensors tensors = small_tensors(model_config_from_hf(config, "test"));
  if (damage) damage(config, tensors);
  write_json(folder / "config.json", config);
  write_safetensors(folder / "model.safetensors", tensors);
}

// Writes a sound checkpoint, lets `damage` change it, opens it and says what the import noted.
std::string open_damaged(const std::function<void(json&, Tensors&)>& damage) {
  const TempDir dir;
  write_checkpoint(dir.path(), damage);
  const Checkpoint checkpoint = Checkpoint::open(dir.path());
  return fmt::format("{}", fmt::join(checkpoint.notes(), "\n"));
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
  expect_error(ErrorCode::kBadData, {"expected a Hugging Face folder"}, [&] { Checkpoint::open(dir.path()); });
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

TEST_CASE("a tied head that differs from the embedding is kept, and said", "[io][unit]") {
  const TempDir dir;
  Tensors written;
  write_checkpoint(dir.path(), [&](json& c, Tensors& t) {
    c["tie_word_embeddings"] = true;
    written = t;
  });
  const Checkpoint checkpoint = Checkpoint::open(dir.path());
  REQUIRE_FALSE(checkpoint.config().tied_embeddings);
  REQUIRE(torch::equal(checkpoint.tensor(kHeadName), written[kHeadName]));
  REQUIRE(checkpoint.notes().size() == 1);
  REQUIRE_THAT(checkpoint.notes()[0], Catch::Matchers::Contains("lm_head.weight differs"));
  const auto as_tied = [](torch::ScalarType dtype) {
    return open_damaged([dtype](json& c, Tensors& t) {
      c["tie_word_embeddings"] = true;
      t[kEmbeddingName] = t[kEmbeddingName].to(torch::kBFloat16).to(torch::kFloat32);
      t[kHeadName] = t[kEmbeddingName].to(dtype);
    });
  };
  REQUIRE(as_tied(torch::kFloat32).empty());
  REQUIRE(as_tied(torch::kBFloat16).empty());
}

TEST_CASE("rotary settings are honoured or refused by name", "[io][unit]") {
  const auto refused = [](std::initializer_list<const char*> words, const json& settings) {
    expect_refused(words, [&](json& c, Tensors&) { c.update(settings); });
  };
  const json linear = {{"rope_type", "linear"}, {"factor", 4.0}}, plain = {{"rope_type", "default"}};
  refused({"rope_scaling", "factor is missing"}, {{"rope_scaling", {{"type", "linear"}}}});
  refused({"rope_parameters", "partial_rotary_factor 0.5"}, {{"rope_parameters", {{"partial_rotary_factor", 0.5}}}});
  refused({"partial_rotary_factor 0.5"}, {{"partial_rotary_factor", 0.5}});
  refused({"rope_parameters", "layer type (full_attention, sliding_attention)"},
          {{"rope_parameters", {{"full_attention", linear}, {"sliding_attention", plain}}}});
  refused({"rope_parameters", "something else than", "rope_scaling"},
          {{"rope_scaling", linear}, {"rope_parameters", plain}});
  refused({"rope_parameters", "rope_theta is 5000", "10000"},
          {{"rope_theta", 10000.0}, {"rope_parameters", {{"rope_theta", 5000.0}}}});
  refused({"rope_scaling", "attention_factor"},
          {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}, {"attention_factor", 0.5}}}});
  refused({"rope_scaling", "factor of 8"}, {{"rope_scaling", {{"rope_type", "default"}, {"factor", 8.0}}}});
  refused({"low_freq_factor is missing"}, {{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}}});
  refused({"layer_types", "sliding_attention"},
          {{"model_type", "qwen2"}, {"layer_types", {"full_attention", "sliding_attention"}}});

  json both = small_config();
  both.update({{"rope_theta", 5000.0}, {"rope_scaling", linear}, {"rope_parameters", linear}});
  both["rope_parameters"]["rope_theta"] = 5000.0;
  const ModelConfig config = model_config_from_hf(both, "both");
  CHECK(config.rope_theta == 5000);
  CHECK(config.rope_scaling.kind == RopeScaling::Kind::kLinear);
  CHECK(config.rope_scaling.factor == 4);
}

TEST_CASE("keys of a configuration that nobody reads are named", "[io][unit]") {
  CHECK(open_damaged([](json& c, Tensors&) {
          c.update({{"architectures", {"LlamaForCausalLM"}}, {"use_cache", true}, {"pretraining_tp", nullptr}});
        }).empty());
  const std::string notes = open_damaged([](json& c, Tensors&) {
    c.update(
        {{"logit_scale", 0.5}, {"residual_multiplier", 2.0}, {"transformers_version", "4.41.2"}, {"odd", nullptr}});
  });
  CHECK_THAT(notes, Catch::Matchers::Contains("config.json: ignored") &&
                        Catch::Matchers::Contains("logit_scale, residual_multiplier;"));
}

TEST_CASE("a file of a folder stands for its folder; other files are told what they are", "[io][unit]") {
  const TempDir dir;
  write_checkpoint(dir.path());
  write_file(dir / "tokenizer.json", "{}");
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"}) {
    const Checkpoint checkpoint = Checkpoint::open(dir / name);
    CHECK(checkpoint.path() == dir.path());
    CHECK_THAT(checkpoint.notes().at(0), Catch::Matchers::Contains("stands for its folder"));
  }
  CHECK(Checkpoint::open(dir.path() / "").name() == dir.path().filename());

  const TempDir other;
  const auto refused = [&](const char* name, const std::string& bytes, std::initializer_list<const char*> words) {
    elastify_test::write_bytes(other / name, bytes);
    expect_error(ErrorCode::kBadData, words, [&] { Checkpoint::open(other / name); });
    expect_error(ErrorCode::kBadData, words, [&] { Checkpoint::open(other.path()); });
    fs::remove(other / name);
  };
  const std::string zeros(400, '\0');
  refused("m.gguf", "GGUF" + zeros, {"m.gguf", "GGUF version 0"});
  refused("pytorch_model.bin", "PK\3\4" + zeros, {"pytorch_model.bin", "PyTorch pickle", "save_pretrained"});
  refused("m.bin", "\x80\x02\x8a\x0al" + zeros, {"m.bin", "PyTorch pickle"});
  refused("model.safetensors", std::string("\x10\0\0\0\0\0\0\0{}", 10) + zeros,
          {"model.safetensors", "without its config.json"});
  refused("tokenizer.json", "{}", {"tokenizer.json", "JSON file", "Hugging Face folder"});
  refused("m.bin", "version https://git-lfs.github.com/spec/v1\n", {"Git LFS pointer", "git lfs pull"});
  write_json(other / "config.json", small_config());
  elastify_test::write_bytes(other / "pytorch_model-00001-of-00002.bin", "PK\3\4" + zeros);
  expect_error(ErrorCode::kBadData, {"pytorch_model-00001-of-00002.bin", "PyTorch pickle"},
               [&] { Checkpoint::open(other.path()); });
}

TEST_CASE("a folder with a single file and shards takes the single file and says so", "[io][unit]") {
  const TempDir dir;
  write_checkpoint(dir.path());
  write_json(dir / "model.safetensors.index.json", {{"weight_map", {{"a", "model-00001-of-00001.safetensors"}}}});
  const Checkpoint checkpoint = Checkpoint::open(dir.path());
  REQUIRE(checkpoint.notes().size() == 1);
  CHECK_THAT(checkpoint.notes()[0], Catch::Matchers::Contains("model.safetensors.index.json: ignored"));
  fs::remove(dir / "model.safetensors.index.json");
  elastify_test::write_bytes(dir / "model-00001-of-00002.safetensors", "x");
  CHECK_THAT(Checkpoint::open(dir.path()).notes().at(0),
             Catch::Matchers::Contains("00001-of-00002.safetensors: ignored"));
  fs::remove(dir / "model.safetensors");
  expect_error(ErrorCode::kBadData, {"without model.safetensors.index.json"}, [&] { Checkpoint::open(dir.path()); });
}

TEST_CASE("unknown architectures and features are refused, never ignored", "[io][unit]") {
  expect_refused({"model_type 'gpt2'", "llama, mistral"}, [](json& c, Tensors&) { c["model_type"] = "gpt2"; });
  expect_refused({"hidden_act 'gelu'"}, [](json& c, Tensors&) { c["hidden_act"] = "gelu"; });
  expect_refused({"mlp_bias"}, [](json& c, Tensors&) { c["mlp_bias"] = true; });
  expect_refused({"quantised"}, [](json& c, Tensors&) { c["quantization_config"] = json::object(); });
  expect_refused({"rope_scaling", "type 'yarn'"}, [](json& c, Tensors&) {
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
