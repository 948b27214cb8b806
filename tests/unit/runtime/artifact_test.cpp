#include "elrt/artifact.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>

#include "elrt/session.hpp"
#include "unit/runtime/tiny_elastic.h"

using elastify_test::GgufBuilder;
using elastify_test::TemporaryFile;
using elastify_test::TinyElastic;
using elastify_test::TinyElasticShape;
using elrt::Artifact;
using elrt::Status;

namespace {

using Counts = std::vector<std::uint32_t>;
using Floats = std::vector<float>;

GgufBuilder good_file(std::uint32_t type = 0, bool shared = false) {
  TinyElasticShape shape;
  shape.set_type(type);
  shape.shared = shared;
  shape.blocks = 2, shape.hidden = 16, shape.ffn = 40, shape.vocab = 30, shape.adapters = true, shape.rope_freqs = true;
  shape.kv_groups = {1, 1, 1, 2, 2, 2}, shape.neurons = {32, 8, 40, 32, 40, 40};
  return TinyElastic(shape).artifact();
}

GgufBuilder shared_file() { return good_file(0, true); }

// The failure's message, or "" if the file opened.
std::string refusal(const std::vector<unsigned char>& bytes) {
  const TemporaryFile file(bytes);
  const auto artifact = Artifact::open(file.path());
  if (artifact) return "";
  CHECK(artifact.failure().status == Status::kBadData);
  CHECK(artifact.failure().message.find('\n') == std::string::npos);
  return artifact.failure().message;
}

// Opens and, where that works, runs: whatever a file says, nothing may crash. True: a session answered.
bool exercise(const std::vector<unsigned char>& bytes) {
  const TemporaryFile file(bytes);
  auto artifact = Artifact::open(file.path());
  if (!artifact) return false;
  (void)artifact->tokenizer();
  (void)artifact->verify_checksums();
  if (artifact->shape().context > 4096) return false;
  auto session = elrt::Session::create(artifact.value(), {artifact->levels().front().level, 1, 0, 4});
  const std::int32_t tokens[] = {0, 1, 2, 3, 4, 5};
  return session && artifact->shape().vocab > 5 && session->forward(tokens).ok();
}

// Thousands of files that differ from a good one in a few bytes of the header.
void damage_at_random(const GgufBuilder& builder) {
  const auto good = builder.build();
  std::uint64_t state = 12345;
  const auto random = [&](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  int answered = 0;
  for (int round = 0; round < 3000; ++round) {
    auto bytes = good;
    const std::uint64_t edits = 1 + random(4);
    for (std::uint64_t i = 0; i < edits; ++i) {
      auto& byte = bytes[random(builder.header_bytes())];
      byte = random(2) == 0 ? static_cast<unsigned char>(random(256))
                            : static_cast<unsigned char>(byte ^ (1u << random(8)));
    }
    answered += exercise(bytes) ? 1 : 0;
  }
  CHECK(answered > 0);  // names and numbers that nothing depends on: both ways are taken
  CHECK(answered < 3000);
}

struct Broken {
  const char* expected;  // in the message
  std::function<void(GgufBuilder&)> edit;
};

}  // namespace

TEST_CASE("a good artifact opens and describes itself", "[runtime][unit]") {
  GgufBuilder builder = good_file();
  builder.metadata["elastic.block_ratio"] = Floats{0.2f, 0.5f, 1.0f};
  builder.metadata["elastic.loss.after"] = Floats{3.5f, std::nanf(""), std::nanf("")};
  const TemporaryFile file(builder.build());
  const auto artifact = Artifact::open(file.path());
  if (!artifact) FAIL(artifact.failure().message);
  CHECK(artifact->shape().hidden == 16);
  REQUIRE(artifact->levels().size() == 3);
  const auto level = artifact->level(50);
  REQUIRE(level);
  CHECK(level->kv_groups[1] == 2);
  CHECK(level->neurons[0] == 40);
  CHECK(level->block_ratio == 0.5f);
  CHECK(std::isnan(level->total_ratio));
  CHECK(artifact->levels()[0].loss_after == 3.5f);
  CHECK(std::isnan(artifact->levels()[0].loss_before));
  CHECK(level->adapter_rank == 5);
  CHECK(artifact->level(100)->adapter_rank == 0);
  CHECK(artifact->levels()[0].bytes_per_token < artifact->levels()[2].bytes_per_token);
  const auto* tensor = artifact->find_tensor("blk.1.ffn_down.weight");
  REQUIRE(tensor != nullptr);
  CHECK(tensor->dims == std::vector<std::uint64_t>{32, 16, 2});
  CHECK(tensor->file_offset % 64 == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(tensor->data) % 64 == 0);
  CHECK(tensor->bytes == 32 * 16 * 2 * 4);
  CHECK(artifact->find_tensor("nothing") == nullptr);
  CHECK_FALSE(artifact->level(33));
}

TEST_CASE("a header cut at any byte is refused", "[runtime][unit]") {
  const GgufBuilder builder = good_file();
  const auto bytes = builder.build();
  for (std::size_t length = 1; length < builder.header_bytes() + 64; ++length) {
    INFO("length " << length);
    REQUIRE_FALSE(refusal({bytes.begin(), bytes.begin() + static_cast<long>(length)}).empty());
  }
  CHECK(refusal({bytes.begin(), bytes.end() - 1}).find("data section") != std::string::npos);
  auto longer = bytes;
  longer.resize(bytes.size() + 100);
  CHECK(refusal(longer).find("after its last tensor") != std::string::npos);
}

TEST_CASE("what is no artifact is told what it is and what to do", "[runtime][unit]") {
  GgufBuilder plain;
  plain.metadata["general.architecture"] = std::string("llama");
  plain.metadata["llama.block_count"] = std::uint32_t{2};
  const auto says = [](const std::vector<unsigned char>& bytes, std::initializer_list<const char*> words) {
    const std::string found = refusal(bytes);
    for (const char* word : words) CHECK_THAT(found, Catch::Matchers::Contains(word));
    CHECK(found.find("pack it again") == std::string::npos);
  };
  says(plain.build(), {"plain GGUF file", "'llama'", "llama.cpp", "elastify build"});
  plain.tensors.push_back(
      {"token_embd.weight", 12, {256, 2}, std::vector<unsigned char>(288)});  // a type not read here
  says(plain.build(), {"plain GGUF file", "'llama'", "elastify build"});
  plain.version = 2;
  says(plain.build(), {"GGUF file of version 2", "elastify build"});
  const auto text = [](std::string head) {
    head.resize(200, ' ');
    return std::vector<unsigned char>(head.begin(), head.end());
  };
  says(text(std::string("\x40\0\0\0\0\0\0\0{\"a\":", 13)), {"safetensors", "elastify build"});
  says(text("{\"model_type\": \"llama\"}"), {"JSON file", "model.gguf"});
  says(text("PK\3\4"), {"PyTorch", "elastify build"});
  const auto folder = Artifact::open(std::filesystem::temp_directory_path());
  REQUIRE_FALSE(folder);
  CHECK_THAT(folder.failure().message, Catch::Matchers::Contains("it is a folder"));
}

TEST_CASE("inconsistent artifacts are refused with the reason", "[runtime][unit]") {
  static constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const std::string norm = "output_norm.weight", down = "blk.0.ffn_down.weight";
  const Broken cases[] = {
      {"GGUF", [](auto& f) { f.magic = 0x46554746; }},
      {"version 2", [](auto& f) { f.version = 2; }},
      {"claims", [](auto& f) { f.tensor_count = ~0ull; }},
      {"claims", [](auto& f) { f.key_value_count = 1ull << 40; }},
      {"general.alignment", [](auto& f) { f.metadata["general.alignment"] = std::uint32_t{32}; }},
      {"general.alignment", [](auto& f) { f.metadata.erase("general.alignment"); }},
      {"general.architecture", [](auto& f) { f.metadata["general.architecture"] = std::string("llama"); }},
      {"'elastic.format_version' is 2, expected 4 to 6; pack it again",
       [](auto& f) { f.metadata["elastic.format_version"] = std::uint32_t{2}; }},
      {"elastic.rope_pairing", [](auto& f) { f.metadata["elastic.rope_pairing"] = std::string("interleaved"); }},
      {"elastic.tile_inputs", [](auto& f) { f.metadata["elastic.tile_inputs"] = std::uint32_t{16}; }},
      {"elastic.tiled_tensors", [](auto& f) { f.metadata["elastic.tiled_tensors"] = std::vector<std::string>{}; }},
      {"block_count", [](auto& f) { f.metadata["elastic-llama.block_count"] = std::uint32_t{0}; }},
      {"block_count", [](auto& f) { f.metadata["elastic-llama.block_count"] = std::uint64_t{2}; }},
      {"embedding_length", [](auto& f) { f.metadata["elastic-llama.embedding_length"] = ~0u; }},
      {"vocab_size", [](auto& f) { f.metadata["elastic-llama.vocab_size"] = ~0u; }},
      {"head_count_kv", [](auto& f) { f.metadata["elastic-llama.attention.head_count_kv"] = std::uint32_t{0}; }},
      {"head_count", [](auto& f) { f.metadata["elastic-llama.attention.head_count_kv"] = std::uint32_t{3}; }},
      {"key_length",
       [](auto& f) {
         f.metadata["elastic-llama.attention.key_length"] = std::uint32_t{7};
         f.metadata["elastic-llama.attention.value_length"] = std::uint32_t{7};
       }},
      {"value_length", [](auto& f) { f.metadata["elastic-llama.attention.value_length"] = std::uint32_t{4}; }},
      {"head width",
       [](auto& f) {
         f.metadata["elastic-llama.attention.head_count"] = std::uint32_t{1u << 20};
         f.metadata["elastic-llama.attention.head_count_kv"] = std::uint32_t{1u << 20};
       }},
      {"rms_epsilon", [](auto& f) { f.metadata["elastic-llama.attention.layer_norm_rms_epsilon"] = kNaN; }},
      {"freq_base", [](auto& f) { f.metadata["elastic-llama.rope.freq_base"] = -1.0f; }},
      {"freq_base",
       [](auto& f) { f.metadata["elastic-llama.rope.freq_base"] = std::numeric_limits<float>::infinity(); }},
      {"sliding_window", [](auto& f) { f.metadata["elastic-llama.attention.sliding_window"] = std::string("5"); }},
      {"elastic.levels",
       [](auto& f) {
         f.metadata["elastic.levels"] = Counts{50, 20, 100};
       }},
      {"elastic.levels",
       [](auto& f) {
         f.metadata["elastic.levels"] = Counts{20, 50, 90};
       }},
      {"elastic.levels", [](auto& f) { f.metadata["elastic.levels"] = Counts{}; }},
      {"elastic.levels",
       [](auto& f) {
         f.metadata["elastic.levels"] = Floats{20, 50, 100};
       }},
      {"nest", [](auto& f) { f.metadata["elastic.plan.kv_groups"] = Counts{2, 1, 1, 2, 2, 2}; }},
      {"nest", [](auto& f) { f.metadata["elastic.plan.kv_groups"] = Counts{1, 1, 1, 2, 2, 1}; }},
      {"count of 0", [](auto& f) { f.metadata["elastic.plan.kv_groups"] = Counts{0, 1, 0, 0, 2, 2}; }},
      {"count of 0", [](auto& f) { f.metadata["elastic.plan.kv_groups"] = Counts{1, 1, 0, 2, 2, 2}; }},
      {"count of 0", [](auto& f) { f.metadata["elastic.plan.neurons"] = Counts{0, 8, 0, 32, 40, 0}; }},
      {"count of 41", [](auto& f) { f.metadata["elastic.plan.neurons"] = Counts{32, 8, 41, 32, 41, 40}; }},
      {"elastic.plan.neurons",
       [](auto& f) {
         f.metadata["elastic.plan.neurons"] = Counts{40, 40, 40, 40};
       }},
      {"elastic.adapter.levels",
       [](auto& f) {
         f.metadata["elastic.adapter.levels"] = Counts{20, 30};
       }},
      {"elastic.adapter.levels",
       [](auto& f) {
         f.metadata["elastic.adapter.levels"] = Counts{20, 20};
       }},
      {"elastic.adapter.rank", [](auto& f) { f.metadata["elastic.adapter.rank"] = Counts{5}; }},
      {"elastic.adapter.rank",
       [](auto& f) {
         f.metadata["elastic.adapter.rank"] = Counts{5, 0};
       }},
      {"scale",
       [](auto& f) {
         f.metadata["elastic.adapter.scale"] = Floats{1, kNaN};
       }},
      {"lora",
       [](auto& f) {
         f.metadata["elastic.adapter.rank"] = Counts{5, 6};
       }},
      {"only one of", [](auto& f) { f.tensor("adapter.50.blk.0.attn_q.lora_b").name = "x"; }},
      {"is F32, expected F16 or Q8_0",
       [](auto& f) {
         auto& t = f.tensor("adapter.50.blk.0.attn_q.lora_b");
         t.type = 0;
         t.bytes.resize(2 * t.bytes.size());
       }},
      {"output_norm.weight' is missing", [&](auto& f) { f.tensor(norm).name = "x"; }},
      {"dimensions [8, 2]",
       [&](auto& f) {
         f.tensor(norm).dims = {8, 2};
       }},
      {"zero or overflow", [&](auto& f) { f.tensor(norm).dims = {0}; }},
      {"zero or overflow",
       [&](auto& f) {
         f.tensor(norm).dims = {1ull << 40, 1ull << 40};
       }},
      {"0 dimensions", [&](auto& f) { f.tensor(norm).dims = {}; }},
      {"5 dimensions",
       [&](auto& f) {
         f.tensor(norm).dims = {16, 1, 1, 1, 1};
       }},
      {"is not F32", [&](auto& f) { f.tensor(norm).type = 1; }},
      {"is not F32", [&](auto& f) { f.tensor(norm).type = 30; }},
      {"is BF16, expected F16 or Q8_0", [](auto& f) { f.tensor("adapter.50.blk.0.attn_q.lora_a").type = 30; }},
      {"is BF16, expected F16 or Q8_0", [](auto& f) { f.tensor("adapter.50.blk.0.attn_q.lora_b").type = 30; }},
      {"has type 9 (Q8_1), expected F32 (0), F16 (1), Q4_0 (2), Q8_0 (8), IQ4_NL (20) or BF16 (30)",
       [&](auto& f) { f.tensor(norm).type = 9; }},
      {"has type 4294967295", [&](auto& f) { f.tensor(down).type = ~0u; }},
      {"'output_norm.weight' is 16 wide, which is no multiple of Q8_0's blocks of 32",
       [&](auto& f) { f.tensor(norm).type = 8; }},
      {"dimensions [40, 16]",
       [&](auto& f) {
         f.tensor(down).dims = {40, 16};
       }},
      {"multiple of 64", [&](auto& f) { f.tensor(norm).offset = 32; }},
      {"overlap", [&](auto& f) { f.tensor(norm).offset = 0; }},
      {"data section", [&](auto& f) { f.tensor(norm).offset = 1ull << 30; }},
      {"data section", [&](auto& f) { f.tensor(norm).offset = ~0ull - 63; }},
      {"twice", [&](auto& f) { f.tensor(norm).name = down; }},
      {"cannot open", [&](auto& f) { f.tensors.clear(); }},
      {"rope_freqs",
       [](auto& f) {
         f.tensor("rope_freqs.weight").bytes = elastify_test::f32_bytes({1, 0, 1, 1});
       }},
      {"rope_freqs",
       [](auto& f) {
         f.tensor("rope_freqs.weight").bytes = elastify_test::f32_bytes({1, kNaN, 1, 1});
       }},
      {"a tensor's name of", [&](auto& f) { f.tensor(norm).name = std::string(1000, 'x'); }},
      {"'elastic-llama.rope.dimension_count' is odd",
       [](auto& f) { f.metadata["elastic-llama.rope.dimension_count"] = std::uint32_t{3}; }},
      {"'elastic-llama.rope.dimension_count' is 10, expected 2 to 8",
       [](auto& f) { f.metadata["elastic-llama.rope.dimension_count"] = std::uint32_t{10}; }},
      {"'rope_freqs.weight' has dimensions [4], expected [3]",
       [](auto& f) { f.metadata["elastic-llama.rope.dimension_count"] = std::uint32_t{6}; }},
      {"'rope_factors_short.weight' is missing",
       [](auto& f) { f.metadata["elastic-llama.rope.scaling.original_context_length"] = std::uint32_t{8}; }},
      {"'elastic-llama.rope.scaling.attn_factor' is",
       [](auto& f) { f.metadata["elastic-llama.rope.scaling.attn_factor"] = kNaN; }},
      {"'elastic-llama.rope.freq_base_swa' is",
       [](auto& f) { f.metadata["elastic-llama.rope.freq_base_swa"] = -1.0f; }},
      {"'elastic-llama.rope.layers' does not hold a u32 of 0 or 1",
       [](auto& f) { f.metadata["elastic-llama.rope.layers"] = Counts{1}; }},
      {"'elastic-llama.attention.window_layers' does not hold a u32 of 0 or 1",
       [](auto& f) {
         f.metadata["elastic-llama.attention.window_layers"] = Counts{1, 2};
       }},
      {"'elastic-llama.attention.scale' is", [](auto& f) { f.metadata["elastic-llama.attention.scale"] = 0.0f; }},
      {"'elastic-llama.embedding_scale' is missing or is not f32",
       [](auto& f) { f.metadata["elastic-llama.embedding_scale"] = std::uint32_t{2}; }},
      {"'elastic-llama.feed_forward_activation' is 'relu', expected 'silu'",
       [](auto& f) { f.metadata["elastic-llama.feed_forward_activation"] = std::string("relu"); }},
  };
  for (const Broken& broken : cases) {
    GgufBuilder file = good_file();
    broken.edit(file);
    const std::string message = refusal(file.build());
    INFO("expected '" << broken.expected << "' in '" << message << "'");
    CHECK(message.find(broken.expected) != std::string::npos);
  }
}

TEST_CASE("an adapter that levels share is described, and refused with the reason", "[runtime][unit]") {
  static constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const TemporaryFile good(shared_file().build()), own(good_file().build());
  const auto artifact = Artifact::open(good.path()), separate = Artifact::open(own.path());
  if (!artifact) FAIL(artifact.failure().message);
  REQUIRE(separate);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto &level = artifact->levels()[i], &other = separate->levels()[i];
    CHECK(level.adapter_shared);
    CHECK_FALSE(other.adapter_shared);
    CHECK(level.adapter_rank == 5);
    CHECK(level.adapter_scale == 2);
    CHECK(level.adapter_bytes == other.adapter_bytes);
    CHECK(level.bytes_per_token == other.bytes_per_token);
  }
  CHECK(artifact->levels()[2].adapter_rank == 0);
  CHECK(artifact->levels()[2].adapter_bytes == 0);
  const std::string q = "adapter.shared.blk.0.attn_q.lora_a", down = "adapter.shared.blk.0.ffn_down.lora_a";
  const Broken cases[] = {
      {"lists 30, which is no level",
       [](auto& f) {
         f.metadata["elastic.adapter.shared.levels"] = Counts{20, 30};
       }},
      {"lists 20, which is no level or has an adapter already",
       [](auto& f) {
         f.metadata["elastic.adapter.shared.levels"] = Counts{20, 20};
       }},
      {"lists 50, which is no level or has an adapter already",
       [](auto& f) {
         f.metadata["elastic.adapter.levels"] = Counts{50};
         f.metadata["elastic.adapter.rank"] = Counts{5};
         f.metadata["elastic.adapter.scale"] = Floats{1};
       }},
      {"lists 100",
       [](auto& f) {
         f.metadata["elastic.adapter.shared.levels"] = Counts{20, 100};
       }},
      {"shared.levels' is not an array of u32",
       [](auto& f) { f.metadata["elastic.adapter.shared.levels"] = std::string("20"); }},
      {"shared.rank", [](auto& f) { f.metadata.erase("elastic.adapter.shared.rank"); }},
      {"shared.rank", [](auto& f) { f.metadata["elastic.adapter.shared.rank"] = std::uint32_t{0}; }},
      {"shared.rank",
       [](auto& f) {
         f.metadata["elastic.adapter.shared.rank"] = Counts{5, 5};
       }},
      {"shared.rank", [](auto& f) { f.metadata["elastic.adapter.shared.rank"] = ~0u; }},
      {"lora_a' has dimensions", [](auto& f) { f.metadata["elastic.adapter.shared.rank"] = std::uint32_t{6}; }},
      {"shared.scale", [](auto& f) { f.metadata["elastic.adapter.shared.scale"] = Floats{1}; }},
      {"shared.scale' is not finite at level 50",
       [](auto& f) {
         f.metadata["elastic.adapter.shared.scale"] = Floats{1, kNaN};
       }},
      {"only one of", [&](auto& f) { f.tensor(q).name = "x"; }},
      {"is F32, expected F16 or Q8_0",
       [&](auto& f) { f.tensor(q).type = 0, f.tensor(q).bytes.resize(2 * f.tensor(q).bytes.size()); }},
      {"dimensions [64, 5], expected [32, 5, 2]",
       [&](auto& f) {
         f.tensor(down).dims = {64, 5};
       }},
      {"dimensions [32, 32, 1, 2], expected [32, 16, 1, 2]",
       [&](auto& f) {
         f.tensor(down).type = elastify_test::kQ8, f.tensor(down).dims = {32, 32, 1, 2},
         f.tensor(down).bytes.resize(2 * 1088);
       }},
  };
  for (const Broken& broken : cases) {
    GgufBuilder file = shared_file();
    broken.edit(file);
    const std::string message = refusal(file.build());
    INFO("expected '" << broken.expected << "' in '" << message << "'");
    CHECK(message.find(broken.expected) != std::string::npos);
  }
  damage_at_random(shared_file());
}

TEST_CASE("adapters in Q8_0 are counted in whole panels, and refused with the reason", "[runtime][unit]") {
  TinyElasticShape shape;
  shape.adapters = shape.adapters_q8 = true;
  const TinyElastic model(shape);
  const TemporaryFile good(model.artifact().build());
  const auto artifact = Artifact::open(good.path());
  if (!artifact) FAIL(artifact.failure().message);
  // Level 20: 40, or 16 or 8 of attention's units, or 32, 40 and 7 neurons; each A in panels of 16 x 32, one of them
  // for five ranks; each B in blocks of 32 outputs for each rank. One target of block 1 has none.
  std::uint64_t panels = 0, blocks = 0;
  for (const std::uint64_t neurons : {32u, 40u, 7u}) {
    panels += 3 * 2 + 1 + 2 * 2 + (neurons + 31) / 32;  // of 40 inputs two
    blocks += 5 * (3 + 2 + 2 * ((neurons + 31) / 32) + 2);
  }
  CHECK(artifact->levels()[0].adapter_bytes == (panels - 2) * 544 + (blocks - 5) * 34);
  const std::string a = "adapter.50.blk.0.attn_q.lora_a", b = "adapter.50.blk.0.attn_q.lora_b";
  const Broken cases[] = {
      {"does not list tensor 'adapter.20.blk.0.attn_k.lora_a', whose type Q8_0",
       [](auto& f) {
         f.metadata["elastic.tiled_tensors"] = std::vector<std::string>{"attn_output.weight", "ffn_down.weight"};
       }},
      {"lora_a' has dimensions [32, 16, 1, 2], expected [32, 16, 2, 2]",
       [](auto& f) {
         f.metadata["elastic.adapter.rank"] = Counts{17, 17};
       }},
      {"lora_a' has dimensions [32, 16, 2, 1], expected [32, 16, 1, 2]",
       [&](auto& f) { std::swap(f.tensor(a).dims[2], f.tensor(a).dims[3]); }},
      {"lora_b' has dimensions [32, 1, 5], expected [32, 5, 1]",
       [&](auto& f) { std::swap(f.tensor(b).dims[1], f.tensor(b).dims[2]); }},
      {"lora_a' is IQ4_NL, expected F16 or Q8_0", [&](auto& f) { f.tensor(a).type = elastify_test::kIq4; }},
      {"overlap", [&](auto& f) { f.tensor(b).bytes.resize(f.tensor(b).bytes.size() - 64); }},
      {"only one of", [&](auto& f) { f.tensor(b).name = "x"; }},
  };
  for (const Broken& broken : cases) {
    GgufBuilder file = model.artifact();
    broken.edit(file);
    const std::string message = refusal(file.build());
    INFO("expected '" << broken.expected << "' in '" << message << "'");
    CHECK(message.find(broken.expected) != std::string::npos);
  }
  damage_at_random(model.artifact());
  GgufBuilder spoilt = model.artifact();
  for (auto& tensor : spoilt.tensors) {
    if (tensor.name.starts_with("adapter.")) std::fill(tensor.bytes.begin(), tensor.bytes.end(), 0xFF);
  }
  CHECK(exercise(spoilt.build()));
}

TEST_CASE("inconsistent quantised tensors are refused with the reason", "[runtime][unit]") {
  using elastify_test::kQ4;
  using elastify_test::kQ8;
  const std::string gate = "blk.0.ffn_gate.weight", down = "blk.1.ffn_down.weight", norm = "output_norm.weight";
  const Broken cases[] = {
      {"dimensions [32, 32, 2, 1], expected [32, 32, 1, 2]",
       [&](auto& f) { std::swap(f.tensor(down).dims[2], f.tensor(down).dims[3]); }},
      {"dimensions [32, 64, 1, 1], expected [32, 32, 1, 2]",
       [&](auto& f) {
         f.tensor(gate).dims = {32, 64, 1, 1};
       }},
      {"no multiple of",
       [&](auto& f) {
         f.tensor(gate).dims = {48, 32, 1, 2};
       }},
      {"no multiple of", [&](auto& f) { f.tensor(gate).dims[0] = 33; }},
      {"zero or overflow", [&](auto& f) { f.tensor(gate).dims[0] = 0; }},
      {"zero or overflow",
       [&](auto& f) {
         f.tensor(gate).dims = {1ull << 40, 1ull << 40, 1, 2};
       }},
      {"dimensions [32, 32, 1, 3], expected [32, 32, 1, 2]",
       [&](auto& f) {
         f.tensor(gate).dims[3] = 3;
         f.tensor(gate).bytes.resize(3 * 1088);
       }},
      {"data section",
       [&](auto& f) {
         f.tensors.back().type = kQ8, f.tensors.back().dims = {32, 1u << 20};
       }},
      {"tensor 'blk.0.attn_k.weight' has dimensions [32, 32, 1, 1], expected [16, 16]",
       [&](auto& f) {
         auto& t = f.tensor("blk.0.attn_k.weight");
         t.type = 1, t.bytes.resize(2 * 1024);
       }},
      {"dimensions [32], expected [16]",
       [&](auto& f) { f.tensor(norm).type = kQ4, f.tensor(norm).dims = {32}, f.tensor(norm).bytes.resize(18); }},
      {"'adapter.50.blk.0.attn_q.lora_b' is Q4_0, expected F16 or Q8_0",
       [&](auto& f) {
         auto& t = f.tensor("adapter.50.blk.0.attn_q.lora_b");
         t.type = kQ4, t.bytes.assign(t.dims[1] * t.dims[2] * 18, 0);
       }},
      {"does not list tensor 'blk.0.attn_q.weight', whose type",
       [&](auto& f) {
         f.metadata["elastic.tiled_tensors"] =
             std::vector<std::string>{"attn_output.weight", "ffn_down.weight", "token_embd.weight", "output.weight",
                                      "attn_k.weight",      "attn_v.weight",   "ffn_gate.weight",   "ffn_up.weight"};
       }},
      {"elastic.tiled_tensors",
       [&](auto& f) {
         f.metadata["elastic.tiled_tensors"] = std::vector<std::string>{"ffn_down.weight", "attn_output.weight"};
       }},
  };
  for (const Broken& broken : cases) {
    GgufBuilder file = good_file(kQ8);
    REQUIRE(refusal(file.build()).empty());
    broken.edit(file);
    const std::string message = refusal(file.build());
    INFO("expected '" << broken.expected << "' in '" << message << "'");
    CHECK(message.find(broken.expected) != std::string::npos);
  }
  // A block cut short, at the file's end and before another tensor.
  const auto whole = good_file(kQ4).build();
  CHECK(refusal({whole.begin(), whole.end() - 1}).find("data section") != std::string::npos);
  GgufBuilder shortened = good_file(kQ8);
  shortened.tensor(gate).bytes.resize(shortened.tensor(gate).bytes.size() - 64);
  CHECK(refusal(shortened.build()).find("overlap") != std::string::npos);
}

TEST_CASE("an artifact in BF16 describes itself", "[runtime][unit]") {
  const TemporaryFile file(good_file(elastify_test::kBF16).build()), plain(good_file().build());
  const auto artifact = Artifact::open(file.path()), floats = Artifact::open(plain.path());
  if (!artifact) FAIL(artifact.failure().message);
  const auto* down = artifact->find_tensor("blk.1.ffn_down.weight");
  REQUIRE(down != nullptr);
  CHECK(std::string(elrt::type_name(down->type)) == "BF16");
  CHECK(down->dims == std::vector<std::uint64_t>{32, 16, 2});
  CHECK(down->bytes == 2 * 2 * 16 * 32);
  // Five norms of 16 floats; all else is half as wide.
  CHECK(2 * (artifact->levels()[2].bytes_per_token - 5 * 16 * 4) == floats->levels()[2].bytes_per_token - 5 * 16 * 4);
}

TEST_CASE("a quantised artifact describes itself", "[runtime][unit]") {
  for (const std::uint32_t type : {elastify_test::kQ8, elastify_test::kQ4, elastify_test::kIq4}) {
    const TemporaryFile file(good_file(type).build());
    const auto artifact = Artifact::open(file.path());
    if (!artifact) FAIL(artifact.failure().message);
    const auto* down = artifact->find_tensor("blk.1.ffn_down.weight");
    REQUIRE(down != nullptr);
    CHECK(static_cast<std::uint32_t>(down->type) == type);
    CHECK(std::string(elrt::type_name(down->type)) == (type == elastify_test::kQ8   ? "Q8_0"
                                                       : type == elastify_test::kQ4 ? "Q4_0"
                                                                                    : "IQ4_NL"));
    CHECK(down->bytes == 2 * (type == elastify_test::kQ8 ? 1088u : 576u));  // 40 inputs in two tiles of 16 outputs
    CHECK(reinterpret_cast<std::uintptr_t>(down->data) % 64 == 0);
    // Ten panels in each of two blocks, one of the head, one row of the embedding's, five norms of 16 floats.
    const std::uint64_t panel = type == elastify_test::kQ8 ? 1088 : 576;
    CHECK(artifact->levels()[2].bytes_per_token == 21 * panel + panel / 32 + 5 * 16 * 4);
  }
}

TEST_CASE("a hostile name leaves a message in one line of plain text", "[runtime][unit]") {
  GgufBuilder builder = TinyElastic(TinyElasticShape{}).artifact();
  builder.tensors.push_back({"evil\n\x1b[2J\x7f", 99, {32}, std::vector<unsigned char>(128)});
  const std::string found = refusal(builder.build());
  CHECK_THAT(found, Catch::Matchers::Contains("evil??[2J?"));
  CHECK(std::none_of(found.begin(), found.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }));
}

TEST_CASE("a repeated key is refused", "[runtime][unit]") {
  GgufBuilder file = good_file();
  file.metadata["elastic.source.aaaa"] = std::uint32_t{1};
  file.metadata["elastic.source.aaab"] = std::uint32_t{1};
  auto bytes = file.build();
  const std::string key = "elastic.source.aaab";
  const auto at = std::search(bytes.begin(), bytes.end(), key.begin(), key.end());
  REQUIRE(at != bytes.end());
  *(at + static_cast<long>(key.size()) - 1) = 'a';
  CHECK(refusal(bytes).find("appears twice") != std::string::npos);
}

TEST_CASE("files that are no artifacts are refused", "[runtime][unit]") {
  CHECK_FALSE(refusal({'h', 'e', 'l', 'l', 'o'}).empty());
  CHECK_FALSE(refusal({}).empty());
  const auto missing = Artifact::open("/nonexistent/model.gguf");
  REQUIRE_FALSE(missing);
  CHECK(missing.failure().status == Status::kBadData);
  CHECK_FALSE(Artifact::open(std::filesystem::temp_directory_path()));
}

TEST_CASE("checksums find a flipped bit and name its tensor", "[runtime][unit]") {
  GgufBuilder builder = good_file();
  std::vector<std::uint64_t> sums;
  for (const auto& t : builder.tensors) sums.push_back(XXH3_64bits(t.bytes.data(), t.bytes.size()));
  builder.metadata["elastic.checksum.algorithm"] = std::string("xxh3-64");
  builder.metadata["elastic.checksum.values"] = sums;
  const TemporaryFile good(builder.build());
  CHECK(Artifact::open(good.path())->verify_checksums().ok());
  builder.tensor("blk.1.attn_q.weight").bytes[77] ^= 4;
  const TemporaryFile bad(builder.build());
  const auto verified = Artifact::open(bad.path())->verify_checksums();
  REQUIRE_FALSE(verified);
  CHECK(verified.failure().status == Status::kBadData);
  CHECK(verified.failure().message.find("blk.1.attn_q.weight") != std::string::npos);
  builder.metadata.erase("elastic.checksum.values");
  const TemporaryFile unsummed(builder.build());
  CHECK_FALSE(Artifact::open(unsummed.path())->verify_checksums());
}

TEST_CASE("random damage to the header never crashes", "[runtime][unit]") {
  for (const std::uint32_t type :
       {0u, elastify_test::kBF16, elastify_test::kQ8, elastify_test::kQ4, elastify_test::kIq4})
    damage_at_random(good_file(type));
}

TEST_CASE("weights full of NaN give an answer, not a crash", "[runtime][unit]") {
  for (const std::uint32_t type :
       {0u, elastify_test::kBF16, elastify_test::kQ8, elastify_test::kQ4, elastify_test::kIq4}) {
    GgufBuilder file = good_file(type);
    for (auto& tensor : file.tensors) {
      if (tensor.name != "rope_freqs.weight") std::fill(tensor.bytes.begin(), tensor.bytes.end(), 0xFF);
    }
    CHECK(exercise(file.build()));
  }
}
