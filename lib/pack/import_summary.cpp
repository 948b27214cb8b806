#include "pack/import_summary.h"

#include <fmt/format.h>

namespace elastify {

using nlohmann::json;

json tokenizer_json(const elrt::TokenizerSpec& spec, const std::string& chat_template) {
  const auto id = [](std::int32_t value) { return value < 0 ? json(nullptr) : json(value); };
  return {{"model", spec.model == elrt::TokenizerModel::kBpeMerges ? "merges" : "scores"},
          {"tokens", spec.tokens.size()},
          {"bos", id(spec.bos_id)},
          {"eos", id(spec.eos_id)},
          {"pad", id(spec.pad_id)},
          {"stop", spec.stop_ids},
          {"adds_bos", spec.add_bos},
          {"chat_template", chat_template.empty() ? json(nullptr) : json(chat_template.size())}};
}

std::string format_shape(const json& shape) {
  return fmt::format("{} layers, hidden {}, {} neurons, {} heads of {} in {} KV groups, vocabulary {}, context {}\n",
                     shape.at("layers").get<std::int64_t>(), shape.at("hidden").get<std::int64_t>(),
                     shape.at("neurons").get<std::int64_t>(), shape.at("heads").get<std::int64_t>(),
                     shape.at("head_dim").get<std::int64_t>(), shape.at("kv_groups").get<std::int64_t>(),
                     shape.at("vocab").get<std::int64_t>(), shape.at("context").get<std::int64_t>());
}

std::string format_features(const json& features, const json& shape) {
  std::string text = features.at("tied_embeddings").get<bool>() ? "head tied to the embedding" : "a head of its own";
  if (features.at("qkv_bias").get<bool>()) text += ", biases of q, k and v";
  if (features.at("output_bias").get<bool>()) text += ", bias of the attention's output";
  if (features.at("qk_norm").get<bool>()) text += ", norms of queries and keys";
  if (features.at("half_norms").get<bool>()) text += ", norms of what attention and MLP add";
  if (features.at("activation") != "silu") text += ", gates through GELU";
  const auto of_layers = [&](const char* key) {
    const auto count = features.at(key).get<std::int64_t>(), all = shape.at("layers").get<std::int64_t>();
    return count == all ? "" : fmt::format(" in {} of {} layers", count, all);
  };
  if (const auto window = features.at("sliding_window").get<std::int64_t>(); window > 0)
    text += fmt::format(", window of {} positions{}", window, of_layers("window_layers"));
  if (const std::string some = of_layers("turned_layers"); !some.empty()) text += ", rotation" + some;
  if (features.at("turned_dims") != shape.at("head_dim"))
    text += fmt::format(", rotation of {} dimensions of a head", features.at("turned_dims").get<std::int64_t>());
  text += fmt::format(", RoPE base {:g}", features.at("rope_theta").get<double>());
  if (const json& scaling = features.at("rope_scaling"); scaling.is_string()) text += ", " + scaling.get<std::string>();
  return text + "\n";
}

std::string format_tokenizer(const json& tokenizer) {
  if (tokenizer.contains("problem"))
    return fmt::format("no tokenizer: {}\n", tokenizer.at("problem").get<std::string>());
  const auto id = [](const json& value) { return value.is_null() ? std::string("none") : value.dump(); };
  const json& chat = tokenizer.at("chat_template");
  return fmt::format("tokenizer of {} tokens ({}), beginning of text {}, end of text {}{}, chat template {}\n",
                     tokenizer.at("tokens").get<std::int64_t>(), tokenizer.at("model").get<std::string>(),
                     id(tokenizer.at("bos")), id(tokenizer.at("eos")),
                     tokenizer.at("stop").empty() ? "" : " and " + tokenizer.at("stop").dump(),
                     chat.is_null() ? "none" : fmt::format("of {} bytes", chat.get<std::int64_t>()));
}

std::string format_ignored(const json& ignored) {
  std::string text;
  for (const auto& line : ignored) text += "note: " + line.get<std::string>() + "\n";
  return text;
}

}  // namespace elastify
