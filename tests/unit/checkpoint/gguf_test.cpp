// Models in GGUF: what llama.cpp's converter makes of golden checkpoints, and files that no import may take.
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <functional>

#include "base/torch.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/random_checkpoint.h"
#include "model/decoder.h"
#include "support/expect_error.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::f32_bytes;
using elastify_test::GgufBuilder;
using elastify_test::TempDir;
using Shape = std::vector<std::int64_t>;

const fs::path kGoldens = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden";

void write(const fs::path& path, const GgufBuilder& file) {
  const auto bytes = file.build();
  elastify_test::write_bytes(path, {bytes.begin(), bytes.end()});
}

elastify_test::GgufTensor f32_tensor(const std::string& name, const torch::Tensor& values) {
  const torch::Tensor plain = values.to(torch::kFloat32).contiguous();
  std::vector<std::uint64_t> dims;
  for (std::int64_t d = plain.dim() - 1; d >= 0; --d) dims.push_back(static_cast<std::uint64_t>(plain.size(d)));
  const float* data = plain.data_ptr<float>();
  return {name, 0, dims, f32_bytes({data, data + plain.numel()}), {}};
}

// llama.cpp's order of a query or key projection's rows: its converter's own expression.
torch::Tensor interleave_rows(const torch::Tensor& rows, std::int64_t heads) {
  return rows.reshape({heads, 2, rows.size(0) / heads / 2, -1}).transpose(1, 2).reshape(rows.sizes());
}

GgufBuilder keys_of(const ModelConfig& c, const std::string& arch) {
  GgufBuilder file;
  file.alignment = 32;
  const auto u32 = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
  file.metadata["general.architecture"] = arch;
  file.metadata[arch + ".block_count"] = u32(c.num_layers);
  file.metadata[arch + ".context_length"] = u32(c.max_positions);
  file.metadata[arch + ".embedding_length"] = u32(c.hidden_size);
  file.metadata[arch + ".feed_forward_length"] = u32(c.intermediate_size);
  file.metadata[arch + ".attention.head_count"] = u32(c.num_heads);
  file.metadata[arch + ".attention.head_count_kv"] = u32(c.num_kv_heads);
  file.metadata[arch + ".attention.layer_norm_rms_epsilon"] = static_cast<float>(c.rms_norm_eps);
  file.metadata[arch + ".rope.freq_base"] = static_cast<float>(c.rope_theta);
  if (c.head_dim * c.num_heads != c.hidden_size) {
    file.metadata[arch + ".attention.key_length"] = u32(c.head_dim);
    file.metadata[arch + ".attention.value_length"] = u32(c.head_dim);
  }
  return file;
}

// The model in F32, each block with the units that it has; a half without units is left out whole.
GgufBuilder gguf_of(const ModelWeights& w, const std::string& arch) {
  GgufBuilder file = keys_of(w.config, arch);
  file.tensors = {f32_tensor("token_embd.weight", w.embedding), f32_tensor("output_norm.weight", w.final_norm)};
  if (!w.config.tied_embeddings) file.tensors.push_back(f32_tensor("output.weight", w.head));
  for (std::size_t layer = 0; layer < w.blocks.size(); ++layer) {
    const BlockWeights& b = w.blocks[layer];
    const bool llama = arch == "llama" || arch == "deci";
    const auto put = [&](const char* name, const torch::Tensor& values) {
      if (values.defined()) file.tensors.push_back(f32_tensor(fmt::format("blk.{}.{}", layer, name), values));
    };
    const auto put_rows = [&](const char* name, const torch::Tensor& values) {
      if (values.defined()) put(name, llama ? interleave_rows(values, values.size(0) / w.config.head_dim) : values);
    };
    if (b.k.size(0) > 0) {
      put("attn_norm.weight", b.attn_norm), put_rows("attn_q.weight", b.q), put_rows("attn_k.weight", b.k);
      put("attn_v.weight", b.v), put("attn_output.weight", b.o);
      put_rows("attn_q.bias", b.q_bias), put_rows("attn_k.bias", b.k_bias), put("attn_v.bias", b.v_bias);
      put("attn_output.bias", b.o_bias), put("attn_q_norm.weight", b.q_norm), put("attn_k_norm.weight", b.k_norm);
    }
    if (b.gate.size(0) > 0) {
      put("ffn_norm.weight", b.ffn_norm), put("ffn_gate.weight", b.gate), put("ffn_up.weight", b.up);
      put("ffn_down.weight", b.down);
    }
  }
  return file;
}

// Random, of the shape that the test wants.
ModelWeights random_weights(const TempDir& dir, const std::function<void(ModelConfig&)>& change = {}) {
  ModelConfig config;
  config.vocab_size = 263, config.hidden_size = 32, config.intermediate_size = 24, config.num_layers = 2;
  config.num_heads = 4, config.num_kv_heads = 2, config.head_dim = 8, config.max_positions = 64;
  config.rms_norm_eps = 1e-5;
  if (change) change(config);
  write_random_checkpoint(config, 7, dir / "hf");
  return load_weights(Checkpoint::open(dir / "hf"), torch::kCPU, torch::kFloat32);
}

torch::Tensor logits_of(const ModelWeights& weights, std::int64_t length = 20) {
  torch::NoGradGuard no_grad;
  const torch::Tensor tokens = torch::arange(length).remainder(weights.config.vocab_size).view({1, length});
  return Decoder(weights).logits(tokens);
}

// Writes a sound Llama, lets `damage` change it and opens it.
void expect_refused(std::initializer_list<const char*> words, const std::function<void(GgufBuilder&)>& damage) {
  const TempDir dir;
  GgufBuilder file = gguf_of(random_weights(dir), "llama");
  damage(file);
  write(dir / "bad.gguf", file);
  expect_error(ErrorCode::kBadData, words, [&] { Checkpoint::open(dir / "bad.gguf"); });
}

}  // namespace

TEST_CASE("golden models come back from GGUF bit for bit, settings and all", "[io][golden]") {
  for (const char* name : {"llama_gqa_tied_f16", "llama_bias_f16", "llama3_rope_bf16", "llama_linear_rope_f16",
                           "qwen2_bias_tied_bf16", "qwen3_sharded_bf16"}) {
    INFO(name);
    const Checkpoint expected = Checkpoint::open(kGoldens / "models" / name);
    const Checkpoint found = Checkpoint::open(kGoldens / "gguf" / (std::string(name) + ".gguf"));
    CHECK(model_config_to_hf(found.config()) == model_config_to_hf(expected.config()));
    CHECK(found.config().output_bias == expected.config().output_bias);
    CHECK(found.notes().empty());
    for (const auto& [tensor, shape] : expected_tensors(expected.config())) {
      INFO(tensor);
      CHECK(torch::equal(found.tensor(tensor).to(torch::kFloat32), expected.tensor(tensor).to(torch::kFloat32)));
      CHECK(found.tensor(tensor).scalar_type() == found.dtype(tensor));
    }
  }
}

TEST_CASE("rows of queries and keys are put back head by head, keys by their own count, in Llama files alone",
          "[io][unit]") {
  const TempDir dir;
  ModelWeights weights = random_weights(dir);
  for (BlockWeights& block : weights.blocks) {  // row r is filled with r
    block.q = torch::arange(32.0).view({32, 1}).expand({32, 32});
    block.k = torch::arange(16.0).view({16, 1}).expand({16, 32});
  }
  for (const char* arch : {"llama", "qwen2"}) {
    if (std::string(arch) == "qwen2") {
      for (BlockWeights& block : weights.blocks)
        block.q_bias = torch::zeros({32}), block.k_bias = torch::zeros({16}), block.v_bias = torch::zeros({16});
    }
    write(dir / "m.gguf", gguf_of(weights, arch));
    const Checkpoint found = Checkpoint::open(dir / "m.gguf");
    CHECK(torch::equal(found.tensor("model.layers.1.self_attn.q_proj.weight"), weights.blocks[1].q));
    CHECK(torch::equal(found.tensor("model.layers.1.self_attn.k_proj.weight"), weights.blocks[1].k));
  }
}

TEST_CASE("key_length rules where heads times width is not the embedding", "[io][unit]") {
  const TempDir dir;
  const ModelWeights weights = random_weights(dir, [](ModelConfig& c) { c.hidden_size = 48, c.head_dim = 16; });
  write(dir / "m.gguf", gguf_of(weights, "llama"));
  const Checkpoint found = Checkpoint::open(dir / "m.gguf");
  CHECK(found.config().head_dim == 16);
  CHECK(torch::equal(logits_of(load_weights(found, torch::kCPU, torch::kFloat32)), logits_of(weights)));
  expect_refused({"attn_q.weight has the wrong shape", "by the keys"}, [](GgufBuilder& f) {
    f.metadata["llama.attention.key_length"] = f.metadata["llama.attention.value_length"] = std::uint32_t{16};
  });
  expect_refused({"value_length is 8, key_length 16"}, [](GgufBuilder& f) {
    f.metadata["llama.attention.key_length"] = std::uint32_t{16};
    f.metadata["llama.attention.value_length"] = std::uint32_t{8};
  });
}

TEST_CASE("layers of different widths compute what they computed", "[io][unit]") {
  const TempDir dir;
  const ModelWeights wide = random_weights(dir, [](ModelConfig& c) { c.num_layers = 3, c.intermediate_size = 96; });
  struct Case {
    const char* arch;
    std::vector<std::int64_t> kv, neurons;
  };
  for (const Case& widths : {Case{"llama", {2, 1, 2}, {96, 64, 32}}, Case{"deci", {2, 0, 1}, {0, 64, 96}}}) {
    const ModelWeights own = slice_weights(wide, {widths.kv, widths.neurons});
    GgufBuilder file = gguf_of(own, widths.arch);
    const std::string prefix = std::string(widths.arch) + ".";
    std::vector<std::int32_t> heads, kv(widths.kv.begin(), widths.kv.end());
    for (const std::int32_t count : kv) heads.push_back(2 * count);
    file.metadata[prefix + "attention.head_count"] = heads;
    file.metadata[prefix + "attention.head_count_kv"] = kv;
    file.metadata[prefix + "feed_forward_length"] =
        std::vector<std::uint32_t>(widths.neurons.begin(), widths.neurons.end());
    write(dir / "m.gguf", file);
    const Checkpoint found = Checkpoint::open(dir / "m.gguf");
    CHECK(found.config().num_heads == 4);
    CHECK(found.config().intermediate_size == 96);
    const ModelWeights read = load_weights(found, torch::kCPU, torch::kFloat32);
    CHECK(torch::allclose(logits_of(read), logits_of(own), 1e-5, 1e-5));
    file.metadata[prefix + "attention.head_count_kv"] = std::vector<std::int32_t>{2, 1};
    write(dir / "m.gguf", file);
    expect_error(ErrorCode::kBadData, {"head_count_kv has 2 entries", "each of the 3 layers"},
                 [&] { Checkpoint::open(dir / "m.gguf"); });
    file.metadata[prefix + "attention.head_count_kv"] = std::vector<std::int32_t>{2, 2, 1};
    write(dir / "m.gguf", file);
    expect_error(ErrorCode::kBadData, {"layer 1 "}, [&] { Checkpoint::open(dir / "m.gguf"); });
  }
  expect_refused({"blk.1.ffn_gate.weight has the wrong shape: expected [16, 32] by the keys, found [24, 32]"},
                 [](GgufBuilder& f) {
                   f.metadata["llama.feed_forward_length"] = std::vector<std::uint32_t>{24, 16};
                 });
  expect_refused({"blk.1.ffn_gate.weight is there, but the keys give its layer none"}, [](GgufBuilder& f) {
    f.metadata["llama.feed_forward_length"] = std::vector<std::uint32_t>{24, 0};
  });
  expect_refused({"feed_forward_length is -3 for layer 1"}, [](GgufBuilder& f) {
    f.metadata["llama.feed_forward_length"] = std::vector<std::int32_t>{24, -3};
  });
}

TEST_CASE("factors of frequencies are Llama 3's settings again", "[io][unit]") {
  const auto factors_of = [](const RopeScaling& s, double theta, std::size_t pairs) {
    ModelConfig scaled, plain;
    scaled.head_dim = plain.head_dim = static_cast<std::int64_t>(2 * pairs);
    scaled.rope_theta = plain.rope_theta = theta;
    scaled.rope_scaling = s;
    const torch::Tensor ratio = (rotary_frequencies(plain) / rotary_frequencies(scaled)).to(torch::kFloat32);
    return std::vector<float>(ratio.data_ptr<float>(), ratio.data_ptr<float>() + ratio.numel());
  };
  for (const std::size_t pairs : {4u, 8u, 32u, 64u}) {
    for (const double theta : {10000.0, 500000.0}) {
      for (const std::int64_t original : {32, 512, 8192}) {
        for (const double factor : {8.0, 32.0}) {
          for (const double high : {4.0, 2.0}) {
            const RopeScaling expected{RopeScaling::Kind::kLlama3, factor, 1, high, original};
            const auto factors = factors_of(expected, theta, pairs);
            INFO(pairs << " " << theta << " " << original << " " << factor << " " << high);
            if (factors.back() != static_cast<float>(factor)) continue;  // too few pairs to show the factor
            RopeScaling found;
            try {
              found = scaling_from_factors(factors, theta, "test");
            } catch (const Error&) {
              CHECK(high != 4);  // a single blended pair cannot tell an unusual setting
              continue;
            }
            CHECK(factors_of(found, theta, pairs) == factors);
            const auto blended = std::count_if(factors.begin(), factors.end(),
                                               [&](float f) { return f != 1 && f != static_cast<float>(factor); });
            if (blended > 1) CHECK(found == expected);
          }
        }
      }
    }
  }
  CHECK(scaling_from_factors({1, 1, 1}, 10000, "test").kind == RopeScaling::Kind::kNone);
  expect_error(ErrorCode::kBadData, {"test", "rope_freqs.weight", "Llama 3's"}, [] {
    scaling_from_factors({1, 3, 2, 8}, 10000, "test");
  });
  expect_error(ErrorCode::kBadData, {"rope_freqs.weight"}, [] {
    scaling_from_factors({1, 2, std::nanf(""), 8}, 10000, "test");
  });
}

TEST_CASE("quantised tensors become float32 one by one, and spoilt ones are named", "[io][unit]") {
  const TempDir dir;
  GgufBuilder file = gguf_of(random_weights(dir), "llama");
  auto& gate = file.tensor("blk.1.ffn_gate.weight");  // [24, 32]: one block a row
  gate.type = 8;                                      // Q8_0
  gate.bytes.assign(24 * 34, 0);
  for (std::size_t row = 0; row < 24; ++row) {
    gate.bytes[row * 34 + 1] = 0x3C;  // 1.0
    for (std::size_t i = 0; i < 32; ++i) gate.bytes[row * 34 + 2 + i] = static_cast<unsigned char>(row + i);
  }
  write(dir / "m.gguf", file);
  const std::string name = "model.layers.1.mlp.gate_proj.weight";
  const Checkpoint found = Checkpoint::open(dir / "m.gguf");
  CHECK(torch::equal(found.finite_tensor(name), torch::arange(24.0).view({24, 1}) + torch::arange(32.0)));
  CHECK(found.stored_types() == std::map<std::string, std::int64_t>{{"F32", 20}, {"Q8_0", 1}});
  CHECK(found.config().dtype == "float32");
  found.release(name);
  gate.bytes[5 * 34 + 1] = 0x7E;  // NaN
  write(dir / "m.gguf", file);
  expect_error(ErrorCode::kBadData, {name.c_str(), "NaN"},
               [&] { Checkpoint::open(dir / "m.gguf").finite_tensor(name); });
}

TEST_CASE("a folder with one GGUF file, or the parts of one, is a checkpoint", "[io][unit]") {
  const TempDir dir;
  const GgufBuilder file = gguf_of(random_weights(dir), "llama");
  fs::create_directory(dir / "folder");
  write(dir.path() / "folder/m.gguf", file);
  CHECK(Checkpoint::open(dir / "folder").path() == dir.path() / "folder/m.gguf");
  CHECK(Checkpoint::open(dir / "folder").name() == "m");
  CHECK(Checkpoint::open(dir / "folder").tokenizer_dir() == dir.path() / "folder/m.gguf");
  write(dir.path() / "folder/n.gguf", file);
  expect_error(ErrorCode::kBadData, {"2 .gguf files", "m.gguf", "name the one"},
               [&] { Checkpoint::open(dir / "folder"); });
}

TEST_CASE("GGUF files that describe no model we know are refused by name", "[io][unit]") {
  const auto set = [](const char* key, elrt::gguf::Value value) {
    return [=](GgufBuilder& f) { f.metadata[key] = value; };
  };
  expect_refused({"architecture 'gemma4' is not supported", "qwen3"},
                 set("general.architecture", std::string("gemma4")));
  expect_refused({"general.architecture is missing"}, [](GgufBuilder& f) { f.metadata.erase("general.architecture"); });
  expect_refused({"general.architecture is not a string"}, set("general.architecture", std::uint32_t{3}));
  expect_refused({"llama.expert_count 8 is not supported"}, set("llama.expert_count", std::uint32_t{8}));
  expect_refused({"llama.logit_scale 0.5"}, set("llama.logit_scale", 0.5f));
  expect_refused({"attention.causal is false"}, set("llama.attention.causal", false));
  expect_refused({"rope.dimension_count 4", "expected 8"}, set("llama.rope.dimension_count", std::uint32_t{4}));
  expect_refused({"rope.scaling.type 'yarn'"}, set("llama.rope.scaling.type", std::string("yarn")));
  expect_refused({"vocab_size is 28, but token_embd.weight has 263 rows"}, set("llama.vocab_size", std::uint32_t{28}));
  expect_refused({"4 heads without keys"}, set("llama.attention.head_count_kv", std::uint32_t{0}));
  expect_refused({"4 heads", "no multiple of its 3"}, set("llama.attention.head_count_kv", std::uint32_t{3}));
  expect_refused({"4 heads", "no multiple"}, set("llama.attention.head_count_kv", std::uint32_t{1u << 31}));
  expect_refused({"head_count is -4"}, set("llama.attention.head_count", std::int32_t{-4}));
  expect_refused({"4294967295 layers"}, set("llama.block_count", std::uint32_t{0xFFFFFFFF}));
  expect_refused({"block_count is not a whole number"}, set("llama.block_count", 2.0f));
  expect_refused({"blk.2.attn_norm.weight is missing"}, set("llama.block_count", std::uint32_t{3}));
  expect_refused({"blk.1.", "is not part of a llama model"}, set("llama.block_count", std::uint32_t{1}));
  expect_refused({"embedding_length is missing"}, [](GgufBuilder& f) { f.metadata.erase("llama.embedding_length"); });
  expect_refused({"context_length is missing"}, [](GgufBuilder& f) { f.metadata.erase("llama.context_length"); });
  expect_refused({"max_position_embeddings"}, set("llama.context_length", std::uint32_t{0}));
  expect_refused({"rms_norm_eps"}, set("llama.attention.layer_norm_rms_epsilon", std::nanf("")));
  expect_refused({"blk.0.attn_v.weight is missing"},
                 [](GgufBuilder& f) { f.tensor("blk.0.attn_v.weight").name = "x"; });
  expect_refused({"tensor extra is not part"},
                 [](GgufBuilder& f) { f.tensors.push_back(f32_tensor("extra", torch::zeros({4}))); });
  expect_refused({"tensor blk.0.ffn_up.weight is stored as IQ2_XXS", "IQ4_XS"}, [](GgufBuilder& f) {
    auto& tensor = f.tensor("blk.0.ffn_up.weight");
    tensor.type = 16, tensor.dims = {256, 3}, tensor.bytes.resize(3 * 66);
  });
  expect_refused({"rope_freqs.weight holds F32 [3]: expected F32 [4]"},
                 [](GgufBuilder& f) { f.tensors.push_back(f32_tensor("rope_freqs.weight", torch::ones({3}))); });
}

TEST_CASE("keys that change nothing known are noted, a window makes it Mistral's", "[io][unit]") {
  const TempDir dir;
  GgufBuilder file = gguf_of(random_weights(dir), "llama");
  file.metadata["llama.novelty"] = std::uint32_t{3};
  file.metadata["llama.attention.sliding_window"] = std::uint32_t{5};
  file.metadata["someone.else"] = std::string("no concern of ours");
  write(dir / "m.gguf", file);
  const Checkpoint found = Checkpoint::open(dir / "m.gguf");
  CHECK(found.config().architecture == "mistral");
  CHECK(found.config().sliding_window == 5);
  REQUIRE(found.notes().size() == 1);
  CHECK_THAT(found.notes()[0], Catch::Matchers::Contains("llama.novelty") && !Catch::Matchers::Contains("someone"));
}
