// The tiny language model from the toolchain into an artifact and through the runtime: both compute the same.
#include "pack/pack_tlm.h"
#include "tlm/body_vocabulary.h"
#include "tlm/dual_head_file.h"
#include "tlm/tlm_checkpoint.h"
#include "tlm/tlm_input.h"
#undef CHECK  // LibTorch's logging defines it too
#include <algorithm>
#include <catch2/catch.hpp>

#include <elrt/compression.hpp>
#include <elrt/tlm.hpp>

#include <cstdlib>
#include <fstream>

#include "checkpoint/random_checkpoint.h"
#include "pack/inspect.h"
#include "pack/pack.h"
#include "reorder/make_plan.h"
#include "support/expect_error.h"
#include "support/skip.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::TempDir;

struct Variant {
  const char* name;
  TlmNorm norm;
  bool bottleneck, shared_key_query, bottleneck_attention, trigram, bert = false;
};
const Variant kVariants[] = {{"published", TlmNorm::kNone, true, true, false, true},
                             {"layer norm", TlmNorm::kLayer, true, true, false, true},
                             {"bottleneck attention", TlmNorm::kLayer, true, false, true, true},
                             {"no bottleneck", TlmNorm::kLayer, false, false, false, true},
                             {"plain embedding", TlmNorm::kNone, true, true, false, false},
                             {"bert", TlmNorm::kLayer, false, false, false, false, true}};
const Variant& kBert = kVariants[5];

// The special tokens, the letters and some continuations.
std::vector<std::string> tiny_vocabulary() {
  std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (char c = 'a'; c <= 'z'; ++c) tokens.emplace_back(1, c);
  for (char c = 'a'; c <= 'i'; ++c) tokens.push_back("##" + std::string(1, c));
  return tokens;
}

// Random, every bias and norm weight away from its start.
PackedTlm random_tlm(const Variant& variant, std::uint64_t seed) {
  TlmConfig c;
  c.vocab_size = 40;
  c.embedding_size = 20;
  c.hidden_size = 72;  // no multiple of the kernels' 32
  c.bottleneck_size = 24;
  c.intermediate_size = 40;
  c.num_layers = 5;
  c.num_heads = 3;
  c.num_feed_forward = 2;
  c.max_positions = 64;
  c.num_types = 2;
  c.norm = variant.norm;
  c.layer_norm_eps = 0.05;  // far from the 1e-5 of the norms that do not follow it, so that a mix-up shows
  c.use_bottleneck = variant.bottleneck;
  c.shared_key_query = variant.shared_key_query;
  c.bottleneck_attention = variant.bottleneck_attention;
  c.trigram_input = variant.trigram;
  if (variant.bert) {
    c.kind = TlmBodyKind::kBert;
    c.embedding_size = c.bottleneck_size = c.hidden_size;
    c.num_feed_forward = 1;
  }
  DualHeadConfig heads;
  heads.bottom_layers = 2;
  heads.score_layers = 2;
  heads.model_levels = {20, 60, 100};
  heads.prompt_levels = {50, 80, 100};
  heads.ttft_levels = {20, 50, 80, 100};
  heads.tpot_levels = {50, 100};
  PackedTlm tlm{make_dual_head(random_tlm_body(c, seed), heads, seed), tiny_vocabulary(), {}};
  torch::NoGradGuard no_grad;
  torch::manual_seed(seed);
  for (const auto& slot : dual_head_slots(tlm.model)) {
    *slot.tensor += torch::randn_like(*slot.tensor) * 0.1;
    if (slot.name.find("embeddings.weight") != std::string::npos) *slot.tensor += torch::randn_like(*slot.tensor);
  }
  return tlm;
}

// Matrices as f16 rounds them.
void round_matrices_inplace(DualHead& model) {
  for (const auto& slot : dual_head_slots(model)) {
    if (slot.shape.size() == 2) *slot.tensor = slot.tensor->to(torch::kFloat16).to(torch::kFloat32);
  }
}

fs::path pack_with(const TempDir& dir, const PackedTlm* tlm) {
  const nlohmann::json document = {
      {"model_type", "llama"},  {"vocab_size", 300},        {"hidden_size", 32},        {"intermediate_size", 64},
      {"num_hidden_layers", 2}, {"num_attention_heads", 2}, {"num_key_value_heads", 2}, {"max_position_embeddings", 64},
      {"hidden_act", "silu"}};
  const ModelConfig config = model_config_from_hf(document, "test");
  write_random_checkpoint(config, 5, dir / "hf");
  const Checkpoint checkpoint = Checkpoint::open(dir / "hf");
  const SortedScores flat{torch::ones({2, 2}), torch::ones({2, 64})};
  const ElasticPlan plan = make_plan(config, {}, flat, {});
  elrt::TokenizerSpec spec;
  for (int byte = 0; byte < 256; ++byte) {
    spec.tokens.push_back(fmt::format("<0x{:02X}>", byte));
    spec.types.push_back(elrt::TokenType::kByte);
  }
  spec.byte_fallback = true;
  PackInputs inputs{checkpoint, plan, spec, {}, {}, "random", {}, tlm};
  write_artifact(dir / "model.gguf", inputs, {});
  return dir / "model.gguf";
}

std::string random_prompt(std::size_t words, std::uint64_t seed) {
  torch::manual_seed(seed);
  std::string text;
  for (std::size_t i = 0; i < words; ++i) {
    text += i == 0 ? "" : " ";
    text += static_cast<char>('a' + torch::randint(26, {1}).item<int>());
    for (int more = torch::randint(3, {1}).item<int>(); more > 0; --more)
      text += static_cast<char>('a' + torch::randint(9, {1}).item<int>());
  }
  return text;
}

struct Outputs {
  torch::Tensor model_level, prompt_level;  // logits
  std::vector<float> words;
};

Outputs toolchain(const DualHead& model, const elrt::WordPiece& vocabulary,
                  std::span<const elrt::WordPieceToken> pieces, std::size_t words, elrt::SloRatios slo) {
  torch::NoGradGuard no_grad;
  const TlmRow row = make_row(vocabulary, pieces, model.slo.ids(slo.ttft, slo.tpot));
  const TlmBatch batch = make_batch({&row, 1}, 0, torch::kCPU);
  const torch::Tensor shared = shared_states(model, batch);
  const DecisionLogits decision = decision_logits(model, shared, batch.mask);
  const torch::Tensor keep =
      word_keep_probability(score_logits(model, shared, batch.mask), batch.words, static_cast<std::int64_t>(words))
          .contiguous();
  return {decision.model_level[0], decision.prompt_level[0], {keep.data_ptr<float>(), keep.data_ptr<float>() + words}};
}

double difference(const torch::Tensor& expected, const std::vector<float>& found) {
  return (expected - torch::tensor(found)).abs().max().item<double>();
}

double difference(const std::vector<float>& expected, const std::vector<float>& found) {
  REQUIRE(expected.size() == found.size());
  double most = 0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(expected[i]) - found[i]));
  return most;
}

}  // namespace

TEST_CASE("runtime and toolchain compute the same decisions and scores", "[pack][tlm][unit]") {
  for (const Variant& variant : kVariants) {
    INFO(variant.name);
    const TempDir dir;
    PackedTlm tlm = random_tlm(variant, 7);
    const fs::path path = pack_with(dir, &tlm);
    const auto artifact = elrt::Artifact::open(path);
    REQUIRE(artifact.ok());
    CHECK(artifact->verify_checksums().ok());
    PackedTlm rounded = random_tlm(variant, 7);
    round_matrices_inplace(rounded.model);
    for (const std::uint32_t threads : {1u, 3u}) {
      auto runtime = elrt::Tlm::create(artifact.value(), threads);
      REQUIRE(runtime.ok());
      for (const std::size_t words : {0u, 1u, 5u, 17u, 25u}) {
        auto pieces = runtime->wordpiece().encode(random_prompt(words, words));
        REQUIRE(pieces.ok());
        runtime->wordpiece().mark_question(pieces.value(), {words, 2 * words});
        REQUIRE(pieces->tokens.size() <= runtime->max_pieces());
        for (const elrt::SloRatios slo : {elrt::SloRatios{0.3, 0.7}, {1, 1}, {0.1, 0.2}}) {
          const auto proposal = runtime->decide(pieces.value(), slo);
          const auto scores = runtime->score_words(pieces.value(), slo);
          REQUIRE(proposal.ok());
          REQUIRE(scores.ok());
          // Equal weights, float32 sums in other orders: logits of size 1 to 10 after five layers agree to 1e-4;
          // without norms they reach 45, and rounding grows with them.
          const Outputs exact = toolchain(rounded.model, runtime->wordpiece(), pieces->tokens, words, slo);
          const auto tolerance = [](const torch::Tensor& logits) {
            return 1e-5 * std::max(10.0, logits.abs().max().item<double>());
          };
          CHECK(difference(exact.model_level, proposal->model_logits) < tolerance(exact.model_level));
          CHECK(difference(exact.prompt_level, proposal->prompt_logits) < tolerance(exact.prompt_level));
          CHECK(difference(exact.words, scores.value()) < 1e-4);
          // Against float32 weights: f16 rounds each by at most 2^-11 of its size.
          const Outputs full = toolchain(tlm.model, runtime->wordpiece(), pieces->tokens, words, slo);
          CHECK(difference(full.words, scores.value()) < 0.05);
          CHECK(proposal->decision.model_level ==
                tlm.model.settings
                    .model_levels[static_cast<std::size_t>(exact.model_level.argmax().item<std::int64_t>())]);
        }
      }
    }
  }
}

TEST_CASE("a prompt longer than a row is decided by its ends and scored in chunks", "[pack][tlm][unit]") {
  const TempDir dir;
  PackedTlm tlm = random_tlm(kVariants[0], 3);
  round_matrices_inplace(tlm.model);
  const auto artifact = elrt::Artifact::open(pack_with(dir, &tlm));
  REQUIRE(artifact.ok());
  auto runtime = elrt::Tlm::create(artifact.value(), 2);
  REQUIRE(runtime.ok());
  CHECK(runtime->max_pieces() == 60);
  const std::string text = random_prompt(90, 1);
  auto pieces = runtime->wordpiece().encode(text);
  REQUIRE(pieces.ok());
  runtime->wordpiece().mark_question(pieces.value(), {text.size() - 20, text.size()});
  const std::vector<elrt::WordPieceToken>& tokens = pieces->tokens;
  REQUIRE(tokens.size() > 120);
  std::vector<elrt::WordPieceToken> ends(tokens.begin(), tokens.begin() + 30);
  ends.insert(ends.end(), tokens.end() - 30, tokens.end());
  const auto proposal = runtime->decide(pieces.value(), {0.5, 0.5});
  REQUIRE(proposal.ok());
  const torch::Tensor expected_logits = toolchain(tlm.model, runtime->wordpiece(), ends, 90, {0.5, 0.5}).model_level;
  // Without norms states grow from layer to layer, and with them float32's rounding: 2^-24 of a state, some hundred
  // times over.
  CHECK(difference(expected_logits, proposal->model_logits) < 3e-5 * expected_logits.abs().max().item<double>());

  const auto chunks = elrt::plan_chunks(tokens, 60, 15);
  REQUIRE(chunks.ok());
  std::vector<std::vector<float>> token_scores;
  for (const elrt::TokenChunk& chunk : chunks.value()) {
    // Every token a word of its own: the toolchain's probability per token.
    std::vector<elrt::WordPieceToken> alone(tokens.begin() + static_cast<long>(chunk.begin),
                                            tokens.begin() + static_cast<long>(chunk.end));
    for (std::size_t i = 0; i < alone.size(); ++i) alone[i].word = i;
    token_scores.push_back(toolchain(tlm.model, runtime->wordpiece(), alone, alone.size(), {0.5, 0.5}).words);
  }
  const auto expected = elrt::merge_word_scores(tokens, pieces->words.size(), chunks.value(), token_scores);
  const auto found = runtime->score_words(pieces.value(), {0.5, 0.5});
  REQUIRE(expected.ok());
  REQUIRE(found.ok());
  CHECK(difference(expected.value(), found.value()) < 1e-4);
}

TEST_CASE("a trained model's folder is read with its vocabulary and accuracy, and refused where they do not fit",
          "[pack][tlm][unit]") {
  const TempDir dir;
  const PackedTlm tlm = random_tlm(kVariants[0], 2);
  write_dual_head(tlm.model, dir.path());
  const auto write_vocabulary = [&](std::vector<std::string> tokens) {
    std::ofstream out(dir / "vocab.txt");
    for (const auto& token : tokens) out << token << "\n";
  };
  expect_error(ErrorCode::kBadData, {"vocab.txt"}, [&] { read_packed_tlm(dir.path()); });
  write_vocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
  expect_error(ErrorCode::kBadData, {"do not belong together"}, [&] { read_packed_tlm(dir.path()); });
  write_vocabulary(tiny_vocabulary());
  CHECK(read_packed_tlm(dir.path()).vocabulary == tiny_vocabulary());
  CHECK_FALSE(read_packed_tlm(dir.path()).rule);
  const auto write_rule = [&](const nlohmann::json& accuracy, const nlohmann::json& weight) {
    nlohmann::json rule = {{"accuracy", accuracy}};
    if (!weight.is_null()) rule["head_weight"] = weight;
    write_json(dir / kChoiceRuleFile, rule);
  };
  const nlohmann::json known = {{0.1, 0.2, 0.3}, {0.3, 0.4, 0.5}, {0.5, 0.6, 0.7}};
  const std::vector<std::pair<nlohmann::json, nlohmann::json>> wrong = {
      {{{0.1, 0.2}, {0.3, 0.4}}, nullptr},
      {nullptr, nullptr},
      {known, -1},
      {known, "all"},
      {{{0.1, 0.2, 0.3}, {0.3, 1.4, 0.5}, {0.5, 0.6, 0.7}}, nullptr}};
  for (const auto& [accuracy, weight] : wrong) {
    write_rule(accuracy, weight);
    expect_error(ErrorCode::kBadData, {"3 rows of 3"}, [&] { read_packed_tlm(dir.path()); });
  }
  {
    write_rule(known, 0.25);
    const PackedTlm ruled = read_packed_tlm(dir.path());
    const TempDir other;
    const auto artifact = elrt::Artifact::open(pack_with(other, &ruled));
    REQUIRE(artifact.ok());
    CHECK(artifact->tlm()->head_weight == 0.25f);
    CHECK(artifact->tlm()->accuracy[4] == 0.4f);
  }
  write_rule({{0.1, 0.2, 0.3}, {0.3, nullptr, 0.5}, {0.5, 0.6, 0.7}}, nullptr);
  const PackedTlm read = read_packed_tlm(dir.path());
  const TempDir other;
  const auto artifact = elrt::Artifact::open(pack_with(other, &read));
  REQUIRE(artifact.ok());
  REQUIRE(artifact->tlm() != nullptr);
  REQUIRE(artifact->tlm()->accuracy.size() == 9);
  CHECK(artifact->tlm()->accuracy[5] == 0.5f);
  CHECK(std::isnan(artifact->tlm()->accuracy[4]));
  CHECK_FALSE(artifact->tlm()->head_weight);
  const auto summary = inspect_artifact(other / "model.gguf", true);
  CHECK(summary.at("tlm").at("decision_layers") == 3);
  CHECK(format_inspection(summary).find("tiny language model") != std::string::npos);
}

TEST_CASE("a real BERT's heads compute in the runtime what they compute in the toolchain", "[pack][tlm][real]") {
  const char* root = std::getenv("ELASTIFY_REAL_MODELS");
  const fs::path folder = fs::path(root == nullptr ? "" : root) / "all-MiniLM-L6-v2";
  if (root == nullptr || !fs::exists(folder))
    return elastify_test::skip_case("needs all-MiniLM-L6-v2 in the folder that ELASTIFY_REAL_MODELS names");
  DualHeadConfig heads;
  heads.bottom_layers = 4;
  const auto vocabulary = elrt::WordPiece::from_vocabulary_text(body_vocabulary_text(folder));
  REQUIRE(vocabulary.ok());
  PackedTlm tlm{make_dual_head(read_tlm_checkpoint(folder, torch::kCPU, torch::kFloat32).body, heads, 3), {}, {}};
  for (std::int32_t id = 0; id < vocabulary->vocab_size(); ++id) tlm.vocabulary.emplace_back(vocabulary->token(id));
  const TempDir dir;
  const auto artifact = elrt::Artifact::open(pack_with(dir, &tlm));
  REQUIRE(artifact.ok());
  auto runtime = elrt::Tlm::create(artifact.value(), 1);
  REQUIRE(runtime.ok());
  std::string text;
  for (int i = 0; i < 12; ++i)
    text += fmt::format("In week {} the council's bridge cost ${},000; who'd pay, Zo\xC3\xAB? ", i, i * 7);
  auto pieces = runtime->wordpiece().encode(text);
  REQUIRE(pieces.ok());
  runtime->wordpiece().mark_question(pieces.value(), {text.size() - 20, text.size()});
  REQUIRE(pieces->tokens.size() > 200);
  const auto proposal = runtime->decide(pieces.value(), {0.5, 0.5});
  const auto scores = runtime->score_words(pieces.value(), {0.5, 0.5});
  REQUIRE(proposal.ok());
  REQUIRE(scores.ok());
  round_matrices_inplace(tlm.model);
  const Outputs exact = toolchain(tlm.model, runtime->wordpiece(), pieces->tokens, pieces->words.size(), {0.5, 0.5});
  // Equal weights, float32 sums in other orders: logits of size 1.
  CHECK(difference(exact.model_level, proposal->model_logits) < 1e-4);
  CHECK(difference(exact.prompt_level, proposal->prompt_logits) < 1e-4);
  CHECK(difference(exact.words, scores.value()) < 1e-4);
}

TEST_CASE("only a BERT body raises the format's version, and says what it is", "[pack][tlm][unit]") {
  const auto packed = [](const Variant& variant) {
    const TempDir dir;
    const PackedTlm tlm = random_tlm(variant, 2);
    return inspect_artifact(pack_with(dir, &tlm), true);
  };
  const auto mobile = packed(kVariants[3]), bert = packed(kBert);
  CHECK(mobile.at("format_version") == 4);
  CHECK(mobile.at("tlm").at("body") == "mobilebert");
  CHECK(bert.at("format_version") == 6);
  CHECK(bert.at("tlm").at("body") == "bert");
  CHECK(bert.at("tlm").at("hidden") == 72);
  CHECK(bert.at("tlm").at("neurons") == 40);
  CHECK_THAT(format_inspection(bert), Catch::Matchers::Contains("(body: bert)"));

  const TempDir dir;
  const PackedTlm tlm = random_tlm(kVariants[3], 2);
  const auto artifact = elrt::Artifact::open(pack_with(dir, &tlm));
  REQUIRE(artifact.ok());
  CHECK_FALSE(artifact->metadata().contains("elastic.tlm.body"));
}

TEST_CASE("an artifact without a tiny language model says so", "[pack][tlm][unit]") {
  const TempDir dir;
  const auto artifact = elrt::Artifact::open(pack_with(dir, nullptr));
  REQUIRE(artifact.ok());
  CHECK(artifact->tlm() == nullptr);
  const auto tlm = elrt::Tlm::create(artifact.value());
  REQUIRE_FALSE(tlm.ok());
  CHECK(tlm.failure().status == elrt::Status::kInvalidArgument);
  CHECK(inspect_artifact(dir / "model.gguf", false).at("tlm").is_null());
}
