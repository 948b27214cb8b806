#include "profile/anchor.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "profile/importance.h"
#include "profile/probe_head.h"

namespace elastify {
namespace {

// The full model's blocks and head, in products of one type.
struct Model {
  const Decoder& decoder;
  ForwardOptions options;
  ProbeHead head;

  torch::Tensor losses_from(torch::Tensor x, std::int64_t first_layer, const torch::Tensor& targets) const {
    for (std::int64_t layer = first_layer; layer < decoder.num_layers(); ++layer) x = decoder.block(layer, x, options);
    return head.losses(decoder.finish(x), targets);
  }
};

Model make_model(const Decoder& decoder, ProductType products) {
  ForwardOptions options;
  options.products = products;
  return {decoder, options, ProbeHead(decoder.weights().head, products)};
}

// One batch: the full model's token losses and the input of each layer.
struct BatchStates {
  std::vector<torch::Tensor> inputs;  // [layers][batch, seq, hidden]
  torch::Tensor targets, losses;      // [batch, seq]
};
BatchStates run_batch(const Model& model, const TokenRows& rows, std::int64_t first, std::int64_t count) {
  const torch::Device device = model.decoder.weights().embedding.device();
  BatchStates states;
  states.targets = rows.targets.narrow(0, first, count).to(device);
  torch::Tensor x = model.decoder.embed(rows.inputs.narrow(0, first, count).to(device));
  for (std::int64_t layer = 0; layer < model.decoder.num_layers(); ++layer) {
    states.inputs.push_back(x);
    x = model.decoder.block(layer, x, model.options);
  }
  states.losses = model.losses_from(x, model.decoder.num_layers(), states.targets);
  return states;
}

torch::Tensor predictions_by_row(const torch::Tensor& targets) { return (targets != kIgnore).sum(1); }

// Of the ratio estimator sum d / sum n over independent rows, residuals d - m n: by layer. Empty for a single row.
// `squares` and `products` are sums of d d and d n over rows, [layers].
std::vector<double> standard_errors(const AnchorsResult& result, const torch::Tensor& squares,
                                    const torch::Tensor& products, const torch::Tensor& predictions) {
  const auto rows = static_cast<double>(predictions.numel()), tokens = static_cast<double>(result.tokens);
  if (rows < 2) return {};
  const double counts = predictions.to(torch::kFloat64).square().sum().item<double>();
  std::vector<double> errors;
  for (std::size_t layer = 0; layer < result.loss_increase.size(); ++layer) {
    const double mean = result.loss_increase[layer];
    const auto at = static_cast<std::int64_t>(layer);
    const double residuals = squares[at].item<double>() - 2 * mean * products[at].item<double>() + mean * mean * counts;
    errors.push_back(std::sqrt(std::max(0.0, residuals) * rows / (rows - 1)) / tokens);
  }
  return errors;
}

void check_finite(const AnchorsResult& result) {
  bool finite = std::isfinite(result.base_loss);
  for (const double increase : result.loss_increase) finite = finite && std::isfinite(increase);
  if (!finite) {
    fail_data(
        "anchors: the loss over the calibration rows is not finite (full model: {}); look for damaged weights or "
        "values beyond the range of the dtype",
        result.base_loss);
  }
}

}  // namespace

std::int64_t anchor_count(const AnchorsConfig& config, std::int64_t layers) {
  if (config.count > layers) fail_usage("anchors.count is {}, but the model has only {} layers", config.count, layers);
  if (config.count >= 0) return config.count;
  if (config.share == 0) return 0;
  return std::clamp<std::int64_t>(std::llround(config.share * static_cast<double>(layers)), 1, layers);
}

std::vector<std::int64_t> choose_anchors(const std::vector<double>& loss_increase, std::int64_t count) {
  std::vector<std::int64_t> order(loss_increase.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return loss_increase[static_cast<std::size_t>(a)] > loss_increase[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, static_cast<std::int64_t>(order.size()))));
  std::sort(order.begin(), order.end());
  return order;
}

PowerLaw fit_power_law(const std::vector<double>& loss_increase) {
  std::vector<double> positive;
  for (const double increase : loss_increase) {
    if (increase > 0) positive.push_back(increase);
  }
  std::sort(positive.rbegin(), positive.rend());
  PowerLaw law;
  law.layers = static_cast<std::int64_t>(positive.size());
  if (law.layers < 3) return law;
  const double n = static_cast<double>(positive.size());
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0;  // x: logarithm of the rank, y: of the increase
  for (std::size_t i = 0; i < positive.size(); ++i) {
    mean_x += std::log(static_cast<double>(i + 1)) / n;
    mean_y += std::log(positive[i]) / n;
  }
  for (std::size_t i = 0; i < positive.size(); ++i) {
    const double x = std::log(static_cast<double>(i + 1)) - mean_x, y = std::log(positive[i]) - mean_y;
    xx += x * x;
    xy += x * y;
    yy += y * y;
  }
  law.exponent = -xy / xx;
  law.scale = std::exp(mean_y + law.exponent * mean_x);
  law.r2 = yy > 0 ? xy * xy / (xx * yy) : 1;
  return law;
}

AnchorsResult find_anchors(const Decoder& decoder, const TokenRows& rows, const AnchorsConfig& config,
                           const ResumePoint& resume) {
  const torch::NoGradGuard no_grad;
  const std::int64_t layers = decoder.num_layers(), count = anchor_count(config, layers);
  AnchorsResult result;
  result.tokens = count_predictions(rows);
  const torch::Device device = decoder.weights().embedding.device();
  const ProductType type = parse_product_type(config.products, device, decoder.config().hidden_size);
  const Model model = make_model(decoder, type);
  const auto wide = torch::TensorOptions().dtype(torch::kFloat64).device(device);
  torch::Tensor base = torch::zeros({1}, wide), increase = torch::zeros({layers}, wide);
  // A row's increase d and its count n of predictions, for the error of the ratio sum d / sum n.
  torch::Tensor squares = torch::zeros({layers}, wide), products = torch::zeros({layers}, wide);
  Accumulators state = {{"base", base}, {"increase", increase}, {"squares", squares}, {"products", products}};
  ResumeFile file(resume, fmt::format("anchors 3, batches of {}, {}, {} {}", config.batch_rows, product_type_name(type),
                                      tensor_hash(rows.inputs), tensor_hash(rows.targets)));
  const std::int64_t done = file.load_inplace(state),
                     steps = (rows.rows() + config.batch_rows - 1) / config.batch_rows * layers;
  Progress progress("anchors", steps, "removed layers");
  progress.resume_at(done);
  BatchStates batch;
  for (std::int64_t step = done; step < steps; ++step) {
    const std::int64_t first = step / layers * config.batch_rows, layer = step % layers;
    if (step == done || layer == 0)
      batch = run_batch(model, rows, first, std::min(config.batch_rows, rows.rows() - first));
    if (layer == 0) base.add_(batch.losses.sum());
    // The layer's input goes straight into the layer above.
    const torch::Tensor without =
        model.losses_from(batch.inputs[static_cast<std::size_t>(layer)], layer + 1, batch.targets);
    const torch::Tensor by_row = (without - batch.losses).sum(1);
    increase[layer].add_(by_row.sum());
    squares[layer].add_(by_row.square().sum());
    products[layer].add_((by_row * predictions_by_row(batch.targets).to(wide)).sum());
    progress.update(step + 1);
    file.save(step + 1, state, step + 1 == steps);
  }
  result.base_loss = base.item<double>() / static_cast<double>(result.tokens);
  const torch::Tensor host = (increase / static_cast<double>(result.tokens)).to(torch::kCPU);
  result.loss_increase.assign(host.data_ptr<double>(), host.data_ptr<double>() + layers);
  result.standard_error =
      standard_errors(result, squares.to(torch::kCPU), products.to(torch::kCPU), predictions_by_row(rows.targets));
  check_finite(result);
  result.anchors = choose_anchors(result.loss_increase, count);
  result.power_law = fit_power_law(result.loss_increase);
  return result;
}

double anchors_memory_bytes(const ModelConfig& c, std::int64_t tokens) {
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  const double weights = real(c.num_layers * c.weights_per_block() + c.weights_outside_blocks()) * sizeof(float);
  // Of the block at hand: residuals and norms, gate, up, their product and its operands, queries and attention.
  const double block = real(6 * c.hidden_size + 5 * c.intermediate_size + 6 * c.num_heads * c.head_dim) * sizeof(float);
  return weights + real(tokens) * (real(c.num_layers * c.hidden_size) * sizeof(float) + block) +
         probe_head_bytes(c.vocab_size) / 2;
}

json anchors_to_json(const AnchorsResult& r) {
  json law = nullptr;
  if (r.power_law.layers >= 3) {
    law = {{"exponent", r.power_law.exponent},
           {"scale", r.power_law.scale},
           {"r2", r.power_law.r2},
           {"layers", r.power_law.layers}};
  }
  return {{"about", "loss change with each layer removed, nats per token; anchors are kept whole at every level"},
          {"base_loss", r.base_loss},
          {"loss_increase", r.loss_increase},
          {"standard_error", r.standard_error},
          {"anchors", r.anchors},
          {"tokens", r.tokens},
          {"power_law", law}};
}

void save_anchors(const fs::path& path, const AnchorsResult& result) { write_json(path, anchors_to_json(result)); }

AnchorsResult load_anchors(const fs::path& path, std::int64_t layers) {
  const json document = read_json(path);
  AnchorsResult result;
  try {
    document.at("base_loss").get_to(result.base_loss);
    document.at("loss_increase").get_to(result.loss_increase);
    if (document.contains("standard_error")) document.at("standard_error").get_to(result.standard_error);
    document.at("anchors").get_to(result.anchors);
    document.at("tokens").get_to(result.tokens);
  } catch (const json::exception& error) {
    fail_data("{} is not a list of anchor layers: {}; run the anchors stage again", path.string(), error.what());
  }
  if (static_cast<std::int64_t>(result.loss_increase.size()) != layers) {
    fail_data("{} measures {} layers, expected {}; run the anchors stage again", path.string(),
              result.loss_increase.size(), layers);
  }
  for (std::size_t i = 0; i < result.anchors.size(); ++i) {
    const std::int64_t anchor = result.anchors[i];
    if (anchor < 0 || anchor >= layers || (i > 0 && anchor <= result.anchors[i - 1])) {
      fail_data("{}: anchors must be ascending layers below {}, found {}", path.string(), layers, anchor);
    }
  }
  result.power_law = fit_power_law(result.loss_increase);
  return result;
}

Plot anchors_plot(const AnchorsResult& result) {
  constexpr double kZ = 1.959963984540054;  // the normal distribution's 97.5 % point
  Plot plot{"Change of the loss when a layer is removed", "layer", "nats per token, 95 % interval", true, false, {}};
  Series anchors{"anchor layers", {}, {}}, others{"other layers", {}, {}};
  for (std::size_t layer = 0; layer < result.loss_increase.size(); ++layer) {
    const auto index = static_cast<std::int64_t>(layer);
    Series& series = std::binary_search(result.anchors.begin(), result.anchors.end(), index) ? anchors : others;
    series.x.push_back(static_cast<double>(index));
    series.y.push_back(result.loss_increase[layer]);
    if (layer >= result.standard_error.size()) continue;
    series.low.push_back(result.loss_increase[layer] - kZ * result.standard_error[layer]);
    series.high.push_back(result.loss_increase[layer] + kZ * result.standard_error[layer]);
  }
  if (result.standard_error.empty()) plot.y_label = "nats per token";
  plot.series = {anchors, others};
  return plot;
}

}  // namespace elastify
