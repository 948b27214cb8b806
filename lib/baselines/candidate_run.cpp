#include "baselines/candidate_run.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "baselines/kept_json.h"
#include "baselines/latency.h"
#include "finetune/finetune.h"

namespace elastify {
namespace {

void copy_fields(const json& from, std::initializer_list<const char*> fields, json& to) {
  for (const char* field : fields) {
    if (from.contains(field)) to[field] = from.at(field);
  }
}

json without_key(json made) {
  made.erase("key");
  return made;
}

}  // namespace

CandidateRun::CandidateRun(SharedData& shared, MethodInputs& inputs, Recoverer& recoverer, const Schedule& schedule,
                           const Method& method, std::int64_t level)
    : shared_(shared),
      inputs_(inputs),
      recoverer_(recoverer),
      schedule_(schedule),
      method_(method),
      level_(level),
      folder_(level_directory(shared.folder() / method.name, level)) {}

bool CandidateRun::before() {
  bool worked = false;
  const json made =
      kept_json(folder_ / "before.json", key({{"texts", text_hashes(shared_.texts)}}), worked, [&] { return cut(); });
  result_ = {{"method", method_.name}, {"level", level_}};
  copy_fields(made, {"infeasible", "block_ratio", "total_ratio", "kv_groups", "neurons", "notes", "loss_before"},
              result_);
  if (feasible()) {
    result_["latency"] = latency(worked);
    result_["data"] = {{"texts", text_hashes(shared_.texts)}};
  }
  candidate_.reset();
  return worked;
}

bool CandidateRun::after() {
  bool worked = false;
  if (recovers()) {
    const json made = kept_json(folder_ / "after.json", training_key(), worked, [&] { return recovered(); });
    copy_fields(made, {"loss_after", "training_tokens", "recovery", "data"}, result_);
  }
  if (!shared_.tasks.items.empty()) {
    const json settings = {{"tasks", shared_.tasks.hash}, {"training", recovers() ? training_key() : ""}};
    result_["tasks"] =
        without_key(kept_json(folder_ / "tasks.json", key(settings), worked, [&] { return measured_tasks(); }));
  }
  write_json(folder_ / "result.json", result_);
  candidate_.reset();
  scratch_.reset();
  return worked;
}

std::string CandidateRun::key(const json& more) const {
  json all = {{"shared", shared_.key}, {"method", method_.name}, {"level", level_}, {"more", more}};
  if (std::string(method_.name) == "ours") all["plan"] = shared_.run.output_hash("reorder");
  return hash_text(all.dump());
}

std::string CandidateRun::training_key() const {
  FinetuneConfig relevant = shared_.finetune;
  relevant.checkpoint_seconds = FinetuneConfig().checkpoint_seconds;
  relevant.products =
      product_type_name(parse_product_type(relevant.products, shared_.device, shared_.checkpoint.config().hidden_size));
  return key({{"data", training_data()},
              {"settings", config_to_json(relevant)},
              {"scratch_rate", method_.recovery == Recovery::kWhole ? shared_.request.scratch_rate : 0}});
}

// As recovery derives it, so that models trained from nothing read the same rows in the same order.
std::uint64_t CandidateRun::row_seed() const {
  return derive_seed(shared_.seed(), "rows", static_cast<std::uint64_t>(level_));
}

// Hashed from the rows themselves, so that nothing can differ unseen.
json CandidateRun::training_data() const {
  return {{"texts", text_hashes(shared_.texts)},
          {"train_rows", rows_hash(shared_.train)},
          {"held_out_rows", rows_hash(shared_.held_out)},
          {"row_order", std::to_string(row_seed())},
          {"training_tokens", schedule_.steps * shared_.finetune.batch_rows * shared_.finetune.seq}};
}

LevelPlan CandidateRun::plan() const {
  LevelPlan plan;
  plan.level = level_;
  plan.block_ratio = result_.at("block_ratio").get<double>();
  plan.total_ratio = result_.at("total_ratio").get<double>();
  plan.widths = {result_.at("kv_groups").get<std::vector<std::int64_t>>(),
                 result_.at("neurons").get<std::vector<std::int64_t>>()};
  return plan;
}

Candidate& CandidateRun::candidate() {
  if (!candidate_) candidate_ = method_.make(inputs_, level_);
  return *candidate_;
}

Decoder CandidateRun::sliced() { return Decoder(slice_weights(candidate().weights, candidate().plan.widths)); }

json CandidateRun::cut() {
  const Candidate& made = candidate();
  if (!made.infeasible.empty()) return {{"infeasible", made.infeasible}};
  json result = {{"block_ratio", made.plan.block_ratio},
                 {"total_ratio", made.plan.total_ratio},
                 {"kv_groups", made.plan.widths.kv_groups},
                 {"neurons", made.plan.widths.neurons},
                 {"notes", made.notes}};
  // What was never trained has no loss worth a number.
  if (method_.recovery != Recovery::kWhole)
    result["loss_before"] =
        losses_on(shared_.texts, {made.weights, made.plan.widths, nullptr, made.tap}, shared_.finetune);
  return result;
}

json CandidateRun::latency(bool& worked) {
  if (!recovers()) {
    return counted_latency(1, result_.at("total_ratio").get<double>(),
                           "an upper bound, not a model: units are chosen with hindsight, and a prompt's tokens choose "
                           "different ones, so that reading a prompt costs what it costs the full model");
  }
  const bool adapter = method_.recovery == Recovery::kAdapter;
  const auto& request = shared_.request;
  const json settings = {{"widths", {result_.at("kv_groups"), result_.at("neurons")}},
                         {"pack", config_to_json(shared_.config.pack)},
                         {"adapter", adapter ? shared_.finetune.rank : 0},
                         {"prompt", {request.prompt_tokens, request.repeats, shared_.config.threads}}};
  const LevelPlan level = plan();
  return without_key(kept_json(folder_ / "latency.json", key(settings), worked, [&] {
    return measure_latency({shared_.checkpoint, shared_.spec, shared_.config.pack, shared_.finetune, level, adapter,
                            request.prompt_tokens, request.repeats, shared_.config.threads,
                            shared_.folder() / "level.gguf"});
  }));
}

json CandidateRun::recovered() {
  const Stopwatch watch;
  const json data = training_data();
  json result = {{"data", data}, {"training_tokens", data.at("training_tokens")}};
  if (method_.recovery == Recovery::kWhole) {
    const ScratchModel& model = scratch();
    result["loss_after"] =
        losses_on(shared_.texts, {model.weights, candidate().plan.widths, nullptr, {}}, shared_.finetune);
    result["recovery"] = {{"trained_weights", model.values.numel()}};
  } else {
    const LevelResult level = recoverer_.run(candidate(), training_key(), folder_ / "recovery");
    require(level.steps_run == schedule_.steps, "{}: {} steps of {} were run", name(), level.steps_run,
            schedule_.steps);
    const std::optional<Adapter> trained = adapter();
    const Candidate& made = candidate();
    result["loss_after"] =
        losses_on(shared_.texts, {made.weights, made.plan.widths, trained ? &*trained : nullptr, {}}, shared_.finetune);
    result["recovery"] = to_json(level);
  }
  result["recovery"]["all_seconds"] = watch.seconds();
  return result;
}

// The trained one, where it was kept.
std::optional<Adapter> CandidateRun::adapter() const {
  const auto level = load_level_result(folder_ / "recovery", training_key());
  require(level.has_value(), "{}: its recovery is gone", name());
  if (!level->kept) return std::nullopt;
  return load_adapter(folder_ / "recovery", shared_.checkpoint.config(), shared_.device, torch::kFloat32);
}

const ScratchModel& CandidateRun::scratch() {
  if (scratch_) return *scratch_;
  Schedule schedule = schedule_;
  const double rate = shared_.request.scratch_rate;
  schedule.peak = rate > 0 ? rate : scratch_learning_rate(shared_.checkpoint.config().hidden_size);
  scratch_ = make_scratch_model(shared_.full.weights(), candidate().plan.widths,
                                derive_seed(shared_.seed(), "scratch", static_cast<std::uint64_t>(level_)));
  train_scratch_inplace(*scratch_, {shared_.train, shared_.finetune, schedule, recoverer_.teacher(), row_seed(),
                                    training_key(), folder_ / "scratch", "training"});
  return *scratch_;
}

json CandidateRun::measured_tasks() {
  if (method_.recovery == Recovery::kWhole)
    return measure_tasks(Decoder(scratch().weights), nullptr, {}, shared_.tasks);
  const std::optional<Adapter> trained = recovers() ? adapter() : std::nullopt;
  return measure_tasks(sliced(), trained ? &*trained : nullptr, candidate().tap, shared_.tasks);
}

}  // namespace elastify
