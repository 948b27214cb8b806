#include "profile/importance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "profile/ablation.h"
#include "profile/mask_pass.h"
#include "profile/probe_head.h"

namespace elastify {
namespace {

UnitScores to_host(const UnitScores& scores) {
  return {scores.groups.to(torch::kCPU, torch::kFloat64), scores.neurons.to(torch::kCPU, torch::kFloat64)};
}

void check_finite_loss(double mean_loss) {
  if (!std::isfinite(mean_loss)) {
    fail_data(
        "profile: the loss over the calibration rows is {}, expected a finite number; look for damaged weights or "
        "values beyond the range of the dtype",
        mean_loss);
  }
}

// A batch of rows on the decoder's device.
struct Batch {
  torch::Tensor inputs, targets;
};
Batch take_batch(const TokenRows& rows, std::int64_t batch, std::int64_t batch_rows, torch::Device device) {
  const std::int64_t first = batch * batch_rows, count = std::min(batch_rows, rows.rows() - first);
  return {rows.inputs.narrow(0, first, count).to(device), rows.targets.narrow(0, first, count).to(device)};
}

std::optional<std::uint64_t> probe_seed(const std::string& method, std::uint64_t seed, std::int64_t batch) {
  if (method != "fisher") return std::nullopt;
  return derive_seed(seed, "profile probe", static_cast<std::uint64_t>(batch));
}

// The factor of sum g that James and Stein's rule gives: one minus the variance of the mean, as the rows show it, over
// the mean square. Averages run over the last dimension. first, row_squares: [.., units] for `rows` rows.
torch::Tensor shrinkage(const torch::Tensor& first, const torch::Tensor& row_squares, std::int64_t rows) {
  if (rows < 2) return torch::ones_like(first.sum(-1, true));
  const double n = static_cast<double>(rows);
  const torch::Tensor variance = (row_squares - first.square() / n).mul_(n / (n - 1));  // of sum g
  const torch::Tensor square = first.square().mean(-1, true).clamp_min(std::numeric_limits<double>::min());
  return (1 - variance.mean(-1, true) / square).clamp(0, 1);
}

torch::Tensor estimate(const MaskMoments& moments, UnitKind kind, const ProfileConfig& config, std::int64_t rows,
                       std::int64_t tokens) {
  const double scale = 1 / static_cast<double>(tokens);
  const torch::Tensor& first = moments.first(kind);
  if (config.method == "taylor") return first.abs() * scale;
  torch::Tensor weight = torch::ones_like(first);
  if (config.shrink) {
    // KV groups are few, so all layers share one factor.
    const auto shaped = [&](const torch::Tensor& t) { return kind == UnitKind::kGroup ? t.flatten() : t; };
    weight = shrinkage(shaped(first), shaped(moments.row_squares(kind)), rows);
  }
  return (moments.second(kind) * 0.5 - first * weight) * scale;
}

ProfilePass gradient_pass(const Decoder& decoder, const TokenRows& rows, const ProfileConfig& config,
                          std::uint64_t seed, const ResumePoint& resume) {
  const Stopwatch watch;
  const torch::Device device = decoder.weights().embedding.device();
  const std::int64_t tokens = count_predictions(rows),
                     batches = (rows.rows() + config.batch_rows - 1) / config.batch_rows;
  MaskMoments moments(decoder.config(), device);
  torch::Tensor loss = torch::zeros({1}, torch::TensorOptions().dtype(torch::kFloat64).device(device));
  Accumulators state = moments.accumulators();
  state["loss"] = loss;
  const bool probing = config.method == "fisher";
  const ProductType products = parse_product_type(config.products, device, decoder.config().hidden_size);
  ResumeFile file(
      resume,
      fmt::format("mask moments 2, probe {}, batches of {}, {}, {} {}", probing ? std::to_string(seed) : "none",
                  config.batch_rows, product_type_name(products), tensor_hash(rows.inputs), tensor_hash(rows.targets)));
  const std::int64_t done = file.load_inplace(state);
  Progress progress("profile", rows.rows(), "rows");
  progress.resume_at(done * config.batch_rows);
  for (std::int64_t batch = done; batch < batches; ++batch) {
    const Batch taken = take_batch(rows, batch, config.batch_rows, device);
    loss.add_(add_batch_inplace(moments, decoder, taken.inputs, taken.targets, products,
                                probe_seed(config.method, seed, batch)));
    progress.update(std::min(rows.rows(), (batch + 1) * config.batch_rows));
    file.save(batch + 1, state, batch + 1 == batches);
  }
  ProfilePass pass;
  pass.tokens = tokens;
  pass.mean_loss = loss.item<double>() / static_cast<double>(tokens);
  check_finite_loss(pass.mean_loss);
  pass.scores = to_host({estimate(moments, UnitKind::kGroup, config, rows.rows(), tokens),
                         estimate(moments, UnitKind::kNeuron, config, rows.rows(), tokens)});
  pass.seconds = watch.seconds();
  return pass;
}

// L2 norms over the weights that leave with each unit.
UnitScores magnitude_scores(const Decoder& decoder) {
  const torch::NoGradGuard no_grad;
  const ModelConfig& c = decoder.config();
  const auto row_squares = [](const torch::Tensor& weight, std::int64_t units) {
    return weight.to(torch::kFloat64).square().reshape({units, -1}).sum(1);
  };
  std::vector<torch::Tensor> groups, neurons;
  for (const BlockWeights& w : decoder.weights().blocks) {
    torch::Tensor squares[2];  // of KV groups, of neurons
    for (const BlockTensor& part : block_table()) {
      const torch::Tensor& tensor = w.*part.field;
      if (part.unit() == Unit::kNone || !tensor.defined()) continue;
      const bool group = part.unit() == Unit::kGroup;
      torch::Tensor& sum = squares[group ? 0 : 1];
      const torch::Tensor rows =
          row_squares(part.stored.by_input() ? tensor.t() : tensor, group ? c.num_kv_heads : c.intermediate_size);
      sum = sum.defined() ? sum + rows : rows;
    }
    groups.push_back(squares[0].sqrt());
    neurons.push_back(squares[1].sqrt());
  }
  return to_host({torch::stack(groups), torch::stack(neurons)});
}

UnitScores random_scores(const ModelConfig& c, std::uint64_t seed) {
  auto generator = at::detail::createCPUGenerator(derive_seed(seed, "profile random"));
  const auto draw = [&](std::int64_t units) { return torch::rand({c.num_layers, units}, generator, torch::kFloat64); };
  const torch::Tensor groups = draw(c.num_kv_heads);
  return {groups, draw(c.intermediate_size)};
}

ProfilePass ablation_pass(const Decoder& decoder, const TokenRows& rows, const ResumePoint& resume) {
  const Stopwatch watch;
  const ModelConfig& c = decoder.config();
  const std::vector<UnitRef> units = all_units(c);
  const AblationResult result = ablate_units(decoder, rows, units, resume);
  ProfilePass pass;
  pass.scores = {torch::zeros({c.num_layers, c.num_kv_heads}, torch::kFloat64),
                 torch::zeros({c.num_layers, c.intermediate_size}, torch::kFloat64)};
  for (std::size_t i = 0; i < units.size(); ++i) {
    torch::Tensor& table = units[i].kind == UnitKind::kGroup ? pass.scores.groups : pass.scores.neurons;
    table[units[i].layer][units[i].index] = result.loss_change[i];
  }
  pass.mean_loss = result.base_loss;
  pass.tokens = result.tokens;
  pass.seconds = watch.seconds();
  return pass;
}

}  // namespace

std::int64_t count_predictions(const TokenRows& rows) {
  const std::int64_t tokens = rows.rows() > 0 ? rows.targets.ne(kIgnore).sum().item<std::int64_t>() : 0;
  if (tokens == 0) fail_data("the calibration rows predict no token, expected at least one; give more text");
  return tokens;
}

ProfilePass profile_units(const Decoder& decoder, const TokenRows& rows, const ProfileConfig& config,
                          std::uint64_t seed, const ResumePoint& resume) {
  if (config.method == "fisher" || config.method == "taylor2" || config.method == "taylor") {
    return gradient_pass(decoder, rows, config, seed, resume);
  }
  if (config.method == "ablation") return ablation_pass(decoder, rows, resume);
  const Stopwatch watch;
  ProfilePass pass;
  if (config.method == "magnitude") {
    pass.scores = magnitude_scores(decoder);
  } else if (config.method == "random") {
    pass.scores = random_scores(decoder.config(), seed);
  } else {
    fail_usage("profile.method: expected fisher, taylor2, taylor, magnitude, random or ablation, found {}",
               config.method);
  }
  pass.seconds = watch.seconds();
  return pass;
}

double profile_memory_bytes(const ModelConfig& c, std::int64_t batch_rows, std::int64_t seq, torch::ScalarType dtype,
                            ProductType products) {
  const bool half = products == ProductType::kBfloat16 && dtype == torch::kFloat32;
  const double value = static_cast<double>(torch::elementSize(dtype)), wide = std::max(4.0, value);
  const double rounded = half ? 2 : value;  // what products keep of their operands
  const double tokens = static_cast<double>(batch_rows * seq), layers = static_cast<double>(c.num_layers);
  const double hidden = static_cast<double>(c.hidden_size), heads = static_cast<double>(c.num_heads);
  const double query = heads * static_cast<double>(c.head_dim), kv = static_cast<double>(c.num_kv_heads * c.head_dim);
  const double neurons = static_cast<double>(c.intermediate_size);
  // Residuals; operands of the five products that read a norm (in bfloat16 each rounds its own); queries, keys, values
  // and attention weights, of which the causal half is kept in pieces; what enters o_proj and down_proj, and the same
  // scaled for the mask gradients; gate and up.
  const double block = hidden * (2 * value + (half ? 5 : 2) * rounded) + rounded * (query + 2 * kv) +
                       0.75 * rounded * heads * static_cast<double>(seq) + (rounded + wide) * (query + neurons) +
                       2 * value * neurons;
  const double in_blocks = layers * static_cast<double>(c.weights_per_block());
  const double weights = (in_blocks + static_cast<double>(c.weights_outside_blocks())) * value;
  const double copies = half ? 2 * (in_blocks + static_cast<double>(c.vocab_size * c.hidden_size)) : 0;
  return weights + copies + layers * tokens * block + probe_head_bytes(c.vocab_size);
}

}  // namespace elastify
