#include "pack/inspect_checkpoint.h"

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/checkpoint.h"
#include "pack/import_summary.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/import.h"

namespace elastify {
namespace {

using nlohmann::json;

json read_tokenizer(const Checkpoint& checkpoint) {
  try {
    const auto spec = import_tokenizer(checkpoint.tokenizer_dir(), checkpoint.config().vocab_size);
    return tokenizer_json(spec, read_chat_template(checkpoint.tokenizer_dir()));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kBadData) throw;
    return {{"problem", error.what()}};
  }
}

// "F32 (121), Q4_K (12)": how many tensors are stored as what.
std::string format_types(const json& summary) {
  std::string text;
  for (const auto& [type, count] : summary.at("types").items())
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", type, count.get<std::int64_t>());
  return text;
}

json scaling_json(const RopeScaling& scaling) {
  if (scaling.kind == RopeScaling::Kind::kNone) return nullptr;
  if (scaling.kind == RopeScaling::Kind::kLinear) return fmt::format("positions divided by {:g}", scaling.factor);
  if (scaling.kind == RopeScaling::Kind::kLongRope)
    return fmt::format("other frequencies beyond {} positions (longrope)", scaling.original_max_positions);
  return fmt::format("llama3 scaling by {:g} beyond {} positions", scaling.factor, scaling.original_max_positions);
}

template <typename Has>
std::int64_t layers_with(const ModelConfig& c, Has&& has) {
  std::int64_t count = 0;
  for (std::int64_t layer = 0; layer < c.num_layers; ++layer) count += has(layer) ? 1 : 0;
  return count;
}

json features_json(const ModelConfig& c) {
  return {{"tied_embeddings", c.tied_embeddings},
          {"qkv_bias", c.qkv_bias},
          {"output_bias", c.output_bias},
          {"qk_norm", c.qk_norm},
          {"half_norms", c.half_norms},
          {"activation", c.gelu ? "gelu_tanh" : "silu"},
          {"sliding_window", c.sliding_window},
          {"window_layers", layers_with(c, [&](auto layer) { return c.windowed(layer); })},
          {"turned_layers", layers_with(c, [&](auto layer) { return c.turns(layer); })},
          {"turned_dims", c.turned_dims()},
          {"rope_theta", c.rope_theta},
          {"rope_scaling", scaling_json(c.rope_scaling)}};
}

}  // namespace

json inspect_checkpoint(const fs::path& path, bool verify) {
  const Checkpoint checkpoint = Checkpoint::open(path);
  const ModelConfig& c = checkpoint.config();
  const auto tensors = expected_tensors(c);
  std::uintmax_t bytes = 0;
  for (const auto& file : checkpoint.files()) bytes += fs::file_size(file);
  for (std::size_t i = 0; verify && i < tensors.size(); ++i) {
    checkpoint.finite_tensor(tensors[i].name);
    checkpoint.release(tensors[i].name);
  }
  const json tokenizer = read_tokenizer(checkpoint);
  return {{"kind", "checkpoint"},
          {"file", checkpoint.path().string()},
          {"bytes", bytes},
          {"name", checkpoint.name()},
          {"architecture", c.architecture},
          {"dtype", c.dtype},
          {"types", checkpoint.stored_types()},
          {"shape",
           {{"layers", c.num_layers},
            {"hidden", c.hidden_size},
            {"neurons", c.intermediate_size},
            {"heads", c.num_heads},
            {"kv_groups", c.num_kv_heads},
            {"head_dim", c.head_dim},
            {"vocab", c.vocab_size},
            {"context", c.max_positions}}},
          {"features", features_json(c)},
          {"weights", c.weights_outside_blocks() + c.num_layers * c.weights_per_block()},
          {"tensors", tensors.size()},
          {"tokenizer", tokenizer},
          {"tokens", tokenizer.value("tokens", json(nullptr))},
          {"ignored", checkpoint.notes()},
          {"verified", verify}};
}

std::string format_checkpoint(const json& summary) {
  return fmt::format("{}: {}, {}, {} checkpoint in {}, {} weights in {} tensors{}\n",
                     summary.at("file").get<std::string>(), summary.at("name").get<std::string>(),
                     format_bytes(summary.at("bytes").get<double>()), summary.at("architecture").get<std::string>(),
                     format_types(summary), summary.at("weights").get<std::int64_t>(),
                     summary.at("tensors").get<std::int64_t>(),
                     summary.at("verified").get<bool>() ? ", all finite" : "") +
         format_shape(summary.at("shape")) + format_features(summary.at("features"), summary.at("shape")) +
         format_tokenizer(summary.at("tokenizer")) + format_ignored(summary.at("ignored"));
}

}  // namespace elastify
