#include "profile/importance.h"

#include <filesystem>
#include <limits>

#include "base/error.h"
#include "profile/check.h"
#include "profile/mask_pass.h"
#include "profile/norm_factor.h"
#include "rows.h"
#include "support/tiny_model.h"

#undef CHECK  // of LibTorch's logging; Catch2 has its own
#include <catch2/catch.hpp>

using namespace elastify;
using namespace elastify_test;

namespace {

// A tap that multiplies one unit's activations by `factor`, at one position or (-1) at all.
ForwardOptions masked(const ModelConfig& config, UnitRef unit, double factor, std::int64_t position = -1) {
  ForwardOptions options;
  options.tap = [=](std::int64_t layer, UnitKind kind, torch::Tensor activations) {
    if (layer != unit.layer || kind != unit.kind) return activations;
    const std::int64_t width = kind == UnitKind::kGroup ? config.group_width() : 1;
    torch::Tensor changed = activations.clone();
    torch::Tensor slice = changed.narrow(-1, unit.index * width, width);
    if (position >= 0) slice = slice.narrow(1, position, 1);
    slice.mul_(factor);
    return changed;
  };
  return options;
}

// dL/dm of the summed loss by central differences.
double difference(const Decoder& decoder, const TokenRows& rows, UnitRef unit, std::int64_t position = -1) {
  const torch::NoGradGuard no_grad;
  const double step = 1e-5;
  const auto loss = [&](double factor) {
    return summed_loss(decoder.logits(rows.inputs, masked(decoder.config(), unit, factor, position)), rows.targets)
        .item<double>();
  };
  return (loss(1 + step) - loss(1 - step)) / (2 * step);
}

ProfileConfig with_method(const std::string& method, std::int64_t batch_rows = 2) {
  ProfileConfig config;
  config.method = method;
  config.batch_rows = batch_rows;
  return config;
}

bool same_bits(const UnitScores& a, const UnitScores& b) {
  return a.groups.equal(b.groups) && a.neurons.equal(b.neurons);
}

}  // namespace

TEST_CASE("sums of mask gradients equal central differences", "[profile][unit]") {
  TinyShape shape;
  shape.qkv_bias = GENERATE(false, true);
  shape.qk_norm = !shape.qkv_bias;
  const Decoder decoder(tiny_model(shape, 3, torch::kFloat64));
  const TokenRows rows = self_rows(decoder, 2, 9, 5);
  MaskMoments moments(decoder.config(), torch::kCPU);
  add_batch_inplace(moments, decoder, rows.inputs, rows.targets);
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    for (std::int64_t group = 0; group < shape.kv_heads; ++group) {
      const double expected = difference(decoder, rows, {layer, UnitKind::kGroup, group});
      CHECK(moments.first(UnitKind::kGroup)[layer][group].item<double>() ==
            Approx(expected).epsilon(1e-6).margin(1e-7));
    }
    for (std::int64_t neuron = 0; neuron < shape.neurons; neuron += 7) {
      const double expected = difference(decoder, rows, {layer, UnitKind::kNeuron, neuron});
      CHECK(moments.first(UnitKind::kNeuron)[layer][neuron].item<double>() ==
            Approx(expected).epsilon(1e-6).margin(1e-7));
    }
  }
}

TEST_CASE("squares are taken token by token", "[profile][unit]") {
  const Decoder decoder(tiny_model({}, 4, torch::kFloat64));
  const TokenRows rows = self_rows(decoder, 1, 7, 6);
  MaskMoments moments(decoder.config(), torch::kCPU);
  add_batch_inplace(moments, decoder, rows.inputs, rows.targets);
  for (const UnitRef unit :
       {UnitRef{0, UnitKind::kGroup, 1}, UnitRef{1, UnitKind::kGroup, 0}, UnitRef{0, UnitKind::kNeuron, 5}}) {
    double squares = 0;
    for (std::int64_t position = 0; position < rows.seq(); ++position)
      squares += std::pow(difference(decoder, rows, unit, position), 2);
    CHECK(moments.second(unit.kind)[unit.layer][unit.index].item<double>() == Approx(squares).epsilon(1e-5));
  }
}

TEST_CASE("moments of two tokens equal the sums worked out by hand", "[profile][unit]") {
  TinyShape shape;
  shape.hidden = 4, shape.heads = 2, shape.kv_heads = 2, shape.head_dim = 2, shape.neurons = 1;
  MaskMoments moments(tiny_config(shape), torch::kCPU);
  // Two groups of width 2. Products: token 1: (1*2 + 2*1, 3*0 + 1*-1) = (4, -1); token 2: (0, 2*2 + 1*1) = (0, 5).
  const torch::Tensor activations = torch::tensor({1.f, 2.f, 3.f, 1.f, 0.f, 0.f, 2.f, 1.f}).view({1, 2, 4});
  const torch::Tensor gradients = torch::tensor({2.f, 1.f, 0.f, -1.f, 7.f, 7.f, 2.f, 1.f}).view({1, 2, 4});
  const torch::Tensor g = moments.unit_gradients(UnitKind::kGroup, activations, gradients);
  moments.add_first_inplace(1, UnitKind::kGroup, g);
  moments.add_second_inplace(1, UnitKind::kGroup, g, 1);
  const auto in_layer_1 = [](double a, double b) {
    return torch::tensor({0., 0., a, b}, torch::kFloat64).view({2, 2});
  };
  CHECK(moments.first(UnitKind::kGroup).equal(in_layer_1(4, 4)));
  CHECK(moments.second(UnitKind::kGroup).equal(in_layer_1(16, 26)));
  CHECK(moments.row_squares(UnitKind::kGroup).equal(in_layer_1(16, 16)));
  moments.add_second_inplace(0, UnitKind::kGroup, g, 16);  // both tokens in one square
  CHECK(moments.second(UnitKind::kGroup)[0].equal(torch::tensor({16., 16.}, torch::kFloat64)));
}

TEST_CASE("the norm factor is the residual's length over its length without the unit", "[profile][unit]") {
  const ModelWeights weights = tiny_model({}, 3, torch::kFloat64);
  const BlockWeights& block = weights.blocks[0];
  const torch::Tensor x = torch::randn({2, 3, 16}, torch::kFloat64), h = torch::randn({2, 3, 48}, torch::kFloat64);
  const torch::Tensor o = torch::randn({2, 3, 16}, torch::kFloat64);
  const torch::Tensor neurons = scaled_neurons(h, x, block), groups = scaled_groups(o, x, block, weights.config);
  const auto length = [](const torch::Tensor& t) { return t.square().sum(-1, true).sqrt(); };
  const torch::Tensor without_neuron = x - h.narrow(-1, 7, 1) * block.down.select(1, 7);
  CHECK(torch::allclose(neurons.narrow(-1, 7, 1), h.narrow(-1, 7, 1) * length(x) / length(without_neuron), 1e-10, 0));
  const torch::Tensor without_group = x - torch::matmul(o.narrow(-1, 8, 8), block.o.narrow(1, 8, 8).t());
  CHECK(torch::allclose(groups.narrow(-1, 8, 8), o.narrow(-1, 8, 8) * length(x) / length(without_group), 1e-10, 0));
  CHECK(torch::isfinite(scaled_neurons(h, torch::zeros_like(x), block)).all().item<bool>());
}

TEST_CASE("first-order scores are the absolute first moments over the predictions that count", "[profile][unit]") {
  const Decoder decoder(tiny_model({}, 4, torch::kFloat64));
  const TokenRows rows = self_rows(decoder, 3, 8, 6);
  MaskMoments moments(decoder.config(), torch::kCPU);
  add_batch_inplace(moments, decoder, rows.inputs, rows.targets);
  const ProfilePass pass = profile_units(decoder, rows, with_method("taylor", 3), 0);
  CHECK(pass.tokens == 3 * 7);
  CHECK(torch::allclose(pass.scores.neurons, moments.first(UnitKind::kNeuron).abs() / 21, 1e-12, 1e-15));
}

TEST_CASE("importance ranks units as exact ablation does on a random model", "[profile][unit]") {
  TinyShape shape;
  shape.layers = 3, shape.hidden = 32, shape.heads = 8, shape.kv_heads = 4, shape.neurons = 64;
  const Decoder decoder(tiny_model(shape, 11, torch::kFloat32));
  const TokenRows rows = self_rows(decoder, 64, 32, 12);
  const std::vector<UnitRef> units = all_units(decoder.config());
  const AblationResult exact = ablate_units(decoder, rows, units);
  const auto check = [&](const std::string& method) {
    const ProfilePass pass = profile_units(decoder, rows, with_method(method, 8), 0);
    CHECK(pass.mean_loss == Approx(exact.base_loss).epsilon(1e-5));
    const RankCheck found = check_ranks(pass.scores, units, exact.loss_change);
    UNSCOPED_INFO(method << ": neurons " << found.mean_neurons() << ", KV groups " << found.kv_groups);
    return found;
  };
  const RankCheck fisher = check("fisher"), taylor2 = check("taylor2"), taylor = check("taylor");
  CHECK(fisher.mean_neurons() > 0.9);
  CHECK(fisher.kv_groups > 0.8);
  CHECK(taylor2.mean_neurons() > 0.8);
  CHECK(taylor.mean_neurons() < fisher.mean_neurons());
  const UnitScores random = profile_units(decoder, rows, with_method("random"), 1).scores;
  CHECK(std::abs(check_ranks(random, units, exact.loss_change).mean_neurons()) < 0.35);
}

TEST_CASE("a pass that is killed and resumed gives the same bits as one that is not", "[profile][unit]") {
  const Decoder decoder(tiny_model({}, 2));
  const TokenRows rows = self_rows(decoder, 9, 12, 3);
  const ProfileConfig config = with_method(GENERATE("fisher", "taylor2"));
  const ProfilePass whole = profile_units(decoder, rows, config, 0);
  const fs::path path = fs::temp_directory_path() / "elastify_profile_resume.safetensors";
  fs::remove(path);
  struct Killed {};
  ResumePoint point{path, "key", 0, [](std::int64_t steps) {
                      if (steps == 3) throw Killed();
                    }};
  CHECK_THROWS_AS(profile_units(decoder, rows, config, 0, point), Killed);
  std::vector<std::int64_t> steps;
  point.after_save = [&](std::int64_t done) { steps.push_back(done); };
  const ProfilePass resumed = profile_units(decoder, rows, config, 0, point);
  CHECK(steps == std::vector<std::int64_t>{4, 5});
  CHECK(same_bits(whole.scores, resumed.scores));
  CHECK(whole.mean_loss == resumed.mean_loss);

  SECTION("a finished pass is not run again") {
    steps.clear();
    CHECK(same_bits(whole.scores, profile_units(decoder, rows, config, 0, point).scores));
    CHECK(steps.empty());
  }
  SECTION("progress of another model or of other text is not continued") {
    steps.clear();
    point.key = "another key";
    CHECK(same_bits(whole.scores, profile_units(decoder, rows, config, 0, point).scores));
    CHECK(steps.size() == 5);
    const TokenRows other = self_rows(decoder, 9, 12, 4);
    profile_units(decoder, other, config, 0, point);
    CHECK(steps.size() == 10);
    profile_units(decoder, other, config, 1, point);  // another seed matters where there is a probe
    CHECK(steps.size() == (config.method == "fisher" ? 15u : 10u));
  }
  SECTION("damaged progress is not continued") {
    fs::resize_file(path, fs::file_size(path) - 5);
    CHECK(same_bits(whole.scores, profile_units(decoder, rows, config, 0, point).scores));
  }
  fs::remove(path);
}

TEST_CASE("weights receive no gradients", "[profile][unit]") {
  const Decoder decoder(tiny_model({}, 2));
  const TokenRows rows = self_rows(decoder, 2, 8, 3);
  profile_units(decoder, rows, with_method("taylor2"), 0);
  for (const BlockWeights& block : decoder.weights().blocks) {
    CHECK_FALSE(block.o.requires_grad());
    CHECK_FALSE(block.down.grad().defined());
  }
}

TEST_CASE("shrinking weighs the first order down and leaves the curvature", "[profile][unit]") {
  const Decoder decoder(tiny_model({}, 7, torch::kFloat64));
  const TokenRows rows = self_rows(decoder, 16, 16, 8);  // first-order terms are noise here
  ProfileConfig config = with_method("fisher");
  const torch::Tensor plain = profile_units(decoder, rows, config, 0).scores.neurons;
  config.shrink = true;
  const torch::Tensor shrunk = profile_units(decoder, rows, config, 0).scores.neurons;
  CHECK(shrunk.std().item<double>() < plain.std().item<double>());
  CHECK((shrunk >= 0).sum().item<std::int64_t>() > (plain >= 0).sum().item<std::int64_t>());
}

TEST_CASE("bfloat16 weights give nearly the scores of float32", "[profile][unit]") {
  const Decoder half(tiny_model({}, 7, torch::kBFloat16)), single(tiny_model({}, 7, torch::kFloat32));
  const TokenRows rows = self_rows(single, 16, 16, 8);
  const torch::Tensor a = profile_units(half, rows, with_method("fisher"), 0).scores.neurons;
  const torch::Tensor b = profile_units(single, rows, with_method("fisher"), 0).scores.neurons;
  CHECK(((a - b).norm() / b.norm()).item<double>() < 0.1);  // eight bits of mantissa through two blocks
}

TEST_CASE("magnitude is the norm of all weights that leave with the unit", "[profile][unit]") {
  TinyShape shape;
  shape.qkv_bias = true;
  const ModelWeights weights = tiny_model(shape, 9, torch::kFloat64);
  const UnitScores scores = profile_units(Decoder(weights), {}, with_method("magnitude"), 0).scores;
  const BlockWeights& block = weights.blocks[1];
  const double neuron = block.gate[3].square().sum().item<double>() + block.up[3].square().sum().item<double>() +
                        block.down.select(1, 3).square().sum().item<double>();
  CHECK(scores.neurons[1][3].item<double>() == Approx(std::sqrt(neuron)));
  // Group 1: query rows 8..15 (two heads of width 4), key and value rows 4..7, columns 8..15 of o_proj.
  const auto rows_of = [](const torch::Tensor& t, std::int64_t first, std::int64_t count) {
    return t.narrow(0, first, count).square().sum().item<double>();
  };
  const double group = rows_of(block.q, 8, 8) + rows_of(block.q_bias, 8, 8) + rows_of(block.k, 4, 4) +
                       rows_of(block.k_bias, 4, 4) + rows_of(block.v, 4, 4) + rows_of(block.v_bias, 4, 4) +
                       rows_of(block.o.t(), 8, 8);
  CHECK(scores.groups[1][1].item<double>() == Approx(std::sqrt(group)));
}

TEST_CASE("random scores depend on the seed alone", "[profile][unit]") {
  const Decoder a(tiny_model({}, 1)), b(tiny_model({}, 2));
  CHECK(same_bits(profile_units(a, {}, with_method("random"), 5).scores,
                  profile_units(b, {}, with_method("random"), 5).scores));
  CHECK_FALSE(same_bits(profile_units(a, {}, with_method("random"), 5).scores,
                        profile_units(a, {}, with_method("random"), 6).scores));
}

TEST_CASE("a loss that is not finite and text without predictions are refused", "[profile][unit]") {
  ModelWeights weights = tiny_model({}, 1);
  const Decoder good(weights);
  TokenRows rows = self_rows(good, 2, 8, 3);
  weights.blocks[1].down = weights.blocks[1].down.clone();
  weights.blocks[1].down[0][0] = std::numeric_limits<float>::quiet_NaN();
  const Decoder bad(weights);
  for (const char* method : {"fisher", "taylor2", "taylor", "ablation"}) {
    try {
      profile_units(bad, rows, with_method(method), 0);
      FAIL("accepted by " << method);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kBadData);
    }
  }
  rows.targets.fill_(kIgnore);
  CHECK_THROWS_AS(profile_units(good, rows, with_method("taylor2"), 0), Error);
  CHECK_THROWS_AS(profile_units(good, {}, with_method("taylor2"), 0), Error);
}
