#include <algorithm>
#include <cmath>
#include <string>

#include "elrt/format.h"
#include "model/layer_table.hpp"
#include "model/model_checks.hpp"
#include "model/tensor_binder.hpp"
#include "model/tlm_model.hpp"

namespace elrt {
namespace {

namespace names = format::tensor;

LayerWeights bind_layer(TensorBinder& binder, const ModelShape& shape, std::uint32_t layer) {
  const std::string blk = "blk." + std::to_string(layer) + ".";
  const format::BlockWidths widths = block_widths(shape, shape.kv_heads, shape.ffn);
  LayerWeights weights;
  for (std::size_t i = 0; i < std::size(kLayerTensors); ++i) {
    const format::BlockTensor& stored = format::kBlockTensors[i];
    const std::string name = blk + stored.name;
    const auto outputs = static_cast<std::uint32_t>(widths.of(stored.outputs)),
               inputs = static_cast<std::uint32_t>(widths.of(stored.inputs));
    if (stored.matrix()) {
      weights.*kLayerTensors[i].matrix =
          stored.by_input() ? binder.tiles(name, inputs, outputs) : binder.rows(name, inputs, outputs);
    } else {
      weights.*kLayerTensors[i].vector =
          stored.optional ? binder.optional_vector(name, outputs) : binder.vector(name, outputs);
    }
  }
  return weights;
}

// `owner`: a level in decimal, or kSharedAdapter.
LayerAdapter bind_adapter(TensorBinder& binder, const std::string& owner, std::uint32_t layer, std::uint32_t rank,
                          const format::BlockWidths& widths) {
  const std::string prefix = "adapter." + owner + ".blk." + std::to_string(layer) + ".";
  LayerAdapter adapter;
  std::size_t target = 0;
  for (const format::BlockTensor& stored : format::kBlockTensors) {
    if (!stored.matrix()) continue;
    const std::string name = prefix + names::kAdapterTargets[target];
    AdapterPair& pair = adapter[target++];
    if (!widths.keeps(stored.half())) continue;
    pair = binder.adapter(name, static_cast<std::uint32_t>(widths.of(stored.inputs)), rank,
                          static_cast<std::uint32_t>(widths.of(stored.outputs)), stored.by_input());
  }
  return adapter;
}

// What acts on a level's units: the same bytes, of fewer inputs and outputs.
LayerAdapter cut_adapter(const LayerAdapter& whole, const format::BlockWidths& widths) {
  LayerAdapter cut;
  std::size_t target = 0;
  for (const format::BlockTensor& stored : format::kBlockTensors) {
    if (!stored.matrix()) continue;
    const std::size_t index = target++;
    if (!whole[index].a || !widths.keeps(stored.half())) continue;
    cut[index] = whole[index];
    cut[index].a.inputs = static_cast<std::uint32_t>(widths.of(stored.inputs));
    cut[index].b.outputs = static_cast<std::uint32_t>(widths.of(stored.outputs));
  }
  return cut;
}

void bind_adapters(TensorBinder& binder, Model* model) {
  const ModelShape& shape = model->shape;
  SharedAdapter& shared = model->shared_adapter;
  const format::BlockWidths full = block_widths(shape, shape.kv_heads, shape.ffn);
  for (std::uint32_t layer = 0; shared.rank != 0 && layer < shape.blocks; ++layer)
    shared.layers.push_back(bind_adapter(binder, names::kSharedAdapter, layer, shared.rank, full));
  for (LevelData& level : model->levels) {
    for (std::uint32_t layer = 0; level.adapter_rank != 0 && layer < shape.blocks; ++layer) {
      const format::BlockWidths widths = block_widths(shape, level.kv_groups[layer], level.neurons[layer]);
      level.adapters.push_back(level.adapter_shared ? cut_adapter(shared.layers[layer], widths)
                                                    : bind_adapter(binder, std::to_string(level.percent), layer,
                                                                   level.adapter_rank, widths));
    }
  }
}

// Every tensor in panels is one of those that the file says are permuted; read_shape proved that the key is there.
// Adapters' second matrices are in columns, which are no panels.
std::string find_unlisted_panels(const GgufHeader& header) {
  const auto& listed = *gguf::find<std::vector<std::string>>(header.metadata, format::key::kTiledTensors);
  for (const TensorInfo& tensor : header.tensors) {
    if (!is_quantised(tensor.type) || tensor.name.ends_with(names::kLoraB)) continue;
    const bool found =
        std::any_of(listed.begin(), listed.end(), [&](auto& suffix) { return tensor.name.ends_with(suffix); });
    if (!found) {
      return "key '" + std::string(format::key::kTiledTensors) + "' does not list tensor '" + tensor.name +
             "', whose type " + type_name(tensor.type) + " is stored in panels";
    }
  }
  return "";
}

std::vector<float> frequencies_of(double base, std::uint32_t turned, const float* divisors) {
  std::vector<float> frequencies(turned / 2);
  for (std::uint32_t pair = 0; pair < turned / 2; ++pair) {
    const double divisor = divisors == nullptr ? 1.0 : divisors[pair];
    frequencies[pair] = static_cast<float>(std::pow(base, -2.0 * pair / turned) / divisor);
  }
  return frequencies;
}

// Reads the divisors (rotary_dim / 2 floats each) now, so that a bad one is an error of opening, not NaN later.
void bind_rotation(TensorBinder& binder, Model* model) {
  const ModelShape& shape = model->shape;
  const auto divisors = [&](const char* name, bool needed) {
    const std::uint32_t pairs = shape.rotary_dim / 2;
    const float* found = needed ? binder.vector(name, pairs) : binder.optional_vector(name, pairs);
    const bool good = found == nullptr || std::all_of(found, found + pairs, [](float divisor) {
                        return divisor > 0 && std::isfinite(divisor);
                      });
    if (!good) binder.fail("tensor '" + std::string(name) + "' holds a divisor that is not positive and finite");
    return good ? found : nullptr;
  };
  const bool by_length = shape.original_context > 0;
  const float* usual = divisors(by_length ? names::kRopeFactorsShort : names::kRopeFreqs, by_length);
  model->pair_frequencies = frequencies_of(shape.rope_base, shape.rotary_dim, usual);
  if (by_length) {
    const float* distant = divisors(names::kRopeFactorsLong, true);
    model->long_frequencies = frequencies_of(shape.rope_base, shape.rotary_dim, distant);
  }
  if (shape.local_rope_base > 0)
    model->local_frequencies = frequencies_of(shape.local_rope_base, shape.rotary_dim, nullptr);
}

// Types of matrices whose products read inputs in another type than float32.
void find_types(Model* model) {
  const auto look = [&](const Matrix& m) {
    model->quantised = model->quantised || m.quantised();
    model->bf16 = model->bf16 || m.type == TensorType::kBF16;
  };
  const auto look_at_all = [&](const std::vector<LayerAdapter>& layers) {
    for (const LayerAdapter& layer : layers) {
      for (const AdapterPair& pair : layer) look(pair.a);
    }
  };
  look(model->embedding);
  look(model->output);
  look_at_all(model->shared_adapter.layers);
  for (const LevelData& level : model->levels) look_at_all(level.adapters);
  for (const LayerWeights& w : model->layers)
    for_each_matrix(w, [&](const format::BlockTensor&, const Matrix& m) { look(m); });
}

}  // namespace

Result<void> bind_tensors(Model* model) {
  const ModelShape& shape = model->shape;
  TensorBinder binder(model->header.tensors);
  model->embedding = binder.rows(names::kTokenEmbedding, shape.hidden, shape.vocab);
  model->output =
      binder.has(names::kOutput) ? binder.rows(names::kOutput, shape.hidden, shape.vocab) : model->embedding;
  model->output_norm = binder.vector(names::kOutputNorm, shape.hidden);
  for (std::uint32_t layer = 0; layer < shape.blocks; ++layer)
    model->layers.push_back(bind_layer(binder, shape, layer));
  bind_adapters(binder, model);
  if (model->tlm) bind_tlm(binder, &*model->tlm);
  bind_rotation(binder, model);
  if (!binder.first_problem().empty()) return bad_data(binder.first_problem());
  if (const std::string problem = find_unlisted_panels(model->header); !problem.empty()) return bad_data(problem);
  find_types(model);
  return {};
}

}  // namespace elrt
