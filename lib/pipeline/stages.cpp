#include "pipeline/stages.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "finetune/finetune.h"
#include "model/sampling.h"
#include "pipeline/text_source.h"
#include "pipeline/tlm_stages.h"
#include "profile/check.h"
#include "reorder/reorder.h"
#include "tokenizer/import.h"
#include "tokenizer/special.h"

namespace elastify {
namespace {

elrt::TokenizerSpec load_tokenizer_spec(const PipelineConfig& config, const Checkpoint& checkpoint) {
  return import_tokenizer(tokenizer_path(config, checkpoint), checkpoint.config().vocab_size,
                          checkpoint.tokenizer_dir());
}

elrt::Tokenizer load_tokenizer(const PipelineConfig& config, const Checkpoint& checkpoint) {
  auto tokenizer = elrt::Tokenizer::create(load_tokenizer_spec(config, checkpoint));
  if (!tokenizer) fail_data("{}", tokenizer.failure().message);
  return std::move(tokenizer).value();
}

// Says what a stage is about to need, and warns where the machine has less.
void state_memory(const std::string& stage, double bytes, torch::Device device) {
  struct sysinfo info {};
  ::sysinfo(&info);
  const double available = static_cast<double>(info.freeram + info.bufferram) * info.mem_unit;
  spdlog::info("{}: needs about {} of memory", stage, format_bytes(bytes));
  if (device.is_cpu() && bytes > static_cast<double>(info.totalram) * info.mem_unit) {
    spdlog::warn(
        "{}: this machine has {} of memory ({} free): lower batch_rows or seq, or expect the system to end the run",
        stage, format_bytes(static_cast<double>(info.totalram) * info.mem_unit), format_bytes(available));
  }
}

Decoder load_decoder(const StageContext& context, const Checkpoint& checkpoint) {
  return Decoder(load_weights(checkpoint, context.device, torch::kFloat32));
}

TokenRows make_rows(const DataConfig& data, const std::vector<TokenDocument>& documents, std::int64_t seq,
                    std::int64_t max_tokens, std::uint64_t seed) {
  return data.pack ? pack_rows(documents, seq, max_tokens, seed) : separate_rows(documents, seq, max_tokens, seed);
}

TokenRows calibration_rows(const StageContext& context, const Checkpoint& checkpoint, std::int64_t tokens) {
  const elrt::Tokenizer tokenizer = load_tokenizer(context.config, checkpoint);
  const TextSets text = load_text(context.run, context.config, tokenizer);
  const std::int64_t seq = std::min(context.config.profile.seq, checkpoint.config().max_positions);
  return make_rows(context.config.data, text.calibration, seq, tokens, context.seed() + 1);
}

}  // namespace

namespace {

// As many documents at once as keep the key-value cache below 1 GiB, at most 256.
std::int64_t sampling_batch(const ModelConfig& config, std::int64_t max_tokens) {
  const std::int64_t document_bytes = config.num_layers * 2 * config.num_kv_heads * config.head_dim * max_tokens * 4;
  return std::clamp<std::int64_t>((std::int64_t{1} << 30) / document_bytes, 1, 256);
}

// Every batch is a file in `work`, so that a run that was stopped goes on with the next.
std::vector<TokenDocument> sample_all(const Decoder& decoder, const SamplingRequest& request, const fs::path& work) {
  const std::int64_t batches = sample_batches(request);
  Progress progress("sample", batches, "batches");
  std::vector<TokenDocument> all;
  for (std::int64_t index = 0; index < batches; ++index) {
    const fs::path path = work / fmt::format("batch_{}.safetensors", index);
    if (!fs::exists(path)) save_documents(path, sample_batch(decoder, request, index));
    const auto documents = load_documents(path);
    all.insert(all.end(), documents.begin(), documents.end());
    progress.update(index + 1);
  }
  return all;
}

}  // namespace

json run_sample(const StageContext& context) {
  const DataConfig& data = context.config.data;
  const Checkpoint checkpoint = Checkpoint::open(context.config.checkpoint);
  const elrt::Tokenizer tokenizer = load_tokenizer(context.config, checkpoint);
  if (tokenizer.bos_id() < 0) {
    fail_usage("{}: the tokenizer has no BOS token to sample from: give text with data.recovery",
               context.config.checkpoint);
  }
  SamplingRequest request;
  request.documents = data.sample_documents;
  request.max_tokens = std::min(data.sample_tokens, checkpoint.config().max_positions);
  request.temperature = data.sample_temperature;
  request.bos_id = tokenizer.bos_id();
  request.stop_ids = {tokenizer.bos_id()};
  if (tokenizer.eos_id() >= 0) request.stop_ids.push_back(tokenizer.eos_id());
  for (const std::int32_t id : tokenizer.spec().stop_ids) request.stop_ids.push_back(id);
  request.seed = context.seed();
  request.batch = sampling_batch(checkpoint.config(), request.max_tokens);
  const Decoder decoder = load_decoder(context, checkpoint);
  const auto documents = sample_all(decoder, request, context.work);
  if (documents.size() < 2)
    fail_data("{}: the model ends its text at once: give text with data.recovery", context.config.checkpoint);
  save_documents(context.run.file(kSampledFile), documents);
  std::size_t tokens = 0;
  for (const auto& document : documents) tokens += document.ids.size();
  return {{"documents", documents.size()}, {"tokens", tokens}};
}

json run_profile(const StageContext& context) {
  const ProfileConfig& settings = context.config.profile;
  const Checkpoint checkpoint = Checkpoint::open(context.config.checkpoint);
  state_memory("profile", profile_memory_bytes(checkpoint.config(), settings.batch_rows, settings.seq, torch::kFloat32),
               context.device);
  const Decoder decoder = load_decoder(context, checkpoint);
  const TokenRows rows = calibration_rows(context, checkpoint, settings.tokens);
  const ResumePoint resume{context.work / "profile.safetensors", context.key, 30, {}};
  const ProfilePass pass = profile_units(decoder, rows, settings, context.seed(), resume);

  Profile profile;
  profile.scores = pass.scores;
  profile.method = settings.method;
  profile.tokens = pass.tokens;
  profile.seed = context.seed();
  profile.mean_loss = pass.mean_loss;
  profile.source_hash = context.run.content_hash(checkpoint.files().back());
  profile.tool_version = tool_version();
  profile.checked = units_to_check(checkpoint.config(), settings);
  UnitScores check_scores;
  if (!profile.checked.empty()) {
    const TokenRows check_rows = rows_to_check(rows, settings);
    const ResumePoint check_resume{context.work / "check.safetensors", context.key, 30, {}};
    const AblationResult exact = ablate_units(decoder, check_rows, profile.checked, check_resume);
    profile.checked_change = exact.loss_change;
    profile.checked_tokens = exact.tokens;
    check_scores = profile_units(decoder, check_rows, settings, context.seed()).scores;
  }
  save_profile(context.run.file("profile.h5"), profile);
  const bool one_pass = settings.method == "fisher" || settings.method == "taylor2" || settings.method == "taylor";
  if (!one_pass) return profile_summary(profile, check_scores, pass.seconds, 0);
  const TimeRatio time = time_profile_ratio(decoder, rows, settings.batch_rows, settings.method);
  return profile_summary(profile, check_scores, pass.seconds, time.ratio(), time.activations_ratio());
}

json run_anchors(const StageContext& context) {
  const Checkpoint checkpoint = Checkpoint::open(context.config.checkpoint);
  const Decoder decoder = load_decoder(context, checkpoint);
  const TokenRows rows = calibration_rows(context, checkpoint, context.config.anchors.tokens);
  const AnchorsResult result =
      find_anchors(decoder, rows, context.config.anchors, {context.work / "anchors.safetensors", context.key, 30, {}});
  save_anchors(context.run.file("anchors.json"), result);
  draw_plot(context.run.file("anchors.svg"), anchors_plot(result));
  return anchors_to_json(result);
}

namespace {

// Scores in the new order, as make_plan() wants them.
SortedScores sort_scores(const UnitScores& scores) {
  return {std::get<0>(scores.groups.sort(1, true)), std::get<0>(scores.neurons.sort(1, true))};
}

// Full float64 runs of both checkpoints on a few random tokens; the bound is the design's.
double prove_equal(const Checkpoint& before, const Checkpoint& after, std::uint64_t seed) {
  constexpr double kBound = 1e-10;
  torch::manual_seed(seed);
  const std::int64_t seq = std::min<std::int64_t>(32, before.config().max_positions);
  const torch::Tensor tokens = torch::randint(before.config().vocab_size, {1, seq}, torch::kInt64);
  const double difference = compare_logits(before, after, tokens);
  if (!(difference <= kBound)) {
    fail(ErrorCode::kInternal,
         "reordering changed the model: logits differ by {:.3g} relative, expected at most {:.0e}", difference, kBound);
  }
  return difference;
}

}  // namespace

json run_reorder(const StageContext& context) {
  const Checkpoint checkpoint = Checkpoint::open(context.config.checkpoint);
  const Profile profile = load_profile(context.run.file("profile.h5"), checkpoint.config());
  const AnchorsResult anchors = load_anchors(context.run.file("anchors.json"), checkpoint.config().num_layers);
  const ElasticPlan plan =
      make_plan(checkpoint.config(), anchors.anchors, sort_scores(profile.scores), context.config.reorder);

  AtomicDirectory directory(context.run.file("reordered"));
  write_reordered(checkpoint, order_by_importance(profile.scores.groups, profile.scores.neurons), directory.path());
  for (const auto& file : tokenizer_files(tokenizer_path(context.config, checkpoint))) {
    fs::copy_file(file, directory.path() / file.filename(), fs::copy_options::overwrite_existing);
  }
  const fs::path config_file = directory.path() / "config.json";
  json config = read_json(config_file);
  write_text_ends(load_tokenizer_spec(context.config, checkpoint), config);
  write_json(config_file, config);
  const double difference = prove_equal(checkpoint, Checkpoint::open(directory.path()), context.seed());
  directory.commit();
  save_plan(context.run.file("plan.json"), plan);
  json levels = json::array();
  for (const auto& level : plan.levels) {
    levels.push_back({{"level", level.level},
                      {"block_ratio", level.block_ratio},
                      {"total_ratio", level.total_ratio},
                      {"anchors_give_way", level.anchors_give_way}});
  }
  return {{"plan", plan.kind}, {"anchors", plan.anchors}, {"logit_difference", difference}, {"levels", levels}};
}

json run_finetune(const StageContext& context) {
  const FinetuneConfig& settings = context.config.finetune;
  const Checkpoint reordered = Checkpoint::open(context.run.file("reordered"));
  const ElasticPlan plan = load_plan(context.run.file("plan.json"), reordered.config());
  const elrt::Tokenizer tokenizer = load_tokenizer(context.config, reordered);
  const TextSets text = load_text(context.run, context.config, tokenizer);
  const std::int64_t seq = std::min(settings.seq, reordered.config().max_positions);
  const TokenRows train = make_rows(context.config.data, text.train, seq, 0, context.seed() + 2);
  const TokenRows held_out = make_rows(context.config.data, text.held_out, seq, settings.held_out_tokens, 0);
  const ModelWeights weights = load_weights(reordered, context.device, finetune_dtype(settings.dtype, context.device));
  const FinetuneSummary summary = finetune(
      {weights, plan.levels, train, held_out, context.run.file("adapters"), context.seed(), context.key, {}}, settings);
  save_finetune_summary(context.run.file("finetune.json"), summary);
  return to_json(summary);
}

namespace {

// JSON has no NaN: what was not finite was written as null.
double number_or_nan(const json& value) { return value.is_number() ? value.get<double>() : std::nan(""); }

// Losses of every level and adapters of those whose recovery was kept.
void add_recovery(const fs::path& adapters, const json& summary, const ModelConfig& config, PackInputs& inputs) {
  inputs.losses[100] = {number_or_nan(summary.at("loss_full")), number_or_nan(summary.at("loss_full"))};
  for (const auto& entry : summary.at("levels")) {
    const auto level = entry.at("level").get<std::int64_t>();
    const bool kept = entry.at("kept").get<bool>();
    inputs.losses[level] = {number_or_nan(entry.at("loss_before")),
                            number_or_nan(entry.at(kept ? "loss_after" : "loss_before"))};
    if (kept)
      inputs.adapters.emplace(level,
                              load_adapter(level_directory(adapters, level), config, torch::kCPU, torch::kFloat32));
  }
}

}  // namespace

namespace {

// `tlm_folder`: of the tiny language model that rides along; empty: none.
json pack_into(const StageContext& context, const fs::path& artifact, const fs::path& tlm_folder) {
  const Checkpoint reordered = Checkpoint::open(context.run.file("reordered"));
  const ElasticPlan plan = load_plan(context.run.file("plan.json"), reordered.config());
  const elrt::TokenizerSpec tokenizer = load_tokenizer_spec(context.config, reordered);
  const Checkpoint original = Checkpoint::open(context.config.checkpoint);
  PackInputs inputs{reordered, plan, tokenizer, {}, {}, original.name(), {}};
  if (context.config.pack.adapters) {
    if (const auto& base = context.config.finetune.base_dtype; base != "f32" && base != context.config.pack.dtype) {
      spdlog::warn(
          "pack: adapters were trained for {} matrices (finetune.base_dtype), the artifact holds {} (pack.dtype)", base,
          context.config.pack.dtype);
    }
    const fs::path summary_path = context.run.file("finetune.json");
    try {
      add_recovery(context.run.file("adapters"), read_json(summary_path), reordered.config(), inputs);
    } catch (const json::exception& error) {
      fail_data("{} is damaged: {}; run the finetune stage again", summary_path.string(), error.what());
    }
  }
  inputs.sources["checkpoint"] = context.run.content_hash(original.files().back());
  inputs.sources["tool_version"] = tool_version();
  std::optional<PackedTlm> tlm;
  if (!tlm_folder.empty()) {
    tlm = read_packed_tlm(tlm_folder);
    inputs.tlm = &*tlm;
  }
  const QuantisationErrors errors = write_artifact(artifact, inputs, context.config.pack);
  return {{"artifact", artifact.string()}, {"bytes", fs::file_size(artifact)},   {"adapters", inputs.adapters.size()},
          {"tlm", inputs.tlm != nullptr},  {"dtype", context.config.pack.dtype}, {"quantisation_errors", errors}};
}

}  // namespace

json run_pack(const StageContext& context) {
  fs::path tlm = context.config.pack.tlm;
  if (tlm.empty() && context.config.label.wanted()) tlm = context.run.file("tlm");
  return pack_into(context, context.run.file("model.gguf"), tlm);
}
json run_pack_base(const StageContext& context) { return pack_into(context, context.run.file(kBaseArtifact), {}); }

}  // namespace elastify
