// The encoder against an independent implementation (tests/golden/tlm/README.md), finite differences and invariants.
#include <cstdlib>
#include <map>
#include <set>

#include "support.h"
#include "support/skip.h"
#include "tlm/body_vocabulary.h"
#include "tlm/tlm_checkpoint.h"

using namespace elastify;
using namespace elastify_test;

namespace {

const fs::path kGoldens = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/tlm";

// Largest difference by state, over the positions that are not padding.
std::map<std::string, double> differences(const fs::path& folder, torch::ScalarType dtype) {
  torch::NoGradGuard no_grad;
  const auto [body, head, left_out] = read_tlm_checkpoint(folder, torch::kCPU, dtype);
  const auto stored = open_safetensors(folder / "expected.safetensors");
  const torch::Tensor mask = stored.at("mask").view().to(torch::kBool), tokens = stored.at("tokens").view();
  std::map<std::string, double> found;
  const auto compare = [&](const std::string& name, const torch::Tensor& state) {
    found[name] = difference(state.to(torch::kFloat64) * mask.unsqueeze(-1), stored.at(name).view());
  };
  torch::Tensor x = tlm_embed(body.embeddings, body.config, torch::embedding(body.embeddings.word, tokens), mask,
                              stored.at("types").view());
  compare("state_0", x);
  const torch::Tensor bias = tlm_attention_bias(mask, dtype);
  for (std::size_t i = 0; i < body.layers.size(); ++i) {
    x = tlm_layer(body.layers[i], body.config, x, bias);
    compare(fmt::format("state_{}", i + 1), x);
  }
  if (head.defined()) compare("logits", masked_word_logits(head, body.config, body.embeddings.word, x));
  return found;
}

}  // namespace

TEST_CASE("every golden encoder gives the reference's state after every layer", "[tlm][golden]") {
  std::set<std::string> seen;
  for (const auto& entry : fs::directory_iterator(kGoldens)) {
    if (!entry.is_directory()) continue;
    DYNAMIC_SECTION(entry.path().filename().string()) {
      for (const auto& [dtype, tolerance] : {std::pair{torch::kFloat64, 1e-8}, std::pair{torch::kFloat32, 1e-4}}) {
        const auto found = differences(entry.path(), dtype);
        CHECK(found.size() == 4);
        for (const auto& [state, largest] : found) {
          INFO(state << " in " << torch::toString(dtype) << ": " << largest);
          CHECK(largest < tolerance);
        }
      }
    }
    seen.insert(entry.path().filename().string());
  }
  CHECK(seen.size() == 8);
}

TEST_CASE("an encoder's gradients agree with finite differences", "[tlm][unit]") {
  TlmConfig without_norms = tiny_tlm_config(2);
  without_norms.norm = TlmNorm::kNone;
  for (const TlmConfig& config : {without_norms, tiny_tlm_config(2), tiny_bert_config(2)}) {
    INFO(config.type_name());
    TlmBody body = copy_body(random_tlm_body(config, 3), torch::kCPU, torch::kFloat64);
    const auto slots = body_slots(body, "");
    roughen_inplace(slots, 4);
    const TlmBatch batch = random_batch({7, 5}, config.vocab_size, 5);
    torch::manual_seed(6);
    const torch::Tensor weights = torch::randn({2, 7, config.hidden_size}, torch::kFloat64) * batch.mask.unsqueeze(-1);
    const auto loss = [&] { return (tlm_hidden(body, batch) * weights).sum(); };
    for (const auto& slot : slots) slot.tensor->requires_grad_();
    loss().backward();
    torch::NoGradGuard no_grad;
    for (const auto& slot : slots) {
      // Along one random direction a tensor: a central difference, whose error is of the order of step^2.
      const double step = 1e-5;
      const torch::Tensor direction = torch::randn_like(*slot.tensor), before = slot.tensor->clone();
      slot.tensor->add_(direction, step);
      const double above = loss().item<double>();
      slot.tensor->copy_(before - direction * step);
      const double below = loss().item<double>();
      slot.tensor->copy_(before);
      const double expected = (above - below) / (2 * step);
      const double found = slot.tensor->grad().defined() ? (slot.tensor->grad() * direction).sum().item<double>() : 0;
      INFO(slot.name);
      CHECK(found == Approx(expected).epsilon(1e-5).margin(1e-6));
    }
  }
}

TEST_CASE("padding does not change an encoder's states, whatever it holds", "[tlm][unit]") {
  const TlmConfig config = GENERATE(from_range(tiny_configs()));
  const TlmBody body = copy_body(random_tlm_body(config, 3), torch::kCPU, torch::kFloat64);
  torch::NoGradGuard no_grad;
  const auto rows = random_rows({9, 4, 1}, config.vocab_size, 5);
  TlmBatch together = make_batch(rows, 0, torch::kCPU);
  const torch::Tensor states = tlm_hidden(body, together);
  together.tokens = torch::where(together.mask, together.tokens, 7);
  CHECK(difference(tlm_hidden(body, together) * together.mask.unsqueeze(-1), states * together.mask.unsqueeze(-1)) <
        1e-12);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const torch::Tensor alone = tlm_hidden(body, make_batch(std::span(&rows[i], 1), 0, torch::kCPU));
    CHECK(difference(states[static_cast<std::int64_t>(i)].narrow(0, 0, alone.size(1)), alone[0]) < 1e-12);
  }
}

TEST_CASE("dropout acts in training only", "[tlm][unit]") {
  TlmConfig config = GENERATE(from_range(tiny_configs()));
  config.attention_dropout = 0.5;
  config.hidden_dropout = 0.2;
  const TlmBody body = random_tlm_body(config, 3);
  const TlmBatch batch = random_batch({9}, config.vocab_size, 5);
  torch::NoGradGuard no_grad;
  CHECK(torch::equal(tlm_hidden(body, batch), tlm_hidden(body, batch)));
  CHECK(difference(tlm_hidden(body, batch, {.training = true}), tlm_hidden(body, batch)) > 0.01);
}

TEST_CASE("a BERT's dropout lies where it was published: on embeddings, attention weights and what each half adds",
          "[tlm][unit]") {
  // All dropped but what nothing may drop: embeddings are zero, so each norm gives its bias, whatever the layers hold.
  TlmConfig config = tiny_bert_config(2);
  config.hidden_dropout = 1 - 1e-12;
  TlmBody body = copy_body(random_tlm_body(config, 3), torch::kCPU, torch::kFloat64);
  roughen_inplace(body_slots(body, ""), 4);
  torch::NoGradGuard no_grad;
  const TlmBatch batch = random_batch({9}, config.vocab_size, 5);
  const torch::Tensor dropped = tlm_embed(body.embeddings, config, torch::embedding(body.embeddings.word, batch.tokens),
                                          batch.mask, {}, {.training = true});
  CHECK(dropped.abs().max().item<double>() == 0);
  const auto norm = [&](const TlmNormWeights& weights, const torch::Tensor& x) {
    return torch::layer_norm(x, {config.hidden_size}, weights.weight, weights.bias, config.layer_norm_eps);
  };
  const torch::Tensor x = torch::randn({1, 9, config.hidden_size}, torch::kFloat64);
  const torch::Tensor found =
      tlm_layer(body.layers[0], config, x, tlm_attention_bias(batch.mask, torch::kFloat64), {.training = true});
  // Both halves drop what they add: the input passes both norms.
  CHECK(difference(found, norm(body.layers[0].feed_forward[0].down.norm,
                               norm(body.layers[0].attention_output.norm, x))) < 1e-12);
}

TEST_CASE("a real BERT gives transformers' states after every layer", "[tlm][real]") {
  // scripts/make_bert_goldens.py --real writes what is expected.
  const char* root = std::getenv("ELASTIFY_REAL_MODELS");
  const fs::path folder = fs::path(root == nullptr ? "" : root) / "all-MiniLM-L6-v2";
  if (root == nullptr || !fs::exists(folder / "expected.safetensors") || !fs::exists(folder / "expected.json"))
    return skip_case("needs all-MiniLM-L6-v2 with expected.safetensors in the folder that ELASTIFY_REAL_MODELS names");
  // States reach 6. float64: rounding of the file to 10 digits; float32: six layers of sums in another order.
  for (const auto& [dtype, tolerance] : {std::pair{torch::kFloat64, 1e-8}, std::pair{torch::kFloat32, 1e-4}}) {
    const auto found = differences(folder, dtype);
    CHECK(found.size() == 7);
    for (const auto& [state, largest] : found) {
      INFO(state << " in " << torch::toString(dtype) << ": " << largest);
      CHECK(largest < tolerance);
    }
  }
  const nlohmann::json texts = read_json(folder / "expected.json");
  const auto vocabulary = elrt::WordPiece::from_vocabulary_text(body_vocabulary_text(folder));
  REQUIRE(vocabulary.ok());
  for (std::size_t i = 0; i < texts.at("texts").size(); ++i) {
    const auto pieces = vocabulary->encode(texts.at("texts")[i].get<std::string>());
    REQUIRE(pieces.ok());
    CHECK(make_row(vocabulary.value(), pieces->tokens, std::nullopt).tokens ==
          texts.at("ids")[i].get<std::vector<std::int64_t>>());
  }
}

TEST_CASE("an encoder refuses more tokens than positions", "[tlm][unit]") {
  const TlmConfig config = tiny_tlm_config(1);
  const TlmBody body = random_tlm_body(config, 3);
  expect_error(ErrorCode::kInternal, {"17", "16"}, [&] { tlm_hidden(body, random_batch({17}, config.vocab_size, 1)); });
}

TEST_CASE("equal seeds give equal encoders", "[tlm][unit]") {
  const TlmConfig config = GENERATE(from_range(tiny_configs()));
  TlmBody one = random_tlm_body(config, 3), same = random_tlm_body(config, 3), other = random_tlm_body(config, 4);
  const auto a = body_slots(one, ""), b = body_slots(same, ""), c = body_slots(other, "");
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(torch::equal(*a[i].tensor, *b[i].tensor));
    if (a[i].shape.size() > 1) CHECK_FALSE(torch::equal(*a[i].tensor, *c[i].tensor));
  }
}
