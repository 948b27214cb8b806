#include "pretrain/pretrain.h"

#include <optional>

#include <elrt/tokenizer.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/output_folder.h"
#include "base/plot.h"
#include "model/device.h"
#include "pretrain/recall_heads.h"
#include "tasks/bank.h"
#include "tokenizer/import.h"
#include "tokenizer_training/train.h"
#include "train/metrics_log.h"

namespace elastify {
namespace {

using nlohmann::json;

ModelConfig model_config(const PretrainConfig& config, std::int64_t vocab_size) {
  const PretrainModelConfig& m = config.model;
  std::vector<std::string> problems;
  if (m.num_heads % m.num_kv_heads != 0)
    problems.push_back(
        fmt::format("model.num_kv_heads: expected a divisor of num_heads ({}), found {}", m.num_heads, m.num_kv_heads));
  if (m.head_dim % 2 != 0)
    problems.push_back(fmt::format("model.head_dim: expected an even number, found {}", m.head_dim));
  if (m.head_dim == 0 && m.hidden_size % (2 * m.num_heads) != 0)
    problems.push_back(fmt::format("model.hidden_size: expected a multiple of twice num_heads ({}), found {}",
                                   m.num_heads, m.hidden_size));
  throw_config_problems("pretrain", problems);
  ModelConfig model;
  model.vocab_size = vocab_size;
  model.hidden_size = m.hidden_size;
  model.intermediate_size = m.intermediate_size;
  model.num_layers = m.num_layers;
  model.num_heads = m.num_heads;
  model.num_kv_heads = m.num_kv_heads;
  model.head_dim = m.head_dim > 0 ? m.head_dim : m.hidden_size / m.num_heads;
  model.max_positions = m.max_positions;
  model.rope_theta = m.rope_theta;
  model.tied_embeddings = true;
  model.dtype = config.dtype;
  model.validate("pretrain");
  return model;
}

// Everything the weights depend on: how often to save or log changes none of them.
std::string training_key(const PretrainConfig& config) {
  PretrainConfig relevant = config;
  const PretrainConfig defaults;
  relevant.about.clear();
  relevant.workers = defaults.workers;
  relevant.products =
      product_type_name(parse_product_type(config.products, parse_device(config.device), config.model.hidden_size));
  relevant.log_every = defaults.log_every;
  relevant.eval_every = defaults.eval_every;
  relevant.checkpoint_seconds = defaults.checkpoint_seconds;
  relevant.data.held_out_contexts = defaults.data.held_out_contexts;
  json key = {
      {"version", ELASTIFY_VERSION}, {"settings", config_to_json(relevant)}, {"threads", torch::get_num_threads()}};
  if (!config.data.task_bank.empty()) key["bank"] = hash_directory(config.data.task_bank);
  if (!config.init.empty()) {
    const Checkpoint init = Checkpoint::open(config.init);
    for (const auto& file : init.files()) key["init"].push_back(hash_file(file));
  }
  for (std::string name : config.data.text) {
    if (name.starts_with('?')) name.erase(0, 1);
    if (fs::exists(name)) key["text"][name] = hash_file(name);
  }
  return hash_text(key.dump());
}

std::optional<json> finished(const fs::path& directory, const std::string& key) {
  if (fs::exists(directory / "pretrain.json")) {
    json summary = read_json(directory / "pretrain.json");
    if (summary.is_object() && summary.value("key", json()) == key) {
      summary["up_to_date"] = true;
      return summary;
    }
  }
  require_free(directory);
  return std::nullopt;
}

// The files of a tokenizer that is given, or of one that is trained, in `directory`.
void prepare_tokenizer(const PretrainConfig& config, const TaskBank* bank, const fs::path& directory) {
  if (fs::exists(directory / "tokenizer.json")) return;
  const std::string& given = config.tokenizer.empty() ? config.init : config.tokenizer;
  if (!given.empty()) {
    const fs::path source = fs::is_directory(given) ? fs::path(given) / "tokenizer.json" : fs::path(given);
    if (!fs::exists(source)) fail_usage("tokenizer {}: expected a tokenizer.json", given);
    write_file(directory / "tokenizer.json", read_file(source));
    const fs::path settings = source.parent_path() / "tokenizer_config.json";
    if (fs::exists(settings)) write_file(directory / "tokenizer_config.json", read_file(settings));
    return;
  }
  spdlog::info("pretrain: training a tokenizer of {} tokens", config.model.vocab_size);
  TokenizerTraining training;
  training.vocab_size = config.model.vocab_size;
  train_tokenizer(tokenizer_texts(config.data, bank, static_cast<std::uint64_t>(config.seed)), training, directory);
}

elrt::Tokenizer load_tokenizer(const fs::path& directory) {
  auto tokenizer = elrt::Tokenizer::create(import_tokenizer(directory));
  if (!tokenizer) fail_data("{}", tokenizer.failure().message);
  return std::move(tokenizer).value();
}

json hf_config(const ModelConfig& model, const elrt::Tokenizer& tokenizer) {
  json document = model_config_to_hf(model);
  if (tokenizer.bos_id() >= 0) document["bos_token_id"] = tokenizer.bos_id();
  if (tokenizer.eos_id() >= 0) document["eos_token_id"] = tokenizer.eos_id();
  return document;
}

void draw_losses(const fs::path& directory) {
  Series train{"training", {}, {}};
  std::map<std::string, Series> held_out;
  for (const auto& line : read_metrics(directory / "metrics.jsonl")) {
    if (line.contains("loss") && line["loss"].is_number()) {
      train.x.push_back(line["step"]);
      train.y.push_back(line["loss"]);
    }
    if (!line.contains("held_out")) continue;
    for (const auto& [family, figures] : line["held_out"].items()) {
      Series& series = held_out[family];
      series.name = family + " answers, held out";
      series.x.push_back(line["step"]);
      series.y.push_back(figures["loss"]);
    }
  }
  std::vector<Series> all = {train};
  for (const auto& [family, series] : held_out) all.push_back(series);
  draw_plot(directory / "loss.svg", {"Pretraining", "step", "loss, nats per token", false, false, all});
}

}  // namespace

json pretrain(const PretrainConfig& config, const fs::path& out) {
  const fs::path directory = output_path(out);
  const torch::Device device = parse_device(config.device);
  set_compute_threads(config.threads == 0 && config.workers > 1 ? 1 : config.threads,
                      model_config(config, config.model.vocab_size));
  const std::string key = training_key(config);
  if (auto summary = finished(directory, key)) return *summary;

  std::optional<TaskBank> bank;
  if (!config.data.task_bank.empty()) bank = load_task_bank(config.data.task_bank);
  const TaskBank* tasks = bank ? &*bank : nullptr;
  const fs::path work = directory.string() + ".partial";
  if (!fs::exists(work / "key"))
    require_free(work);
  else if (read_file(work / "key") != key)
    fs::remove_all(work);
  fs::create_directories(work);
  write_file(work / "key", key);
  prepare_tokenizer(config, tasks, work);
  const elrt::Tokenizer tokenizer = load_tokenizer(work);

  const ModelConfig shape = model_config(config, tokenizer.vocab_size());
  const auto seed = static_cast<std::uint64_t>(config.seed);
  const Corpus corpus(config.data, tasks, tokenizer, static_cast<std::size_t>(shape.max_positions), seed);
  FlatModel model = make_flat_model(shape, seed, device);
  if (!config.init.empty())
    copy_weights(Checkpoint::open(config.init), model);
  else if (config.model.recall_heads)
    plant_recall_heads(model, seed);
  spdlog::info("pretrain: {} weights, {} steps of {} x {} tokens, {} workers of {} threads, {} products",
               model.weight_count(), config.steps, config.passes, config.batch_tokens, config.workers,
               torch::get_num_threads(),
               product_type_name(parse_product_type(config.products, device, shape.hidden_size)));
  const PretrainSummary figures = run_pretraining({config, corpus, model, work, key, {}});

  write_model(model, hf_config(shape, tokenizer), work);
  draw_losses(work);
  json summary = to_json(figures);
  summary["key"] = key;
  summary["settings"] = config_to_json(config);
  write_json(work / "pretrain.json", summary);
  put_in_place(work, directory);
  for (const char* scratch : {"checkpoint.safetensors", "key"})
    fs::remove(directory / scratch);  // last: a kill loses no training
  mark_outputs(directory, {});
  return summary;
}

std::string format_pretrain(const json& s) {
  std::string text;
  if (s.value("up_to_date", false)) text += "up to date\n";
  text += fmt::format(
      "{} weights, {} steps, {} tokens in {} ({:.0f} tokens/s, {:.0f} % of the measured {:.0f} GFLOP/s)\n",
      s.at("weights").get<std::int64_t>(), s.at("steps").get<std::int64_t>(), s.at("tokens").get<std::int64_t>(),
      format_duration(s.at("seconds").get<double>()), s.at("tokens_per_s").get<double>(),
      100 * s.at("peak_share").get<double>(), s.at("peak_gflops").get<double>());
  if (s.at("held_out").empty()) return text;
  text += "\nvalidation split           loss, nats/token  every token right\n";
  for (const auto& [family, f] : s.at("held_out").items()) {
    text += fmt::format("{:<26} {:>16.3f}  {:>17.1f} %\n", family, f.at("loss").get<double>(),
                        100 * f.at("right").get<double>());
  }
  return text;
}

}  // namespace elastify
