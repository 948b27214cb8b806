#include "profile/ablation.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "profile/importance.h"

namespace elastify {
namespace {

std::int64_t units_of(const ModelConfig& config, UnitKind kind) {
  return kind == UnitKind::kGroup ? config.num_kv_heads : config.intermediate_size;
}

// Units of one layer and kind, as positions in the caller's list.
struct Chunk {
  std::int64_t layer;
  UnitKind kind;
  std::vector<std::int64_t> positions, indexes;
};

// Chunks of at most `most` units, ascending by layer.
std::vector<Chunk> make_chunks(const ModelConfig& config, const std::vector<UnitRef>& units, std::size_t most) {
  std::vector<Chunk> chunks;
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    for (const UnitKind kind : {UnitKind::kGroup, UnitKind::kNeuron}) {
      Chunk chunk{layer, kind, {}, {}};
      for (std::size_t i = 0; i < units.size(); ++i) {
        if (units[i].layer != layer || units[i].kind != kind) continue;
        chunk.positions.push_back(static_cast<std::int64_t>(i));
        chunk.indexes.push_back(units[i].index);
        if (chunk.positions.size() < most) continue;
        chunks.push_back(chunk);
        chunk.positions.clear();
        chunk.indexes.clear();
      }
      if (!chunk.positions.empty()) chunks.push_back(chunk);
    }
  }
  return chunks;
}

// Enough units a forward pass to keep the device busy, few enough for the logits to stay below 256 MiB in float32.
std::size_t units_per_forward(const ModelConfig& config, std::int64_t seq) {
  const std::int64_t by_tokens = 4096 / seq, by_logits = (std::int64_t{1} << 26) / (seq * config.vocab_size);
  return static_cast<std::size_t>(std::max<std::int64_t>(1, std::min(by_tokens, by_logits)));
}

// Copies of [1, seq, units * width], one for each of `indexes`, in which that unit is zero.
torch::Tensor without_each(const torch::Tensor& activations, const std::vector<std::int64_t>& indexes,
                           std::int64_t units) {
  const std::int64_t width = activations.size(-1) / units;
  torch::Tensor copies = activations.repeat({static_cast<std::int64_t>(indexes.size()), 1, 1});
  for (std::size_t i = 0; i < indexes.size(); ++i) {
    copies[static_cast<std::int64_t>(i)].narrow(-1, indexes[i] * width, width).zero_();
  }
  return copies;
}

torch::Tensor upper_layers(const Decoder& decoder, torch::Tensor x, std::int64_t first_layer) {
  for (std::int64_t layer = first_layer; layer < decoder.num_layers(); ++layer) x = decoder.block(layer, x);
  return decoder.head(decoder.finish(x));
}

// Loss of each token without each unit of the chunk, [units of the chunk, seq] float64. x: the layer's input, [1, seq,
// hidden].
torch::Tensor chunk_losses(const Decoder& decoder, const Chunk& chunk, const torch::Tensor& x,
                           const torch::Tensor& targets) {
  ForwardOptions options;
  options.tap = [&](std::int64_t, UnitKind kind, torch::Tensor activations) {
    // The row fans out only here: what the layer computes before this point is the same for all units.
    return kind == chunk.kind ? without_each(activations, chunk.indexes, units_of(decoder.config(), kind))
                              : activations;
  };
  const torch::Tensor logits = upper_layers(decoder, decoder.block(chunk.layer, x, options), chunk.layer + 1);
  return token_losses(logits, targets.expand({logits.size(0), -1})).to(torch::kFloat64);
}

void check_units(const ModelConfig& config, const std::vector<UnitRef>& units) {
  for (const UnitRef& unit : units) {
    require(unit.layer >= 0 && unit.layer < config.num_layers && unit.index >= 0 &&
                unit.index < units_of(config, unit.kind),
            "ablation: the model has no unit {} in layer {}", unit.index, unit.layer);
  }
}

std::string describe(const std::vector<UnitRef>& units, const TokenRows& rows) {
  std::string text = "ablation 1, " + tensor_hash(rows.inputs) + " " + tensor_hash(rows.targets);
  for (const UnitRef& unit : units)
    text += fmt::format(" {}.{}.{}", unit.layer, static_cast<int>(unit.kind), unit.index);
  return text;
}

// Adds one row's summed loss and loss changes.
void ablate_row_inplace(const Decoder& decoder, const torch::Tensor& inputs, const torch::Tensor& targets,
                        const std::vector<Chunk>& chunks, torch::Tensor& base, torch::Tensor& changes) {
  std::vector<torch::Tensor> below = {decoder.embed(inputs)};  // the input of each layer
  for (std::int64_t layer = 0; layer < decoder.num_layers(); ++layer)
    below.push_back(decoder.block(layer, below.back()));
  const torch::Tensor plain = token_losses(decoder.head(decoder.finish(below.back())), targets).to(torch::kFloat64);
  base.add_(plain.sum());
  for (const Chunk& chunk : chunks) {
    const torch::Tensor losses = chunk_losses(decoder, chunk, below[static_cast<std::size_t>(chunk.layer)], targets);
    // Token by token, so that the large common part cancels before it is rounded away.
    const torch::Tensor positions = torch::tensor(chunk.positions, torch::kInt64).to(changes.device());
    changes.index_add_(0, positions, (losses - plain).sum(1));
  }
}

}  // namespace

std::vector<UnitRef> all_units(const ModelConfig& config) {
  std::vector<UnitRef> units;
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    for (const UnitKind kind : {UnitKind::kGroup, UnitKind::kNeuron}) {
      for (std::int64_t i = 0; i < units_of(config, kind); ++i) units.push_back({layer, kind, i});
    }
  }
  return units;
}

AblationResult ablate_units(const Decoder& decoder, const TokenRows& rows, const std::vector<UnitRef>& units,
                            const ResumePoint& resume) {
  const torch::NoGradGuard no_grad;
  check_units(decoder.config(), units);
  AblationResult result;
  result.tokens = count_predictions(rows);
  const torch::Device device = decoder.weights().embedding.device();
  const auto wide = torch::TensorOptions().dtype(torch::kFloat64).device(device);
  torch::Tensor base = torch::zeros({1}, wide), changes = torch::zeros({static_cast<std::int64_t>(units.size())}, wide);
  Accumulators state = {{"base", base}, {"changes", changes}};
  ResumeFile file(resume, describe(units, rows));
  const std::int64_t done = file.load_inplace(state);
  const std::vector<Chunk> chunks =
      make_chunks(decoder.config(), units, units_per_forward(decoder.config(), rows.seq()));
  Progress progress("ablation", rows.rows(), "rows");
  progress.resume_at(done);
  for (std::int64_t row = done; row < rows.rows(); ++row) {
    ablate_row_inplace(decoder, rows.inputs.narrow(0, row, 1).to(device), rows.targets.narrow(0, row, 1).to(device),
                       chunks, base, changes);
    progress.update(row + 1);
    file.save(row + 1, state, row + 1 == rows.rows());
  }
  const double scale = 1 / static_cast<double>(result.tokens);
  result.base_loss = base.item<double>() * scale;
  const torch::Tensor host = (changes * scale).to(torch::kCPU);
  result.loss_change.assign(host.data_ptr<double>(), host.data_ptr<double>() + host.numel());
  if (!std::isfinite(result.base_loss) || !torch::isfinite(host).all().item<bool>()) {
    fail_data(
        "ablation: the loss over the rows is not finite (base {}); look for damaged weights or values beyond the "
        "range of the dtype",
        result.base_loss);
  }
  return result;
}

double ablation_flop(const ModelConfig& c, std::int64_t units, std::int64_t tokens) {
  const double layers = 0.5 * static_cast<double>(c.num_layers);  // above the unit, on average
  const double weights =
      layers * static_cast<double>(c.weights_per_block()) + static_cast<double>(c.vocab_size * c.hidden_size);
  return 2 * weights * static_cast<double>(units) * static_cast<double>(tokens);
}

}  // namespace elastify
