#include "unit/runtime/tiny_tlm.h"

#include <random>

namespace elastify_test {
namespace {

constexpr std::uint32_t kHidden = 16, kNeurons = 12, kPositions = 24;

class Builder {
 public:
  Builder(GgufBuilder& file, std::uint64_t seed, TinyBody body) : file_(file), random_(seed), body_(body) {}

  bool bert() const { return body_ == TinyBody::kBert; }
  std::uint32_t embedding() const { return bert() ? kHidden : 8; }
  std::uint32_t inner() const { return bert() ? kHidden : 8; }
  std::uint32_t networks() const { return bert() ? 1 : 2; }

  void rows(const std::string& name, std::uint64_t inputs, std::uint64_t outputs, float scale = 0.4f) {
    file_.tensors.push_back({name + ".weight", 1, {inputs, outputs}, f16_bytes(values(inputs * outputs, 0, scale))});
  }
  void columns(const std::string& name, std::uint64_t inputs, std::uint64_t outputs) {
    const auto placed = in_columns(values(inputs * outputs, 0, 0.4f), inputs, outputs);
    file_.tensors.push_back({name + ".weight", 1, {32, inputs, (outputs + 31) / 32}, f16_bytes(placed)});
  }
  void vector(const std::string& name, std::uint64_t size, float centre) {
    file_.tensors.push_back({name, 0, {size}, f32_bytes(values(size, centre, 0.2f))});
  }
  void bias(const std::string& name, std::vector<float> of) {
    file_.tensors.push_back({name + ".bias", 0, {of.size()}, f32_bytes(of)});
  }
  void affine(const std::string& name, std::uint64_t inputs, std::uint64_t outputs) {
    columns(name, inputs, outputs);
    vector(name + ".bias", outputs, 0);
  }
  void norm(const std::string& name, std::uint64_t size) {
    vector(name + "_norm.weight", size, 1);
    vector(name + "_norm.bias", size, 0);
  }
  void dense(const std::string& name, std::uint64_t inputs, std::uint64_t outputs) {
    affine(name, inputs, outputs);
    norm(name, outputs);
  }
  void layer(const std::string& prefix) {
    if (!bert()) {
      dense(prefix + "in", kHidden, inner());
      dense(prefix + "attn_in", kHidden, inner());
      dense(prefix + "out", inner(), kHidden);
    }
    affine(prefix + "attn_q", inner(), inner());
    affine(prefix + "attn_k", inner(), inner());
    affine(prefix + "attn_v", kHidden, inner());
    dense(prefix + "attn_output", inner(), inner());
    for (std::uint32_t i = 0; i < networks(); ++i) {
      affine(prefix + "ffn_up." + std::to_string(i), inner(), kNeurons);
      dense(prefix + "ffn_down." + std::to_string(i), kNeurons, inner());
    }
  }

 private:
  std::vector<float> values(std::uint64_t count, float centre, float scale) {
    std::normal_distribution<float> draw(centre, scale);
    std::vector<float> all;
    for (std::uint64_t i = 0; i < count; ++i) all.push_back(draw(random_));
    return all;
  }

  GgufBuilder& file_;
  std::mt19937_64 random_;
  TinyBody body_;
};

// A bias that outweighs everything for one class.
std::vector<float> vote(const std::vector<std::uint32_t>& levels, std::uint32_t chosen) {
  std::vector<float> bias;
  for (const std::uint32_t level : levels) bias.push_back(level == chosen ? 1e6f : 0.0f);
  return bias;
}

}  // namespace

void add_tiny_tlm(GgufBuilder& file, std::uint32_t model_level, std::uint32_t prompt_level, std::uint64_t seed,
                  TinyBody body) {
  const std::vector<std::uint32_t> model_levels = {20, 50, 100}, prompt_levels = {50, 100}, ttft = {20, 50, 100},
                                   tpot = {50, 100};
  const std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a",
                                               "b",     "c",     "##a",   "##b",   "##c",    "?"};
  Builder add(file, seed, body);
  auto& m = file.metadata;
  const std::string key = "elastic.tlm.";
  if (add.bert()) m[key + "body"] = std::string("bert"), m["elastic.format_version"] = std::uint32_t{6};
  m[key + "embedding_size"] = add.embedding(), m[key + "hidden_size"] = kHidden, m[key + "inner_size"] = add.inner();
  m[key + "feed_forward_size"] = kNeurons, m[key + "positions"] = kPositions;
  m[key + "head_count"] = std::uint32_t{2}, m[key + "feed_forward_count"] = add.networks();
  for (const char* part : {"bottom_layers", "score_layers", "decision_layers"}) m[key + part] = std::uint32_t{1};
  for (const char* flag : {"bottleneck", "shared_key_query", "trigram_input"}) m[key + flag] = !add.bert();
  m[key + "bottleneck_attention"] = false, m[key + "layer_norm"] = add.bert();
  m[key + "layer_norm_epsilon"] = 1e-12f;
  m[key + "model_levels"] = model_levels, m[key + "prompt_levels"] = prompt_levels;
  m[key + "ttft_levels"] = ttft, m[key + "tpot_levels"] = tpot;
  m[key + "vocabulary"] = vocabulary;
  add.rows("tlm.token_embd", add.embedding(), vocabulary.size(), 1);
  add.rows("tlm.slo_embd", add.embedding(), ttft.size() + tpot.size(), 1);
  add.rows("tlm.position_embd", kHidden, kPositions);
  add.rows("tlm.type_embd", kHidden, 2);
  if (add.bert())
    add.norm("tlm.embd", kHidden);
  else
    add.dense("tlm.embd", 3 * add.embedding(), kHidden);
  for (const char* part : {"bottom", "score", "decision"}) add.layer("tlm." + std::string(part) + ".0.");
  add.affine("tlm.score", kHidden, 2);
  add.columns("tlm.model_level", kHidden, model_levels.size());
  add.bias("tlm.model_level", vote(model_levels, model_level));
  add.columns("tlm.prompt_level", kHidden, prompt_levels.size());
  add.bias("tlm.prompt_level", vote(prompt_levels, prompt_level));
}

}  // namespace elastify_test
