#include "unit/runtime/tiny_elastic.h"

#include <algorithm>
#include <cmath>

namespace elastify_test {
namespace {
constexpr double kEpsilon = 1e-5;
constexpr double kRopeBase = 10000;
constexpr float kAdapterScale = 2.0f;
constexpr std::uint32_t kF32 = 0, kF16 = 1;

// The activations that a quantised product sees: blocks of 32, largest magnitude over 127.
std::vector<double> rounded_inputs(const std::vector<double>& x) {
  std::vector<double> out(x.size());
  for (std::size_t first = 0; first < x.size(); first += 32) {
    const std::size_t last = std::min(x.size(), first + 32);
    double largest = 0;
    for (std::size_t i = first; i < last; ++i) largest = std::max(largest, std::abs(x[i]));
    for (std::size_t i = first; i < last; ++i)
      out[i] = largest == 0 ? 0 : std::nearbyint(x[i] * 127 / largest) * largest / 127;
  }
  return out;
}
}  // namespace

TinyElasticShape with_empty_halves(TinyElasticShape shape, bool other) {
  const std::uint32_t groups = shape.kv_heads, ffn = shape.ffn;
  shape.kv_groups = {0, 1, 0, 0, groups, 1, groups, groups, groups};
  shape.neurons = {32, 0, 0, ffn - 70, 0, 72, ffn, ffn, ffn};
  if (other) {
    std::copy_n(std::vector<std::uint32_t>{1, 0, 0, 1, 1, 0}.begin(), 6, shape.kv_groups.begin());
    std::copy_n(std::vector<std::uint32_t>{0, 40, 7, ffn - 8, 64, 7}.begin(), 6, shape.neurons.begin());
  }
  return shape;
}

TinyElastic::TinyElastic(const TinyElasticShape& shape, std::uint64_t seed) : shape_(shape), state_(seed) {
  const auto& s = shape_;
  const std::uint32_t type = s.quantised != 0 ? s.quantised : s.bf16 ? kBF16 : s.f16 ? kF16 : kF32;
  const std::uint64_t q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim, h = s.hidden;
  add("token_embd.weight", {h, s.vocab}, type, 1);
  add("output_norm.weight", {h}, kF32, 0.3f, 1);
  if (!s.tied) add("output.weight", {h, s.vocab}, type, 0.4f);
  if (s.rope_freqs) add("rope_freqs.weight", {s.head_dim / 2}, kF32, 0.5f, 2);
  for (std::uint32_t b = 0; b < s.blocks; ++b) {
    const std::string blk = "blk." + std::to_string(b) + ".";
    add(blk + "attn_norm.weight", {h}, kF32, 0.3f, 1);
    add(blk + "ffn_norm.weight", {h}, kF32, 0.3f, 1);
    add(blk + "attn_q.weight", {h, q}, type, 0.4f);
    add(blk + "attn_k.weight", {h, kv}, type, 0.4f);
    add(blk + "attn_v.weight", {h, kv}, type, 0.4f);
    add(blk + "attn_output.weight", {q, h}, type, 0.4f);
    add(blk + "ffn_gate.weight", {h, s.ffn}, type, 0.4f);
    add(blk + "ffn_up.weight", {h, s.ffn}, type, 0.4f);
    add(blk + "ffn_down.weight", {s.ffn, h}, type, 0.2f);
    if (s.biases) {
      add(blk + "attn_q.bias", {q}, kF32, 1);
      add(blk + "attn_k.bias", {kv}, kF32, 1);
      add(blk + "attn_v.bias", {kv}, kF32, 1);
      add(blk + "attn_output.bias", {h}, kF32, 1);
    }
    if (s.qk_norm) {
      add(blk + "attn_q_norm.weight", {s.head_dim}, kF32, 0.5f, 1.5f);
      add(blk + "attn_k_norm.weight", {s.head_dim}, kF32, 0.5f, 1.5f);
    }
  }
  // Adapters of all levels but the last, or one for them all.
  const auto draw = [&](const std::string& name, std::uint64_t in, std::uint64_t out) {
    add(name + ".lora_a", {in, s.rank}, s.adapters_q8 ? kQ8 : kF16, 0.2f);
    add(name + ".lora_b", {s.rank, out}, s.adapters_q8 ? kQ8 : kF16, 0.2f);
  };
  if (s.adapters && s.shared) for_each_adapter(s.levels.size() - 1, "shared", draw);
  for (std::size_t l = 0; s.adapters && !s.shared && l + 1 < s.levels.size(); ++l)
    for_each_adapter(l, std::to_string(s.levels[l]), draw);
}

template <typename Use>
void TinyElastic::for_each_adapter(std::size_t l, const std::string& owner, Use&& use) const {
  const auto& s = shape_;
  for (std::uint32_t b = 0; b < s.blocks; ++b) {
    const std::uint64_t kv = s.kv_groups[l * s.blocks + b] * s.head_dim, q = kv * (s.heads / s.kv_heads),
                        n = s.neurons[l * s.blocks + b], h = s.hidden;
    const std::string prefix = "adapter." + owner + ".blk." + std::to_string(b) + ".";
    const auto pair = [&](const std::string& target, std::uint64_t in, std::uint64_t out) {
      // One target of one block is left out, as the format allows, and so is what a level does not keep.
      if ((b != 1 || target != "attn_k") && in > 0 && out > 0) use(prefix + target, in, out);
    };
    pair("attn_q", h, q), pair("attn_k", h, kv), pair("attn_v", h, kv), pair("attn_output", q, h);
    pair("ffn_gate", h, n), pair("ffn_up", h, n), pair("ffn_down", n, h);
  }
}

TinyElastic TinyElastic::with_own_adapters() const {
  TinyElastic own(*this);
  own.shape_.shared = false;
  std::erase_if(own.tensors_, [](const auto& entry) { return entry.first.starts_with("adapter."); });
  for (std::size_t l = 0; l + 1 < shape_.levels.size(); ++l) {
    const std::string owner = std::to_string(shape_.levels[l]);
    for_each_adapter(l, owner, [&](const std::string& name, std::uint64_t in, std::uint64_t out) {
      const std::string whole = "adapter.shared" + name.substr(std::string("adapter.").size() + owner.size());
      Tensor a = tensors_.at(whole + ".lora_a"), b = tensors_.at(whole + ".lora_b");
      std::vector<float> values;
      for (std::uint64_t r = 0; r < shape_.rank; ++r) {
        const auto row = a.values.begin() + static_cast<long>(r * a.dims[0]);
        values.insert(values.end(), row, row + static_cast<long>(in));
      }
      a.values = values, a.dims[0] = in;
      b.values.resize(out * shape_.rank), b.dims[1] = out;
      if (shape_.adapters_q8) {  // whole panels of 32 inputs, of 32 outputs
        a.panels.dims[3] = (in + 31) / 32, b.panels.dims[2] = (out + 31) / 32;
        a.panels.bytes.resize(a.panels.dims[2] * a.panels.dims[3] * 16 * 34);
        b.panels.bytes.resize(b.panels.dims[2] * shape_.rank * 34);
      }
      own.tensors_[name + ".lora_a"] = a, own.tensors_[name + ".lora_b"] = b;
    });
  }
  return own;
}

std::string TinyElastic::adapter_owner(std::uint32_t level) const {
  return shape_.shared && level != shape_.levels.back() ? "shared" : std::to_string(level);
}

double TinyElastic::uniform() {
  state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;  // xorshift64
  return static_cast<double>(state_ >> 11) * 0x1p-52 - 1;
}

void TinyElastic::add(const std::string& name, std::vector<std::uint64_t> dims, std::uint32_t type, float scale,
                      float centre) {
  Tensor tensor{dims, {}, type};
  for (const char* tiled : {"attn_output.weight", "ffn_down.weight", "attn_output.lora_a", "ffn_down.lora_a"})
    tensor.tiled = tensor.tiled || name.ends_with(tiled);
  std::uint64_t count = 1;
  for (const std::uint64_t dim : dims) count *= dim;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(centre + scale * uniform());
    tensor.values.push_back(type == kF16    ? float_from_half_bits(half_from_float(value))
                            : type == kBF16 ? rounded_to_bf16(value)
                                            : value);
  }
  if (type == kQ8 || type == kQ4 || type == kIq4) {
    const auto inputs = static_cast<std::uint32_t>(dims[0]), outputs = static_cast<std::uint32_t>(dims[1]);
    if (name.ends_with(".lora_b"))
      tensor.panels = quantise_columns(outputs, inputs, tensor.values);
    else if (name.ends_with(".lora_a"))
      tensor.panels = quantise_panels(type, true, outputs, inputs, tensor.values, 16);
    else
      tensor.panels = quantise_panels(type, tensor.tiled, outputs, inputs, tensor.values);
    tensor.values = tensor.panels.values;
  }
  tensors_[name] = std::move(tensor);
}

TinyElastic TinyElastic::alone(std::uint32_t level) const {
  std::size_t l = 0;
  while (shape_.levels[l] != level) ++l;
  const std::uint32_t groups = shape_.kv_groups[l * shape_.blocks], neurons = shape_.neurons[l * shape_.blocks],
                      per_group = shape_.heads / shape_.kv_heads;
  TinyElastic cut(*this);
  TinyElasticShape& s = cut.shape_;
  s.levels = {100}, s.kv_heads = groups, s.heads = groups * per_group, s.ffn = neurons;
  s.kv_groups.assign(s.blocks, groups), s.neurons.assign(s.blocks, neurons);
  const std::uint64_t q = s.heads * s.head_dim, kv = groups * s.head_dim, h = s.hidden;
  const std::map<std::string, std::vector<std::uint64_t>> dims = {
      {"attn_q.weight", {h, q}},        {"attn_k.weight", {h, kv}},        {"attn_v.weight", {h, kv}},
      {"attn_output.weight", {q, h}},   {"ffn_gate.weight", {h, neurons}}, {"ffn_up.weight", {h, neurons}},
      {"ffn_down.weight", {neurons, h}}};
  for (auto& [name, tensor] : cut.tensors_) {
    const auto found = name.starts_with("blk.") ? dims.find(name.substr(name.find('.', 4) + 1)) : dims.end();
    if (found == dims.end()) continue;
    const std::uint64_t in = found->second[0], out = found->second[1], width = tensor.dims[0];
    std::vector<float> values;
    for (std::uint64_t o = 0; o < out; ++o) {
      values.insert(values.end(), tensor.values.begin() + static_cast<long>(o * width),
                    tensor.values.begin() + static_cast<long>(o * width + in));
    }
    tensor.values = values;
    tensor.dims = found->second;
    if (tensor.panels.bytes.empty()) continue;
    const std::uint64_t last = tensor.panels.dims[3], kept = ((tensor.tiled ? in : out) + 31) / 32;
    tensor.panels.bytes.resize(tensor.panels.bytes.size() / last * kept);
    tensor.panels.dims[3] = kept;
  }
  return cut;
}

std::vector<std::int32_t> TinyElastic::text(std::size_t count) const {
  TinyElastic other(*this);
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<std::int32_t>((other.uniform() + 1) / 2 * shape_.vocab) %
                     static_cast<std::int32_t>(shape_.vocab));
  }
  return tokens;
}

GgufBuilder TinyElastic::artifact() const {
  const auto& s = shape_;
  GgufBuilder file;
  auto& m = file.metadata;
  m["general.architecture"] = std::string("elastic-llama");
  m["general.alignment"] = std::uint32_t{64};
  m["elastic-llama.block_count"] = s.blocks;
  m["elastic-llama.context_length"] = s.context;
  m["elastic-llama.embedding_length"] = s.hidden;
  m["elastic-llama.feed_forward_length"] = s.ffn;
  m["elastic-llama.vocab_size"] = s.vocab;
  m["elastic-llama.attention.head_count"] = s.heads;
  m["elastic-llama.attention.head_count_kv"] = s.kv_heads;
  m["elastic-llama.attention.key_length"] = s.head_dim;
  m["elastic-llama.attention.value_length"] = s.head_dim;
  m["elastic-llama.attention.layer_norm_rms_epsilon"] = static_cast<float>(kEpsilon);
  m["elastic-llama.rope.freq_base"] = static_cast<float>(kRopeBase);
  if (s.window != 0) m["elastic-llama.attention.sliding_window"] = s.window;
  m["elastic.format_version"] = std::uint32_t{4};
  m["elastic.rope_pairing"] = std::string("halves");
  m["elastic.tile_inputs"] = std::uint32_t{32};
  std::vector<std::string> permuted = {"attn_output.weight", "ffn_down.weight"};
  for (const char* suffix : {"token_embd.weight", "output.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight",
                             "ffn_gate.weight", "ffn_up.weight"}) {
    if (s.quantised != 0) permuted.push_back(suffix);
  }
  if (s.adapters_q8) permuted.push_back(".lora_a");
  m["elastic.tiled_tensors"] = permuted;
  m["elastic.levels"] = s.levels;
  m["elastic.plan.kv_groups"] = s.kv_groups;
  m["elastic.plan.neurons"] = s.neurons;
  if (s.adapters) {
    const std::string prefix = s.shared ? "elastic.adapter.shared." : "elastic.adapter.";
    const std::size_t count = s.levels.size() - 1;
    m[prefix + "levels"] = std::vector<std::uint32_t>(s.levels.begin(), s.levels.end() - 1);
    m[prefix + "scale"] = std::vector<float>(count, kAdapterScale);
    if (s.shared)
      m[prefix + "rank"] = s.rank;
    else
      m[prefix + "rank"] = std::vector<std::uint32_t>(count, s.rank);
  }
  for (const auto& [name, tensor] : tensors_) {
    if (!tensor.panels.bytes.empty()) {
      file.tensors.push_back({name, tensor.type, tensor.panels.dims, tensor.panels.bytes});
      continue;
    }
    std::vector<std::uint64_t> dims = tensor.dims;
    std::vector<float> values = tensor.values;
    if (tensor.tiled) {
      const std::uint64_t in = dims[0], out = dims[1], tiles = (in + 31) / 32;
      values.assign(tiles * out * 32, 0.0f);
      for (std::uint64_t o = 0; o < out; ++o) {
        for (std::uint64_t i = 0; i < in; ++i) values[(i / 32 * out + o) * 32 + i % 32] = tensor.values[o * in + i];
      }
      dims = {32, out, tiles};
    }
    if (name.ends_with(".lora_b")) {
      values = in_columns(tensor.values, dims[0], dims[1]);
      dims = {32, dims[0], (dims[1] + 31) / 32};
    }
    file.tensors.push_back({name, tensor.type, dims,
                            tensor.type == kF16    ? f16_bytes(values)
                            : tensor.type == kBF16 ? bf16_bytes(values)
                                                   : f32_bytes(values)});
  }
  return file;
}

TinyElastic::Vector TinyElastic::inputs_of(const Tensor& matrix, const Vector& x) const {
  if (!matrix.panels.bytes.empty()) return rounded_inputs(x);
  if (matrix.type != kBF16 || !bf16_inputs_) return x;
  Vector rounded(x.size());
  std::transform(x.begin(), x.end(), rounded.begin(), rounded_to_bf16);
  return rounded;
}

TinyElastic::Vector TinyElastic::apply(std::uint32_t level, std::uint32_t block, const std::string& target,
                                       const Vector& x, std::size_t out) const {
  const std::string blk = "blk." + std::to_string(block) + "." + target;
  const std::string adapter = "adapter." + adapter_owner(level) + "." + blk;
  const Tensor& w = tensors_.at(blk + ".weight");
  Vector y(out), low(shape_.rank);
  const Vector inputs = inputs_of(w, x), adapter_inputs = shape_.adapters_q8 ? rounded_inputs(x) : x;
  for (std::size_t o = 0; o < out; ++o) {
    for (std::size_t i = 0; i < x.size(); ++i) y[o] += static_cast<double>(w.values[o * w.dims[0] + i]) * inputs[i];
    if (has(blk + ".bias")) y[o] += tensors_.at(blk + ".bias").values[o];
  }
  if (!has(adapter + ".lora_a")) return y;
  const auto &a = tensors_.at(adapter + ".lora_a").values, &b = tensors_.at(adapter + ".lora_b").values;
  const std::size_t a_width = tensors_.at(adapter + ".lora_a").dims[0];
  for (std::size_t r = 0; r < shape_.rank; ++r) {
    for (std::size_t i = 0; i < x.size(); ++i) low[r] += static_cast<double>(a[r * a_width + i]) * adapter_inputs[i];
  }
  for (std::size_t o = 0; o < out; ++o) {
    for (std::size_t r = 0; r < shape_.rank; ++r)
      y[o] += static_cast<double>(kAdapterScale) * b[o * shape_.rank + r] * low[r];
  }
  return y;
}

TinyElastic::Vector TinyElastic::norm(const Vector& x, const std::string& weight) const {
  double squares = 0;
  for (const double value : x) squares += value * value;
  const double factor =
      1 / std::sqrt(squares / static_cast<double>(x.size()) + static_cast<double>(static_cast<float>(kEpsilon)));
  Vector y(x);
  for (std::size_t i = 0; i < x.size(); ++i) y[i] *= factor * tensors_.at(weight).values[i];
  return y;
}

void TinyElastic::rotate(double* head, std::size_t position) const {
  const std::size_t half = shape_.head_dim / 2;
  for (std::size_t i = 0; i < half; ++i) {
    double frequency = std::pow(kRopeBase, -2.0 * static_cast<double>(i) / shape_.head_dim);
    if (shape_.rope_freqs) frequency /= tensors_.at("rope_freqs.weight").values[i];
    const double angle = static_cast<double>(position) * frequency, a = head[i], b = head[i + half];
    head[i] = a * std::cos(angle) - b * std::sin(angle);
    head[i + half] = a * std::sin(angle) + b * std::cos(angle);
  }
}

TinyElastic::Vector TinyElastic::attention(std::uint32_t, const std::vector<Vector>& q, const std::vector<Vector>& k,
                                           const std::vector<Vector>& v, std::size_t position) const {
  const std::size_t dim = shape_.head_dim, per_group = shape_.heads / shape_.kv_heads;
  Vector out(q[position].size());
  for (std::size_t head = 0; head < out.size() / dim; ++head) {
    const std::size_t group = head / per_group;
    double sum = 0;
    Vector mixed(dim);
    for (std::size_t j = 0; j <= position; ++j) {
      if (shape_.window != 0 && j + shape_.window <= position) continue;
      double score = 0;
      for (std::size_t d = 0; d < dim; ++d) score += q[position][head * dim + d] * k[j][group * dim + d];
      const double weight = std::exp(score / std::sqrt(static_cast<double>(dim)));
      sum += weight;
      for (std::size_t d = 0; d < dim; ++d) mixed[d] += weight * v[j][group * dim + d];
    }
    for (std::size_t d = 0; d < dim; ++d) out[head * dim + d] = mixed[d] / sum;
  }
  return out;
}

std::vector<std::vector<double>> TinyElastic::reference(const std::vector<std::int32_t>& tokens, std::uint32_t level,
                                                        bool bf16_inputs) const {
  if (bf16_inputs != bf16_inputs_) {
    TinyElastic other(*this);
    other.bf16_inputs_ = bf16_inputs;
    return other.reference(tokens, level, bf16_inputs);
  }
  const auto& s = shape_;
  std::size_t l = 0;
  while (s.levels[l] != level) ++l;
  std::vector<Vector> x;
  for (const std::int32_t token : tokens) {
    const float* row = tensors_.at("token_embd.weight").values.data() + static_cast<std::size_t>(token) * s.hidden;
    x.emplace_back(row, row + s.hidden);
  }
  for (std::uint32_t b = 0; b < s.blocks; ++b) {
    const std::string blk = "blk." + std::to_string(b) + ".";
    const std::size_t kv = s.kv_groups[l * s.blocks + b] * s.head_dim, qw = kv * (s.heads / s.kv_heads);
    std::vector<Vector> q, k, v;
    for (std::size_t t = 0; t < x.size(); ++t) {
      const Vector h = norm(x[t], blk + "attn_norm.weight");
      q.push_back(apply(level, b, "attn_q", h, qw));
      k.push_back(apply(level, b, "attn_k", h, kv));
      v.push_back(apply(level, b, "attn_v", h, kv));
      for (auto [heads, name] :
           {std::pair{&q.back(), "attn_q_norm.weight"}, std::pair{&k.back(), "attn_k_norm.weight"}}) {
        for (std::size_t at = 0; at < heads->size(); at += s.head_dim) {
          if (s.qk_norm) {
            const Vector normed = norm(
                Vector(heads->begin() + static_cast<long>(at), heads->begin() + static_cast<long>(at + s.head_dim)),
                blk + name);
            std::copy(normed.begin(), normed.end(), heads->begin() + static_cast<long>(at));
          }
          rotate(heads->data() + at, t);
        }
      }
    }
    for (std::size_t t = 0; t < x.size(); ++t) {
      const Vector o = kv == 0 ? Vector(s.hidden)  // a half that keeps nothing adds nothing
                               : apply(level, b, "attn_output", attention(b, q, k, v, t), s.hidden);
      for (std::size_t i = 0; i < s.hidden; ++i) x[t][i] += o[i];
      const Vector h = norm(x[t], blk + "ffn_norm.weight");
      const std::size_t n = s.neurons[l * s.blocks + b];
      if (n == 0) continue;
      Vector gate = apply(level, b, "ffn_gate", h, n);
      const Vector up = apply(level, b, "ffn_up", h, n);
      for (std::size_t i = 0; i < n; ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
      const Vector down = apply(level, b, "ffn_down", gate, s.hidden);
      for (std::size_t i = 0; i < s.hidden; ++i) x[t][i] += down[i];
    }
  }
  std::vector<Vector> logits;
  const Tensor& matrix = tensors_.at(s.tied ? "token_embd.weight" : "output.weight");
  const auto& head = matrix.values;
  for (const Vector& state : x) {
    const Vector h = inputs_of(matrix, norm(state, "output_norm.weight"));
    Vector row(s.vocab);
    for (std::size_t o = 0; o < s.vocab; ++o) {
      for (std::size_t i = 0; i < s.hidden; ++i) row[o] += static_cast<double>(head[o * s.hidden + i]) * h[i];
    }
    logits.push_back(row);
  }
  return logits;
}

}  // namespace elastify_test
