#include "tiny_run.h"

#include <fmt/format.h>

#include <cmath>

#include "checkpoint/checkpoint.h"
#include "checkpoint/hf_layout.h"
#include "export/level_source.h"
#include "model/decoder.h"

namespace elastify_test {
namespace {

using namespace elastify;
using nlohmann::json;

torch::Tensor weight(const std::string& name, const std::vector<std::int64_t>& shape) {
  if (shape.size() == 1)
    return name.ends_with("bias") ? named_values(name, shape, 0.3) : 1 + named_values(name, shape, 0.1);
  const bool embedding = name.find("embed") != std::string::npos;
  return named_values(name, shape, embedding ? 1 : 1 / std::sqrt(static_cast<double>(shape[1])));
}

json tiny_tokenizer(std::int64_t vocabulary) {
  json vocab = json::object(), added = json::array();
  for (int i = 0; i < vocabulary - 4; ++i) vocab[std::string(1, static_cast<char>(33 + i))] = i;
  for (const char* text : {"<s>", "</s>"}) {
    added.push_back({{"id", vocabulary - 4 + static_cast<int>(added.size())},
                     {"content", text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const json level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  return {{"version", "1.0"},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", level},
          {"post_processor", nullptr},
          {"decoder", level},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", json::array()}}}};
}

json level_json(std::int64_t percent, const json& groups, const json& neurons) {
  return {{"level", percent}, {"anchors_give_way", false}, {"block_ratio", 1},
          {"total_ratio", 1}, {"kv_groups", groups},       {"neurons", neurons}};
}

void write_adapter(const json& example, const ModelConfig& config, const fs::path& folder) {
  const auto rank = example.at("rank").get<std::int64_t>();
  Adapter adapter{rank, example.at("scale").get<double>(), 0, {}};
  adapter.blocks.resize(static_cast<std::size_t>(config.num_layers));
  for (std::size_t layer = 0; layer < adapter.blocks.size(); ++layer) {
    for (std::size_t target = 0; target < block_matrices().size(); ++target) {
      const auto shape = block_matrices()[target].shape(block_widths(config));
      const std::string name = fmt::format("layers.{}.{}.lora_", layer, kTargetNames[target]);
      adapter.blocks[layer][target] = {
          named_values(name + "a", {rank, shape[1]}, 1 / std::sqrt(static_cast<double>(shape[1]))),
          named_values(name + "b", {shape[0], rank}, 0.3)};
    }
  }
  save_adapter(folder, adapter, {{50, adapter.scale}});
}

}  // namespace

json export_cases() { return read_json(fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/export/cases.json").at("cases"); }

torch::Tensor named_values(const std::string& name, const std::vector<std::int64_t>& shape, double deviation) {
  std::uint64_t seed = 14695981039346656037U;
  for (const char byte : name) seed = (seed ^ static_cast<unsigned char>(byte)) * 1099511628211U;
  torch::Tensor values = torch::empty(shape, torch::kFloat32);
  float* out = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    std::uint64_t z = seed + static_cast<std::uint64_t>(i + 1) * 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    z ^= z >> 31;
    const double unit = static_cast<double>(z >> 40) / (1 << 23) - 1;
    out[i] = static_cast<float>(unit * (deviation * std::sqrt(3.0)));
  }
  return values;
}

void write_tiny_run(const json& example, const fs::path& folder) {
  const ModelConfig config = model_config_from_hf(example.at("config"), "case");
  fs::create_directories(folder / "reordered");
  fs::create_directories(folder / "adapters/shared");
  write_json(folder / "reordered/config.json", example.at("config"));
  write_json(folder / "reordered/tokenizer.json", tiny_tokenizer(config.vocab_size));
  write_json(folder / "reordered/tokenizer_config.json",
             {{"bos_token", "<s>"}, {"eos_token", "</s>"}, {"chat_template", "{{ messages[0].content }}"}});
  std::map<std::string, torch::Tensor> tensors;
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const auto& [name, shape] : expected_tensors(config)) shapes[name] = shape;
  for (const HfTensor& theirs : hf_tensors(config)) {
    std::vector<std::int64_t> shape = shapes.at(theirs.parts.front().name);
    for (std::size_t i = 1; i < theirs.parts.size(); ++i) shape.front() += shapes.at(theirs.parts[i].name).front();
    tensors[theirs.name] = weight(theirs.name, shape);
  }
  write_safetensors(folder / "reordered/model.safetensors", tensors);
  const LevelWidths full = full_widths(config);
  write_json(folder / "plan.json", {{"kind", "measured"},
                                    {"neuron_multiple", 32},
                                    {"anchors", json::array()},
                                    {"levels",
                                     {level_json(50, example.at("kv_groups"), example.at("neurons")),
                                      level_json(100, full.kv_groups, full.neurons)}}});
  write_json(folder / "finetune.json",
             {{"loss_full", 1.0}, {"levels", {{{"level", 50}, {"kept", true}, {"shared", true}}}}});
  write_adapter(example, config, folder / "adapters/shared");
}

torch::Tensor level_logits(const fs::path& run, std::int64_t level, const torch::Tensor& tokens, bool with_adapter) {
  const torch::NoGradGuard no_grad;
  const auto source = open_level(run, level);
  const Checkpoint checkpoint = Checkpoint::open(run / "reordered");
  const Decoder decoder(slice_weights(load_weights(checkpoint, torch::kCPU, torch::kFloat64), source->facts().widths));
  ForwardOptions options;
  if (with_adapter && source->facts().adapter) options.adapter = &*source->facts().adapter;
  return decoder.logits(tokens.unsqueeze(0), options)[0];
}

torch::Tensor checkpoint_logits(const fs::path& checkpoint, const torch::Tensor& tokens) {
  const torch::NoGradGuard no_grad;
  return Decoder(load_weights(Checkpoint::open(checkpoint), torch::kCPU, torch::kFloat64))
      .logits(tokens.unsqueeze(0))[0];
}

double difference(const torch::Tensor& expected, const torch::Tensor& found) {
  const torch::Tensor a = expected.to(torch::kFloat64), b = found.to(torch::kFloat64);
  return ((a - b).abs().max() / a.abs().max()).item<double>();
}

}  // namespace elastify_test
