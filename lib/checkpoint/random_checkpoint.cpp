#include "checkpoint/random_checkpoint.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/output_folder.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/hf_layout.h"

namespace elastify {
namespace {

using nlohmann::json;

torch::ScalarType parse_dtype(const std::string& name) {
  if (name == "float32") return torch::kFloat32;
  if (name == "float16") return torch::kFloat16;
  if (name == "bfloat16") return torch::kBFloat16;
  fail_data("torch_dtype '{}' is not supported: expected float32, float16 or bfloat16", name);
}

torch::Tensor draw(const TensorShape& shape, torch::ScalarType dtype, std::uint64_t seed) {
  if (shape.shape.size() == 1 && shape.name.find("bias") == std::string::npos) return torch::ones(shape.shape, dtype);
  auto generator = at::detail::createCPUGenerator(derive_seed(seed, shape.name));
  const bool embedding = shape.name == kEmbeddingName;
  const double deviation = embedding                 ? 1
                           : shape.shape.size() == 1 ? 0.1
                                                     : 1 / std::sqrt(static_cast<double>(shape.shape[1]));
  return torch::empty(shape.shape).normal_(0, deviation, generator).to(dtype);
}

// UTF-8 of the character that byte-level tokenizers print for a byte (Radford et al. 2019): printable bytes stand for
// themselves, the others for code points from 256 on.
std::string byte_character(int byte) {
  const auto printable = [](int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; };
  int codepoint = byte;
  if (!printable(byte)) {
    codepoint = 256;
    for (int b = 0; b < byte; ++b) codepoint += printable(b) ? 0 : 1;
  }
  if (codepoint < 128) return std::string(1, static_cast<char>(codepoint));
  return {static_cast<char>(0xC0 | (codepoint >> 6)), static_cast<char>(0x80 | (codepoint & 0x3F))};
}

json byte_tokenizer() {
  json vocab = json::object();
  for (int byte = 0; byte < 256; ++byte) vocab[byte_character(byte)] = byte;
  const auto special = [](int id, const char* content) {
    return json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", {special(256, "<s>"), special(257, "</s>")}},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"decoder", byte_level},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single",
             {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
            {"pair", json::array()},
            {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {256}}, {"tokens", {"<s>"}}}}}}}},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"vocab", vocab},
            {"merges", json::array()}}}};
}

}  // namespace

void write_random_checkpoint(const ModelConfig& config, std::uint64_t seed, const fs::path& directory) {
  constexpr std::int64_t kByteTokens = 258;
  const torch::ScalarType dtype = parse_dtype(config.dtype);
  OutputFolder target(directory);
  json document = model_config_to_hf(config);
  if (config.vocab_size >= kByteTokens) {
    document["bos_token_id"] = 256;
    document["eos_token_id"] = 257;
    write_json(target.path() / "tokenizer.json", byte_tokenizer());
    write_json(target.path() / "tokenizer_config.json", {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  } else {
    spdlog::warn("a vocabulary of {} has no room for 256 bytes, BOS and EOS: no tokenizer is written",
                 config.vocab_size);
  }
  write_json(target.path() / "config.json", document);
  std::map<std::string, TensorShape> shapes;
  for (const auto& shape : expected_tensors(config)) shapes[shape.name] = shape;
  write_hf_weights(
      target.path() / "model.safetensors", config, [&](const ModelTensor&) { return dtype; },
      [&](const ModelTensor& wanted) { return draw(shapes.at(wanted.name), dtype, seed); }, [](const ModelTensor&) {},
      "random");
  target.commit();
}

}  // namespace elastify
