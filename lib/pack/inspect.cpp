#include "pack/inspect.h"

#include <elrt/block_tensors.h>
#include <elrt/format.h>
#include <elrt/artifact.hpp>
#include <elrt/gguf_file.hpp>
#include <elrt/tlm.hpp>
#include <elrt/tokenizer.hpp>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "gguf/gguf_file.h"
#include "pack/import_summary.h"
#include "pack/inspect_checkpoint.h"

namespace elastify {
namespace {

using nlohmann::json;

[[noreturn]] void fail_with(const elrt::Failure& failure) {
  throw Error(failure.status == elrt::Status::kInternal ? ErrorCode::kInternal : ErrorCode::kBadData, failure.message);
}

json number(float value) { return std::isfinite(value) ? json(value) : json(nullptr); }

// Types of the adapters' tensors whose names begin so: "F16", "Q8_0", or "F16 and Q8_0" where the first and the second
// matrices differ; empty: there are none.
std::string adapter_types_text(const elrt::Artifact& artifact, const std::string& prefix) {
  std::set<std::string> types;
  for (const auto& tensor : artifact.tensors()) {
    if (tensor.name.starts_with(prefix)) types.insert(elrt::type_name(tensor.type));
  }
  return fmt::format("{}", fmt::join(types, " and "));
}

json level_json(const elrt::Artifact& artifact, const elrt::LevelInfo& level) {
  const std::string owner = level.adapter_shared ? elrt::format::tensor::kSharedAdapter : std::to_string(level.level);
  return {{"level", level.level},
          {"block_ratio", number(level.block_ratio)},
          {"total_ratio", number(level.total_ratio)},
          {"kv_groups", std::vector<std::uint32_t>(level.kv_groups.begin(), level.kv_groups.end())},
          {"neurons", std::vector<std::uint32_t>(level.neurons.begin(), level.neurons.end())},
          {"adapter_bytes", level.adapter_bytes},
          {"adapter_rank", level.adapter_rank},
          {"adapter_shared", level.adapter_shared},
          {"adapter_type",
           level.adapter_rank == 0 ? json(nullptr) : json(adapter_types_text(artifact, "adapter." + owner + "."))},
          {"bytes_per_token", level.bytes_per_token},
          {"loss_before", number(level.loss_before)},
          {"loss_after", number(level.loss_after)}};
}

template <typename T>
T value_or(const elrt::gguf::Metadata& metadata, const char* key, T otherwise) {
  const T* found = elrt::gguf::find<T>(metadata, key);
  return found == nullptr ? otherwise : *found;
}

// Every quantised tensor with what quantising cost it.
json quantised_json(const elrt::Artifact& artifact) {
  const auto errors = value_or<std::vector<float>>(artifact.metadata(), elrt::format::key::kQuantisationError, {});
  json found = json::array();
  for (std::size_t i = 0; i < artifact.tensors().size(); ++i) {
    const auto& tensor = artifact.tensors()[i];
    if (!elrt::is_quantised(tensor.type)) continue;
    found.push_back({{"tensor", tensor.name},
                     {"type", elrt::type_name(tensor.type)},
                     {"bytes", tensor.bytes},
                     {"relative_rms_error", i < errors.size() ? number(errors[i]) : json(nullptr)}});
  }
  return found;
}

// null where the artifact has none.
json tlm_json(const elrt::Artifact& artifact) {
  const elrt::TlmShape* tlm = artifact.tlm();
  if (tlm == nullptr) return nullptr;
  std::uint64_t bytes = 0;
  for (const auto& tensor : artifact.tensors())
    bytes += tensor.name.rfind(elrt::format::tensor::kTlm, 0) == 0 ? tensor.bytes : 0;
  return {{"bytes", bytes},
          {"body", tlm->body == elrt::TlmBodyKind::kBert ? "bert" : "mobilebert"},
          {"vocab", tlm->vocab},
          {"hidden", tlm->hidden},
          {"neurons", tlm->ffn},
          {"heads", tlm->heads},
          {"inner", tlm->inner},
          {"positions", tlm->positions},
          {"bottom_layers", tlm->bottom_layers},
          {"score_layers", tlm->score_layers},
          {"decision_layers", tlm->decision_layers},
          {"model_levels", tlm->model_levels},
          {"prompt_levels", tlm->prompt_levels}};
}

// The adapter that several levels use, counted once: null where there is none.
json shared_adapter_json(const elrt::Artifact& artifact) {
  json levels = json::array();
  std::uint32_t rank = 0;
  for (const auto& level : artifact.levels()) {
    if (!level.adapter_shared) continue;
    levels.push_back(level.level);
    rank = level.adapter_rank;
  }
  if (levels.empty()) return nullptr;
  std::uint64_t bytes = 0;
  const std::string prefix = std::string("adapter.") + elrt::format::tensor::kSharedAdapter + ".";
  for (const auto& tensor : artifact.tensors()) bytes += tensor.name.starts_with(prefix) ? tensor.bytes : 0;
  return {{"rank", rank}, {"type", adapter_types_text(artifact, prefix)}, {"bytes", bytes}, {"levels", levels}};
}

// What the file's tensors and keys say of the model, as the summary of a checkpoint has it.
json features_json(const elrt::Artifact& artifact) {
  namespace name = elrt::format::tensor;
  const auto in_block = [&](const char* part) { return artifact.find_tensor(std::string("blk.0.") + part) != nullptr; };
  const bool scaled = artifact.find_tensor(name::kRopeFreqs) != nullptr;
  const elrt::ModelShape& shape = artifact.shape();
  const auto layers_with = [&](auto&& has) {
    std::uint32_t count = 0;
    for (std::uint32_t layer = 0; layer < shape.blocks; ++layer) count += has(layer) ? 1 : 0;
    return count;
  };
  json scaling = scaled ? json("frequencies scaled by rope_freqs") : json(nullptr);
  if (shape.original_context > 0)
    scaling = fmt::format("other frequencies beyond {} positions (longrope)", shape.original_context);
  return {{"tied_embeddings", artifact.find_tensor(name::kOutput) == nullptr},
          {"qkv_bias", in_block(name::kAttnQBias)},
          {"output_bias", in_block(name::kAttnOutputBias)},
          {"qk_norm", in_block(name::kAttnQNorm)},
          {"half_norms", in_block(name::kAttnPostNorm)},
          {"activation", shape.activation == elrt::Activation::kGeluTanh ? "gelu_tanh" : "silu"},
          {"sliding_window", shape.sliding_window},
          {"window_layers", layers_with([&](auto layer) { return shape.windowed(layer); })},
          {"turned_layers", layers_with([&](auto layer) { return shape.turns(layer); })},
          {"turned_dims", shape.rotary_dim},
          {"rope_theta", shape.rope_base},
          {"rope_scaling", scaling}};
}

// Tensors of the file that no reader looks at, for people.
json unread_tensors(const elrt::Artifact& artifact) {
  namespace name = elrt::format::tensor;
  const auto known = [](const std::string& found) {
    for (const char* prefix : {"adapter.", name::kTlm}) {
      if (found.starts_with(prefix)) return true;
    }
    if (found.starts_with("blk.")) {
      const std::string part = found.substr(std::min(found.size(), found.find('.', 4) + 1));
      return std::any_of(std::begin(elrt::format::kBlockTensors), std::end(elrt::format::kBlockTensors),
                         [&](const auto& entry) { return part == entry.name; });
    }
    return found == name::kTokenEmbedding || found == name::kOutputNorm || found == name::kOutput ||
           found == name::kRopeFreqs || found == name::kRopeFactorsShort || found == name::kRopeFactorsLong;
  };
  json unread = json::array();
  for (const auto& tensor : artifact.tensors()) {
    if (!known(tensor.name)) unread.push_back(fmt::format("tensor {}: ignored, because nothing reads it", tensor.name));
  }
  return unread;
}

std::string format_tlm(const json& tlm) {
  if (tlm.is_null()) return "";
  return fmt::format(
      "tiny language model of {} (body: {}): {} shared layers, {} for scores, {} for decisions, hidden {}, inner {}, "
      "vocabulary "
      "{}, {} positions\n",
      format_bytes(tlm.at("bytes").get<double>()), tlm.at("body").get<std::string>(),
      tlm.at("bottom_layers").get<int>(), tlm.at("score_layers").get<int>(), tlm.at("decision_layers").get<int>(),
      tlm.at("hidden").get<int>(), tlm.at("inner").get<int>(), tlm.at("vocab").get<int>(),
      tlm.at("positions").get<int>());
}

std::string format_shared_adapter(const json& adapter) {
  if (adapter.is_null()) return "";
  return fmt::format("one adapter of rank {} in {}, {}, for the levels {}: each uses its part\n",
                     adapter.at("rank").get<int>(), adapter.at("type").get<std::string>(),
                     format_bytes(adapter.at("bytes").get<double>()), adapter.at("levels").dump());
}

std::string format_quantised(const json& tensors) {
  if (tensors.empty()) return "";
  double worst = -1;
  std::string where = "?";
  for (const auto& tensor : tensors) {
    const json& error = tensor.at("relative_rms_error");
    if (error.is_number() && error.get<double>() > worst)
      worst = error.get<double>(), where = tensor.at("tensor").get<std::string>();
  }
  return fmt::format("{} tensors are quantised; the largest relative RMS error is {} ({})\n", tensors.size(),
                     worst < 0 ? "unknown" : fmt::format("{:.4f}", worst), where);
}

}  // namespace

json inspect_artifact(const fs::path& path, bool verify) {
  const auto artifact = elrt::Artifact::open(path);
  if (!artifact) fail_with(artifact.failure());
  const auto tokenizer = artifact->tokenizer();
  if (!tokenizer) fail_with(tokenizer.failure());
  if (verify) {
    const auto verified = artifact->verify_checksums();
    if (!verified) fail_with(verified.failure());
  }
  const auto& shape = artifact->shape();
  const auto& metadata = artifact->metadata();
  json sources = json::object();
  constexpr std::string_view kSource = "elastic.source.";
  for (const auto& [key, value] : metadata) {
    if (key.rfind(kSource, 0) == 0 && std::holds_alternative<std::string>(value))
      sources[key.substr(kSource.size())] = std::get<std::string>(value);
  }
  json levels = json::array();
  for (const auto& level : artifact->levels()) levels.push_back(level_json(artifact.value(), level));
  return {{"kind", "artifact"},
          {"file", path.string()},
          {"bytes", artifact->file_bytes()},
          {"architecture", elrt::format::kArchitecture},
          {"features", features_json(artifact.value())},
          {"ignored", unread_tensors(artifact.value())},
          {"tokenizer",
           tokenizer_json(tokenizer.value()->spec(), value_or<std::string>(metadata, "tokenizer.chat_template", ""))},
          {"name", value_or<std::string>(metadata, "general.name", "")},
          {"format_version", value_or<std::uint32_t>(metadata, elrt::format::key::kFormatVersionNumber, 0)},
          {"shape",
           {{"layers", shape.blocks},
            {"hidden", shape.hidden},
            {"neurons", shape.ffn},
            {"heads", shape.heads},
            {"kv_groups", shape.kv_heads},
            {"head_dim", shape.head_dim},
            {"vocab", shape.vocab},
            {"context", shape.context}}},
          {"tensors", artifact->tensors().size()},
          {"quantised", quantised_json(artifact.value())},
          {"tlm", tlm_json(artifact.value())},
          {"shared_adapter", shared_adapter_json(artifact.value())},
          {"tokens", tokenizer.value()->vocab_size()},
          {"anchors", value_or<std::vector<std::uint32_t>>(metadata, elrt::format::key::kAnchors, {})},
          {"source", sources},
          {"verified", verify},
          {"levels", levels}};
}

std::string format_inspection(const json& summary) {
  const json& shape = summary.at("shape");
  std::string text = fmt::format("{}: {}, {}, format {}, {} tensors{}\n", summary.at("file").get<std::string>(),
                                 summary.at("name").get<std::string>(), format_bytes(summary.at("bytes").get<double>()),
                                 summary.at("format_version").get<int>(), summary.at("tensors").get<int>(),
                                 summary.at("verified").get<bool>() ? ", all checksums right" : "");
  text += format_shape(shape) + format_features(summary.at("features"), shape) +
          format_tokenizer(summary.at("tokenizer")) + format_ignored(summary.at("ignored"));
  if (const json& anchors = summary.at("anchors"); !anchors.empty()) text += "anchor layers " + anchors.dump() + "\n";
  text += format_quantised(summary.at("quantised"));
  text += format_tlm(summary.at("tlm")) + format_shared_adapter(summary.at("shared_adapter"));
  text += "\nlevel  block ratio  total ratio  adapter     read per token  KV groups / neurons by layer\n";
  for (const auto& level : summary.at("levels")) {
    const auto ratio = [&](const char* key) {
      return level.at(key).is_number() ? fmt::format("{:.3f}", level.at(key).get<double>()) : "-";
    };
    text +=
        fmt::format("{:>5}  {:>11}  {:>11}  {:>10}  {:>14}  {} / {}\n", level.at("level").get<int>(),
                    ratio("block_ratio"), ratio("total_ratio"), format_bytes(level.at("adapter_bytes").get<double>()),
                    format_bytes(level.at("bytes_per_token").get<double>()), level.at("kv_groups").dump(),
                    level.at("neurons").dump());
  }
  return text;
}

// A GGUF file that names no other architecture, damaged ones included.
static bool is_artifact(const fs::path& path) {
  const MappedFile file(path);
  const auto keys = elrt::gguf::readable_metadata({file.data(), file.size_bytes()});
  const auto architecture = value_or<std::string>(keys, elrt::format::key::kArchitectureName, "");
  return architecture.empty() || architecture == elrt::format::kArchitecture ||
         keys.contains(elrt::format::key::kFormatVersionNumber);
}

json inspect(const fs::path& path, bool verify) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    const bool run = !fs::exists(path / "config.json") && fs::is_regular_file(path / "model.gguf");
    return run ? inspect_artifact(path / "model.gguf", verify) : inspect_checkpoint(path, verify);
  }
  if (is_gguf(path)) return is_artifact(path) ? inspect_artifact(path, verify) : inspect_checkpoint(path, verify);
  return path.extension() == ".gguf" || !fs::exists(path, error) ? inspect_artifact(path, verify)
                                                                 : inspect_checkpoint(path, verify);
}

std::string format_summary(const json& summary) {
  return summary.at("kind") == "artifact" ? format_inspection(summary) : format_checkpoint(summary);
}

}  // namespace elastify
