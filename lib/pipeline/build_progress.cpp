#include "pipeline/build_progress.h"

#include <algorithm>

#include "base/log.h"
#include "model/device.h"
#include "model/matrix_product.h"

namespace elastify {

namespace {

// Below this many weights a build's time is not that of its products, and short.
constexpr double kFewWeights = 2e7;
// Of a product's speed that whole stages reach, measured on SmolLM2-135M.
constexpr double kShare = 0.8;

// Operations a second in products of the model's width; 0 where they say nothing.
double product_speed(const ModelConfig& model, torch::Device device) {
  const auto weights = static_cast<double>(model.num_layers * model.weights_per_block());
  if (!device.is_cpu() || weights < kFewWeights) return 0;
  const torch::NoGradGuard no_grad;
  constexpr std::int64_t kRows = 1024;
  constexpr double kSeconds = 0.3;
  const ProductType type = parse_product_type("auto", device, model.hidden_size);
  const torch::Tensor x = torch::ones({kRows, model.hidden_size}),
                      weight = torch::ones({model.intermediate_size, model.hidden_size});
  linear_product(x, weight, type);  // warms up
  const Stopwatch watch;
  double operations = 0;
  do {
    linear_product(x, weight, type);
    operations += 2 * static_cast<double>(kRows * model.hidden_size * model.intermediate_size);
  } while (watch.seconds() < kSeconds);
  return kShare * operations / watch.seconds();
}

}  // namespace

BuildProgress::BuildProgress(const std::vector<const Stage*>& stages, const PipelineConfig& config,
                             const RunDirectory& run) {
  const ModelConfig model = Checkpoint::open(config.checkpoint).config();
  for (const Stage* stage : stages)
    entries_.push_back({stage, stage->work(config, model), run.last_seconds(stage->name)});
  if (stages.size() > 1) first_speed_ = product_speed(model, parse_device(config.device));
}

BuildProgress::~BuildProgress() { set_progress_frame({}); }

void BuildProgress::start(const Stage& stage) {
  for (at_ = 0; at_ + 1 < entries_.size() && entries_[at_].stage != &stage;) ++at_;
  watch_.restart();
  if (entries_.size() < 2) return;
  set_progress_frame({place() + ", ", [this](double line_left_s) {
                        const double left_s = left_seconds(line_left_s);
                        return left_s < 0 ? std::string() : "build: " + format_duration(left_s) + " left";
                      }});
}

void BuildProgress::finish(bool worked) {
  if (!worked) return;
  done_work_ += entries_[at_].work;
  done_seconds_ += watch_.seconds();
}

std::string BuildProgress::announcement() const {
  const double seconds = left_seconds(-1);
  return fmt::format("{} stages{}", entries_.size(),
                     seconds < 0 ? "" : ", about " + format_duration(seconds) + " on this machine for all of them");
}

std::string BuildProgress::place() const { return fmt::format("stage {} of {}", at_ + 1, entries_.size()); }

double BuildProgress::left_seconds(double line_left_s) const {
  const Entry& now = entries_[at_];
  // Operations a second.
  double speed = done_seconds_ > 0 ? done_work_ / done_seconds_ : 0;
  if (speed <= 0 && line_left_s >= 0) speed = now.work / std::max(1e-9, watch_.seconds() + line_left_s);
  if (speed <= 0) speed = first_speed_;
  const auto seconds_of = [&](const Entry& entry) {
    if (entry.last_seconds > 0) return entry.last_seconds;
    return speed > 0 ? entry.work / speed : -1;
  };
  const double whole = seconds_of(now);
  if (whole < 0) return -1;
  double left = std::max(line_left_s, whole - watch_.seconds());
  for (std::size_t i = at_ + 1; i < entries_.size(); ++i) left += std::max(0.0, seconds_of(entries_[i]));
  return std::max(0.0, left);
}

}  // namespace elastify
