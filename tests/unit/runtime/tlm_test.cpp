// The tiny language model in an artifact: what the runtime refuses, and what its two heads promise. That both compute
// what the toolchain computes is tested in tests/unit/pack/pack_tlm_test.cpp.
#include "elrt/tlm.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>

#include "unit/runtime/tiny_tlm.h"
#include "unit/runtime/tiny_tokenizer.h"

using namespace elastify_test;
using elrt::Artifact;
using elrt::Tlm;
using elrt::WordPieces;

namespace {

GgufBuilder tiny_artifact(TinyBody body = TinyBody::kMobileBert) {
  GgufBuilder file = tiny_artifact_with_tokenizer();
  add_tiny_tlm(file, 0, 0, 1, body);
  return file;
}

// Keeps its file as long as it lives.
struct Opened {
  TemporaryFile file;
  Artifact artifact;
  Tlm tlm;

  static Tlm open(const Artifact& artifact, std::uint32_t threads) {
    auto made = Tlm::create(artifact, threads);
    if (!made) FAIL(made.failure().message);
    return std::move(made).value();
  }
  explicit Opened(std::uint32_t threads = 1, TinyBody body = TinyBody::kMobileBert)
      : file(tiny_artifact(body).build()),
        artifact(std::move(Artifact::open(file.path())).value()),
        tlm(open(artifact, threads)) {}

  WordPieces pieces(const std::string& text) const { return tlm.wordpiece().encode(text).value(); }
};

}  // namespace

TEST_CASE("an artifact whose tiny language model is damaged does not open", "[runtime][tlm][unit]") {
  const std::string key = "elastic.tlm.";
  struct Damage {
    std::function<void(GgufBuilder&)> edit;
    std::string message;
  };
  const auto set = [&](const char* name, elrt::gguf::Value value) {
    return [=](GgufBuilder& file) { file.metadata[key + name] = value; };
  };
  const auto erase = [&](const char* name) { return [=](GgufBuilder& file) { file.metadata.erase(key + name); }; };
  const std::vector<Damage> damages = {
      {erase("embedding_size"), "embedding_size"},
      {set("embedding_size", 3.0f), "embedding_size"},
      {set("hidden_size", std::uint32_t{0}), "hidden_size"},
      {set("hidden_size", std::uint32_t{0xFFFFFFFF}), "hidden_size"},
      {set("inner_size", std::uint32_t{16}), "tlm."},
      {set("head_count", std::uint32_t{3}), "head_count"},
      {set("positions", std::uint32_t{4}), "positions"},
      {set("positions", std::uint32_t{25}), "tlm.position_embd.weight"},
      {set("bottom_layers", std::uint32_t{1000}), "tlm.bottom.1."},
      {set("decision_layers", std::uint32_t{0}), "decision_layers"},
      {set("bottleneck", std::uint32_t{1}), "bottleneck"},
      {set("bottleneck", false), "inner_size"},
      {set("shared_key_query", false), "shared_key_query"},
      {set("layer_norm_epsilon", std::numeric_limits<float>::quiet_NaN()), "layer_norm_epsilon"},
      {set("model_levels", std::vector<std::uint32_t>{}), "model_levels"},
      {set("model_levels", std::vector<std::uint32_t>{20, 20, 100}), "model_levels"},
      {set("model_levels", std::vector<std::uint32_t>{20, 100}), "tlm.model_level.bias"},
      {set("prompt_levels", std::vector<std::uint32_t>{50, 101}), "prompt_levels"},
      {set("ttft_levels", std::vector<std::uint32_t>{50}), "tlm.slo_embd.weight"},
      {set("vocabulary", std::vector<std::string>{}), "vocabulary"},
      {set("vocabulary", std::vector<std::string>{"[PAD]"}), "tlm.token_embd.weight"},
      {set("accuracy", std::vector<float>{0.5f}), "accuracy"},
      {[](GgufBuilder& file) { file.tensor("tlm.score.bias").name = "tlm.other"; }, "tlm.score.bias"},
      {[](GgufBuilder& file) { file.tensor("tlm.type_embd.weight").dims = {16}; }, "tlm.type_embd.weight"},
      {[](GgufBuilder& file) {
         file.tensor("tlm.score.weight").dims = {2, 16};
       },
       "tlm.score.weight"},
      {[](GgufBuilder& file) {
         GgufTensor& tensor = file.tensor("tlm.embd_norm.weight");
         tensor.type = 1, tensor.bytes.resize(32);
       },
       "tlm.embd_norm.weight"},
      {[](GgufBuilder& file) { file.metadata["elastic.tlm.head_weight"] = 1.0f; }, "lacks shares"},
      {[](GgufBuilder& file) {
         file.metadata["elastic.tlm.head_weight"] = 1.0f;
         file.metadata["elastic.tlm.accuracy"] = std::vector<float>{0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 1.0f};
       },
       "lacks shares"},
      {[](GgufBuilder& file) { file.metadata["elastic.tlm.head_weight"] = -1.0f; }, "elastic.tlm.head_weight"},
      {[](GgufBuilder& file) { file.metadata["elastic.tlm.head_weight"] = std::string("all"); },
       "elastic.tlm.head_weight"},
      {[](GgufBuilder& file) { file.tensor("tlm.score.weight").type = kBF16; }, "is BF16, expected F16 or F32"},
      {[](GgufBuilder& file) { file.tensor("tlm.token_embd.weight").type = kBF16; }, "is BF16, expected F16 or F32"},
  };
  for (const Damage& damage : damages) {
    GgufBuilder file = tiny_artifact();
    damage.edit(file);
    const TemporaryFile damaged(file.build());
    const auto opened = Artifact::open(damaged.path());
    INFO(damage.message);
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.failure().status == elrt::Status::kBadData);
    CHECK_THAT(opened.failure().message, Catch::Matchers::Contains(damage.message));
  }
  GgufBuilder file = tiny_artifact();
  auto& vocabulary = std::get<std::vector<std::string>>(file.metadata[key + "vocabulary"]);
  vocabulary[2] = "x";
  const TemporaryFile without(file.build());
  const auto opened = Artifact::open(without.path());
  REQUIRE(opened.ok());  // vocabularies are read when they are needed
  CHECK(Tlm::create(opened.value()).failure().status == elrt::Status::kBadData);
}

TEST_CASE("an artifact whose BERT body contradicts itself does not open", "[runtime][tlm][unit]") {
  const std::string key = "elastic.tlm.";
  const TemporaryFile good(tiny_artifact(TinyBody::kBert).build());
  const auto fine = Artifact::open(good.path());
  REQUIRE(fine.ok());
  CHECK(fine->tlm()->body == elrt::TlmBodyKind::kBert);
  const std::vector<std::pair<std::string, elrt::gguf::Value>> damages = {
      {"body", std::string("roberta")},
      {"body", std::uint32_t{1}},
      {"bottleneck", true},
      {"shared_key_query", true},
      {"bottleneck_attention", true},
      {"trigram_input", true},
      {"layer_norm", false},
      {"feed_forward_count", std::uint32_t{2}},
      {"embedding_size", std::uint32_t{8}},
      {"inner_size", std::uint32_t{8}},
      {"head_count", std::uint32_t{3}},
  };
  for (const auto& [name, value] : damages) {
    GgufBuilder file = tiny_artifact(TinyBody::kBert);
    file.metadata[key + name] = value;
    const TemporaryFile damaged(file.build());
    const auto opened = Artifact::open(damaged.path());
    INFO(name);
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.failure().status == elrt::Status::kBadData);
    CHECK_THAT(opened.failure().message, Catch::Matchers::Contains(key + name));
  }
  GgufBuilder nameless = tiny_artifact(TinyBody::kBert);  // a MobileBERT of this shape would have other activations
  nameless.metadata.erase(key + "body");
  const TemporaryFile other(nameless.build());
  const auto opened = Artifact::open(other.path());
  REQUIRE(opened.ok());
  const auto logits = [](const Artifact& artifact) {
    Tlm tlm = Opened::open(artifact, 1);
    return tlm.decide(tlm.wordpiece().encode("ab ca bc").value(), {})->model_logits;
  };
  CHECK(logits(opened.value()) != logits(fine.value()));
}

TEST_CASE("matrices in float32 give what the same values in float16 give", "[runtime][tlm][unit]") {
  const TinyBody body = GENERATE(TinyBody::kMobileBert, TinyBody::kBert);
  Opened half(1, body);
  GgufBuilder file = tiny_artifact(body);
  std::size_t widened = 0;
  for (GgufTensor& tensor : file.tensors) {
    if (!tensor.name.starts_with("tlm.") || tensor.type != 1) continue;
    std::vector<float> values;
    for (std::size_t i = 0; i < tensor.bytes.size(); i += 2)
      values.push_back(
          float_from_half_bits(static_cast<std::uint16_t>(tensor.bytes[i] | unsigned{tensor.bytes[i + 1]} << 8)));
    tensor.type = 0, tensor.bytes = f32_bytes(values);
    ++widened;
  }
  CHECK(widened == (body == TinyBody::kBert ? 25 : 41));
  const TemporaryFile wide(file.build());
  const auto artifact = Artifact::open(wide.path());
  REQUIRE(artifact.ok());
  Tlm tlm = Opened::open(artifact.value(), 1);
  const WordPieces pieces = half.pieces("ab ca bc abc c");
  // Products read halves as floats: the same operations in the same order.
  CHECK(tlm.decide(pieces, {})->model_logits == half.tlm.decide(pieces, {})->model_logits);
  CHECK(tlm.score_words(pieces, {}).value() == half.tlm.score_words(pieces, {}).value());
}

TEST_CASE("weights that are not finite are an error, not an answer", "[runtime][tlm][unit]") {
  for (const char* name : {"tlm.bottom.0.in.bias", "tlm.score.bias", "tlm.prompt_level.bias"}) {
    GgufBuilder file = tiny_artifact();
    GgufTensor& tensor = file.tensor(name);
    std::vector<float> values(tensor.dims[0], std::numeric_limits<float>::quiet_NaN());
    tensor.bytes = f32_bytes(values);
    const TemporaryFile damaged(file.build());
    const auto artifact = Artifact::open(damaged.path());
    REQUIRE(artifact.ok());
    auto tlm = Tlm::create(artifact.value(), 1);
    REQUIRE(tlm.ok());
    const auto pieces = tlm->wordpiece().encode("ab c").value();
    const bool decides = std::string(name) == "tlm.score.bias", scores = std::string(name) == "tlm.prompt_level.bias";
    const auto decided = tlm->decide(pieces, {});
    const auto scored = tlm->score_words(pieces, {});
    CHECK(decided.ok() == decides);
    CHECK(scored.ok() == scores);
    if (!decides) CHECK(decided.failure().status == elrt::Status::kBadData);
    if (!scores) CHECK(scored.failure().status == elrt::Status::kBadData);
  }
}

TEST_CASE("the SLO tokens change what the decision-head computes", "[runtime][tlm][unit]") {
  Opened opened(1, GENERATE(TinyBody::kMobileBert, TinyBody::kBert));
  const WordPieces pieces = opened.pieces("ab ca bc");
  const auto logits = [&](elrt::SloRatios slo) { return opened.tlm.decide(pieces, slo)->model_logits; };
  const auto strict = logits({0.2, 0.5});
  CHECK(strict != logits({0.5, 0.5}));
  CHECK(strict != logits({0.2, 1}));
  CHECK(strict == logits({0.1, 0.7}));  // below the lowest the lowest, between two the stricter
  CHECK(strict == logits({0.49, 0.5}));
  CHECK(logits({0.5, 0.5}) != logits({1, 0.5}));
  CHECK(logits({1, 1}) == logits({7, 3}));
  for (const double wrong : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(opened.tlm.decide(pieces, {wrong, 1}).failure().status == elrt::Status::kInvalidArgument);
    CHECK(opened.tlm.score_words(pieces, {1, wrong}).failure().status == elrt::Status::kInvalidArgument);
  }
}

TEST_CASE("scores do not depend on threads, nor on whether the bottom layers' states were there",
          "[runtime][tlm][unit]") {
  const TinyBody body = GENERATE(TinyBody::kMobileBert, TinyBody::kBert);
  Opened one(1, body), three(3, body);
  for (const std::string text :
       {"", "a", "ab ca bc", "abcabc \xC3\x9F c", "a b c a b c a b c a b c a b c a b c a b c a b c"}) {
    const WordPieces pieces = one.pieces(text);
    const auto fresh = one.tlm.score_words(pieces, {0.5, 0.5});
    REQUIRE(fresh.ok());
    const auto decided = three.tlm.decide(pieces, {0.5, 0.5});
    REQUIRE(decided.ok());
    const auto after = three.tlm.score_words(pieces, {0.5, 0.5});
    CHECK(after.value() == fresh.value());
    CHECK(one.tlm.decide(pieces, {0.5, 0.5})->model_logits == decided->model_logits);
    CHECK(fresh->size() == pieces.words.size());
    for (const float score : fresh.value()) CHECK((score >= 0 && score <= 1));
  }
}

TEST_CASE("both heads see which words the question names", "[runtime][tlm][unit]") {
  Opened opened(1, GENERATE(TinyBody::kMobileBert, TinyBody::kBert));
  WordPieces pieces = opened.pieces("ab c ab?");
  const auto plain = opened.tlm.decide(pieces, {}).value();
  const auto plain_scores = opened.tlm.score_words(pieces, {}).value();
  opened.tlm.wordpiece().mark_question(pieces, {5, 8});
  const auto marked = opened.tlm.decide(pieces, {}).value();  // the states of the row before must not serve
  CHECK(marked.model_logits != plain.model_logits);
  CHECK(opened.tlm.score_words(pieces, {}).value() != plain_scores);
}

TEST_CASE("pieces of another vocabulary are refused", "[runtime][tlm][unit]") {
  Opened opened;
  WordPieces pieces = opened.pieces("ab");
  for (const std::int32_t id : {-1, 12, 1 << 30}) {  // 12 would be an SLO token
    pieces.tokens[0].id = id;
    CHECK(opened.tlm.decide(pieces, {}).failure().status == elrt::Status::kInvalidArgument);
    CHECK(opened.tlm.score_words(pieces, {}).failure().status == elrt::Status::kInvalidArgument);
  }
  pieces = opened.pieces("ab");
  pieces.tokens[0].word = 1;
  CHECK(opened.tlm.decide(pieces, {}).failure().status == elrt::Status::kInvalidArgument);
  pieces = opened.pieces("ab");
  pieces.tokens[0].segment = 2;
  CHECK(opened.tlm.decide(pieces, {}).failure().status == elrt::Status::kInvalidArgument);
}

TEST_CASE("a long prompt's decision reads its first and its last pieces", "[runtime][tlm][unit]") {
  std::vector<elrt::WordPieceToken> pieces;
  for (std::int32_t i = 0; i < 10; ++i) pieces.push_back({i, {}, static_cast<std::size_t>(i)});
  const auto ids = [&](std::size_t room) {
    std::vector<std::int32_t> found;
    for (const auto& piece : elrt::decision_pieces(pieces, room)) found.push_back(piece.id);
    return found;
  };
  CHECK(ids(10).size() == 10);
  CHECK(ids(5) == std::vector<std::int32_t>{0, 1, 2, 8, 9});
  CHECK(ids(4) == std::vector<std::int32_t>{0, 1, 8, 9});
  CHECK(ids(1) == std::vector<std::int32_t>{0});
}
