// Exported GGUF files, read by the reader of other engines' files: keys, shapes, order of rows, types, and logits.
#include <elrt/gguf.hpp>

#include "export/export.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "gguf/dequantise.h"
#include "gguf/gguf_file.h"
#include "model/decoder.h"
#include "pack/pack.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"
#include "tiny_run.h"
#include "tokenizer/import.h"

namespace {

using namespace elastify;
using elastify_test::checkpoint_logits;
using elastify_test::difference;
using elastify_test::expect_error;
using elastify_test::level_logits;
using elastify_test::TempDir;
using elrt::gguf::find;
using nlohmann::json;
using Counts = std::vector<std::uint32_t>;

json example(const char* name) { return elastify_test::export_cases().at(name); }

ExportOptions options_for(const fs::path& source, const fs::path& out, const char* dtype = "f32",
                          std::int64_t level = 50) {
  ExportOptions options;
  options.source = source, options.level = level, options.format = "gguf", options.out = out, options.dtype = dtype;
  return options;
}

// Float64; undefined where the file has none of that name.
torch::Tensor tensor_of(const GgufFile& file, const std::string& name) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) return {};
  torch::Tensor values = torch::empty(found->second.shape, torch::kFloat32);
  const auto& layout = *found->second.layout;
  dequantise(layout, found->second.file->data() + found->second.offset,
             static_cast<std::size_t>(values.numel()) / layout.weights, values.data_ptr<float>());
  return values.to(torch::kFloat64);
}

// llama.cpp's order of rows undone, one row after the other: 2j + half comes from half * width / 2 + j.
torch::Tensor in_halves(const torch::Tensor& rows, std::int64_t width) {
  torch::Tensor result = torch::empty_like(rows);
  for (std::int64_t row = 0; row < rows.size(0); ++row) {
    const std::int64_t head = row / width, at = row % width;
    result[head * width + at % 2 * (width / 2) + at / 2] = rows[row];
  }
  return result;
}

std::int64_t count_at(const GgufFile& file, const std::string& key, std::size_t layer) {
  const auto name = file.architecture() + "." + key;
  if (const auto* one = find<std::uint32_t>(file.metadata, name)) return *one;
  const auto* counts = find<Counts>(file.metadata, name);
  REQUIRE(counts != nullptr);
  return counts->at(layer);
}

// The model that the file describes, by its own keys.
ModelWeights weights_of(const GgufFile& file, const ModelConfig& model) {
  ModelWeights weights;
  weights.config = model;
  weights.embedding = tensor_of(file, "token_embd.weight"), weights.final_norm = tensor_of(file, "output_norm.weight");
  weights.head = tensor_of(file, "output.weight");
  if (!weights.head.defined()) weights.head = weights.embedding;
  const std::string architecture = file.architecture();
  const bool turned = architecture == "llama" || architecture == "deci" || architecture == "smollm3";
  const auto layers = *find<std::uint32_t>(file.metadata, architecture + ".block_count");
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const BlockWidths widths = block_widths(model, count_at(file, "attention.head_count_kv", layer),
                                            count_at(file, "feed_forward_length", layer));
    REQUIRE(count_at(file, "attention.head_count", layer) * model.num_kv_heads ==
            count_at(file, "attention.head_count_kv", layer) * model.num_heads);
    BlockWeights block;
    for (const BlockTensor& part : block_tensors(model)) {
      torch::Tensor tensor = tensor_of(file, fmt::format("blk.{}.{}", layer, part.stored.name));
      REQUIRE(tensor.defined() == widths.keeps(part.stored.half()));
      if (!tensor.defined()) tensor = torch::zeros(part.shape(widths), torch::kFloat64);
      REQUIRE(tensor.sizes().vec() == part.shape(widths));
      const std::string name = part.stored.name;
      if (turned && (name.starts_with("attn_q.") || name.starts_with("attn_k.")))
        tensor = in_halves(tensor, model.head_dim);
      block.*part.field = tensor;
    }
    weights.blocks.push_back(block);
  }
  weights.config.num_layers = layers;
  return weights;
}

torch::Tensor gguf_logits(const fs::path& path, const ModelConfig& model, const torch::Tensor& tokens) {
  const torch::NoGradGuard no_grad;
  return Decoder(weights_of(open_gguf(path), model)).logits(tokens.unsqueeze(0))[0];
}

torch::Tensor some_tokens() { return torch::arange(24, torch::kInt64) * 17 % 62; }

}  // namespace

TEST_CASE("an exported GGUF file holds the level, and says what it holds", "[export][unit]") {
  const std::map<std::string, std::string> architectures = {
      {"llama_even", "llama"},       {"llama_widths", "deci"},    {"llama_empty", "deci"},  {"llama_linear", "deci"},
      {"mistral_even", "llama"},     {"qwen2_even", "deci"},      {"qwen2_widths", "deci"}, {"qwen3_widths", "qwen3"},
      {"smollm3_widths", "smollm3"}, {"gemma3_widths", "gemma3"}, {"fused_widths", "phi3"}};
  const json cases = elastify_test::export_cases();
  for (const auto& [name, what] : cases.items()) {
    DYNAMIC_SECTION(name) {
      const TempDir dir;
      elastify_test::write_tiny_run(what, dir / "run");
      const ModelConfig model = Checkpoint::open(dir / "run" / "reordered").config();
      for (const std::int64_t level : {50, 100}) {
        const fs::path out = dir / fmt::format("{}.gguf", level);
        const json summary = export_level(options_for(dir / "run", out, "f32", level));
        const GgufFile file = open_gguf(out);
        if (level == 50) REQUIRE(file.architecture() == architectures.at(name));
        REQUIRE(summary.at("architecture") == file.architecture());
        const std::string prefix = file.architecture() + ".";
        for (const char* key : {"attention.key_length", "attention.value_length"})
          REQUIRE(*find<std::uint32_t>(file.metadata, prefix + key) == model.head_dim);
        REQUIRE(*find<std::uint32_t>(file.metadata, prefix + "rope.dimension_count") == model.turned_dims());
        const torch::Tensor expected = level_logits(dir / "run", level, some_tokens());
        if (file.architecture() != "phi3") REQUIRE(difference(expected, gguf_logits(out, model, some_tokens())) < 1e-5);
        // Read as a checkpoint, which undoes what llama.cpp's files have their own way.
        REQUIRE(difference(expected, checkpoint_logits(out, some_tokens())) < 1e-5);
      }
    }
  }
}

TEST_CASE("counts that differ by layer are arrays of the layers' number, others one number", "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("llama_widths"), dir / "run");  // KV groups 2, 1, 2, neurons 96, 64, 32
  export_level(options_for(dir / "run", dir / "level.gguf"));
  const GgufFile file = open_gguf(dir / "level.gguf");
  REQUIRE(*find<Counts>(file.metadata, "deci.attention.head_count") == Counts{4, 2, 4});
  REQUIRE(*find<Counts>(file.metadata, "deci.attention.head_count_kv") == Counts{2, 1, 2});
  REQUIRE(*find<Counts>(file.metadata, "deci.feed_forward_length") == Counts{96, 64, 32});
  REQUIRE(file.tensors.at("blk.1.ffn_down.weight").shape == std::vector<std::int64_t>{48, 64});
  export_level(options_for(dir / "run", dir / "full.gguf", "f32", 100));
  REQUIRE(*find<std::uint32_t>(open_gguf(dir / "full.gguf").metadata, "llama.attention.head_count_kv") == 3);
}

TEST_CASE("layers lack what the level lacks, and have zeros where llama.cpp wants something", "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("llama_empty"), dir / "run");  // groups 0 2 0 3 0, neurons 64 0 0 32 64
  export_level(options_for(dir / "run", dir / "level.gguf"));
  const GgufFile file = open_gguf(dir / "level.gguf");
  // The third layer is gone. The first has an attention of zeros: llama.cpp asks it for the width of a head. The second
  // has neurons of zeros: llama.cpp forgets the attention of a layer without any.
  REQUIRE(*find<Counts>(file.metadata, "deci.attention.head_count_kv") == Counts{1, 2, 3, 0});
  REQUIRE(*find<Counts>(file.metadata, "deci.feed_forward_length") == Counts{64, 32, 32, 64});
  REQUIRE(file.tensors.count("blk.3.attn_norm.weight") == 0);
  REQUIRE(file.tensors.count("output.weight") == 0);  // tied
  for (const char* name : {"blk.0.attn_output.weight", "blk.0.attn_output.bias", "blk.1.ffn_down.weight"})
    REQUIRE(tensor_of(file, name).abs().max().item<double>() == 0);
}

TEST_CASE("rows of queries and keys are turned for llama and deci, and only there", "[export][unit]") {
  const TempDir dir;
  for (const char* name : {"llama_even", "qwen3_widths"}) {
    elastify_test::write_tiny_run(example(name), dir / name);
    export_level(options_for(dir / name, dir / (std::string(name) + ".gguf"), "f32", 100));
    const GgufFile file = open_gguf(dir / (std::string(name) + ".gguf"));
    const Checkpoint checkpoint = Checkpoint::open(dir / name / "reordered");
    for (const char* part : {"q", "k", "v"}) {
      const torch::Tensor stored = tensor_of(file, fmt::format("blk.1.attn_{}.weight", part));
      const torch::Tensor source =
          checkpoint.tensor(fmt::format("model.layers.1.self_attn.{}_proj.weight", part)).to(torch::kFloat64);
      const bool turned = std::string(name) == "llama_even" && std::string(part) != "v";
      INFO(name << " " << part);
      REQUIRE(torch::equal(turned ? in_halves(stored, 8) : stored, source));
      REQUIRE(torch::equal(stored, source) != turned);
    }
  }
}

TEST_CASE("scaled frequencies are a tensor of divisors for llama3's kind, keys for the linear one", "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("llama_widths"), dir / "run");
  export_level(options_for(dir / "run", dir / "llama3.gguf"));
  const torch::Tensor divisors = tensor_of(open_gguf(dir / "llama3.gguf"), "rope_freqs.weight");
  REQUIRE(divisors.size(0) == 4);
  // Base 10000, width 8: frequencies 1, 0.1, 0.01, 0.001; an original context of 32 makes waves shorter than 8 stay and
  // those longer than 32 slow down eightfold. 2 pi is kept, 20 pi and beyond are 8 times slower.
  REQUIRE(divisors[0].item<double>() == 1);
  for (int pair = 1; pair < 4; ++pair) REQUIRE(divisors[pair].item<double>() == Approx(8).epsilon(1e-6));
  elastify_test::write_tiny_run(example("llama_linear"), dir / "linear");
  export_level(options_for(dir / "linear", dir / "linear.gguf"));
  const GgufFile linear = open_gguf(dir / "linear.gguf");
  REQUIRE(*find<std::string>(linear.metadata, "deci.rope.scaling.type") == "linear");
  REQUIRE(*find<float>(linear.metadata, "deci.rope.scaling.factor") == 2.5F);
  REQUIRE(linear.tensors.count("rope_freqs.weight") == 0);
}

TEST_CASE("types whose blocks do not divide a row give way, and a line says so", "[export][unit]") {
  const TempDir dir;
  json narrow = example("llama_even");
  narrow["config"]["hidden_size"] = 40;  // no multiple of 32; heads together are 48 wide
  narrow["neurons"] = {64, 64, 64};
  elastify_test::write_tiny_run(narrow, dir / "run");
  for (const char* dtype : {"q8_0", "q4_0", "iq4_nl"}) {
    const fs::path out = dir / (std::string(dtype) + ".gguf");
    const json summary = export_level(options_for(dir / "run", out, dtype));
    const GgufFile file = open_gguf(out);
    INFO(dtype);
    const auto type = [&](const char* name) { return std::string(file.tensors.at(name).layout->name); };
    REQUIRE(type("blk.0.ffn_up.weight") == "F16");  // 40 inputs
    REQUIRE(type("token_embd.weight") == "F16");    // likewise
    REQUIRE(type("blk.0.attn_norm.weight") == "F32");
    const std::string quantised = type("blk.0.ffn_down.weight");  // 64 inputs
    REQUIRE(quantised == (std::string(dtype) == "q8_0" ? "Q8_0" : std::string(dtype) == "q4_0" ? "Q4_0" : "IQ4_NL"));
    bool said = false;
    for (const auto& note : summary.at("notes"))
      said = said || note.get<std::string>().find("f16") != std::string::npos;
    REQUIRE(said);
    const ModelConfig model = Checkpoint::open(dir / "run" / "reordered").config();
    // Eight bits move the logits by a hundredth, four by a tenth of the largest.
    REQUIRE(difference(level_logits(dir / "run", 50, some_tokens()), gguf_logits(out, model, some_tokens())) <
            (std::string(dtype) == "q8_0" ? 0.03 : 0.3));
  }
}

TEST_CASE("an artifact in bf16 is exported in bf16, value by value, and read as it is", "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("llama_even"), dir / "run");
  const Checkpoint checkpoint = Checkpoint::open(dir / "run/reordered");
  const ElasticPlan plan = load_plan(dir / "run/plan.json", checkpoint.config());
  const elrt::TokenizerSpec spec =
      import_tokenizer(dir / "run/reordered", checkpoint.config().vocab_size, dir / "run/reordered");
  PackConfig settings;
  settings.dtype = "bf16";
  write_artifact(dir / "model.gguf", PackInputs{checkpoint, plan, spec, {}, {}, "x", {}}, settings);
  const json summary = export_level(options_for(dir / "model.gguf", dir / "same.gguf", "same", 100));
  REQUIRE(summary.at("dtype") == "bf16");
  REQUIRE(summary.at("dequantised") == false);
  const GgufFile file = open_gguf(dir / "same.gguf");
  REQUIRE(std::string(file.tensors.at("blk.1.ffn_down.weight").layout->name) == "BF16");
  for (const auto& [target, source] : {std::pair{"blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight"},
                                       {"blk.2.ffn_up.weight", "model.layers.2.mlp.up_proj.weight"},
                                       {"token_embd.weight", "model.embed_tokens.weight"}}) {
    const torch::Tensor rounded = checkpoint.tensor(source).to(torch::kBFloat16);
    REQUIRE(torch::equal(tensor_of(file, target), rounded.to(torch::kFloat64)));
  }
  auto hf = options_for(dir / "model.gguf", dir / "hf", "same", 100);
  hf.format = "hf";
  REQUIRE(export_level(hf).at("dtype") == "bf16");
  // Weights rounded to eight bits, by a 512th at most: less than eight bits a block move the logits (0.03, above).
  REQUIRE(difference(level_logits(dir / "run", 100, some_tokens()), checkpoint_logits(dir / "hf", some_tokens())) <
          0.03);
}

TEST_CASE("a GGUF file has llama.cpp's keys for the tokenizer, a token for every id, and the chat template",
          "[export][unit]") {
  const TempDir dir;
  elastify_test::write_tiny_run(example("llama_even"), dir / "run");
  export_level(options_for(dir / "run", dir / "level.gguf"));
  const auto m = open_gguf(dir / "level.gguf").metadata;
  REQUIRE(*find<std::string>(m, "tokenizer.ggml.model") == "gpt2");
  REQUIRE(*find<std::string>(m, "tokenizer.ggml.pre") == "gpt-2");
  const auto& tokens = *find<std::vector<std::string>>(m, "tokenizer.ggml.tokens");
  const auto& types = *find<std::vector<std::int32_t>>(m, "tokenizer.ggml.token_type");
  REQUIRE(tokens.size() == 66);
  REQUIRE(types.size() == 66);
  REQUIRE(tokens[62] == "<s>");
  REQUIRE(types[62] == 3);
  REQUIRE(tokens[65] == "[PAD65]");
  REQUIRE(types[65] == 5);
  REQUIRE(*find<std::uint32_t>(m, "tokenizer.ggml.bos_token_id") == 62);
  REQUIRE(*find<std::uint32_t>(m, "tokenizer.ggml.eos_token_id") == 63);
  REQUIRE(*find<bool>(m, "tokenizer.ggml.add_bos_token") == false);
  REQUIRE(*find<std::string>(m, "tokenizer.chat_template") == "{{ messages[0].content }}");
}

TEST_CASE("what llama.cpp cannot hold is refused by name", "[export][unit]") {
  const TempDir dir;
  json scaled = example("qwen3_widths");
  scaled["config"]["rope_scaling"] = example("llama_widths").at("config").at("rope_scaling");
  elastify_test::write_tiny_run(scaled, dir / "scaled");
  expect_error(ErrorCode::kUsage, {"qwen3", "rotary", "--format hf"},
               [&] { export_level(options_for(dir / "scaled", dir / "out.gguf")); });
  json biased = example("qwen3_widths");
  biased["config"]["attention_bias"] = true;
  elastify_test::write_tiny_run(biased, dir / "biased");
  expect_error(ErrorCode::kUsage, {"qwen3", "bias"},
               [&] { export_level(options_for(dir / "biased", dir / "out.gguf")); });
  elastify_test::write_tiny_run(example("qwen3_widths"), dir / "run");
  auto strict = options_for(dir / "run", dir / "out.gguf");
  strict.pad = false;
  expect_error(ErrorCode::kUsage, {"norms of queries and keys", "--no-pad"}, [&] { export_level(strict); });
  json split = read_json(dir / "run" / "reordered" / "tokenizer.json");
  split["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", "[aeiou]+"}}}, {"behavior", "Isolated"}, {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  split["model"]["merges"] = json::array({json::array({"A", "B"})});
  split["model"]["vocab"]["AB"] = 64;
  write_json(dir / "run" / "reordered" / "tokenizer.json", split);
  expect_error(ErrorCode::kUsage, {"splits text", "--format hf"},
               [&] { export_level(options_for(dir / "run", dir / "out.gguf")); });
  REQUIRE_FALSE(fs::exists(dir / "out.gguf"));
}
