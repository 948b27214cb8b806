// Checkpoints: round trip, and what a damaged or foreign one is told.
#include <limits>

#include "support.h"
#include "tlm/dual_head_file.h"
#include "tlm/tlm_checkpoint.h"

using namespace elastify;
using namespace elastify_test;
using Tensors = std::map<std::string, torch::Tensor>;

namespace {

const std::string kQuery = "mobilebert.encoder.layer.1.attention.self.query.weight";

const std::string kBertQuery = "bert.encoder.layer.1.attention.self.query.weight";

void write_good(const fs::path& directory, bool head = true, const TlmConfig& config = tiny_tlm_config(2)) {
  write_tlm_checkpoint(random_tlm_body(config, 3), head ? random_masked_word_head(config, 3, true) : MaskedWordHead{},
                       directory);
}

Tensors read_all(const fs::path& path) {
  Tensors tensors;
  for (const auto& [name, stored] : open_safetensors(path)) tensors[name] = stored.view().clone();
  return tensors;
}

// The message for a checkpoint whose tensors were edited.
void expect_refused(std::initializer_list<const char*> words, const std::function<void(Tensors&)>& edit,
                    const TlmConfig& config = tiny_tlm_config(2)) {
  TempDir folder;
  write_good(folder.path(), true, config);
  Tensors tensors = read_all(folder / "model.safetensors");
  edit(tensors);
  write_safetensors(folder / "model.safetensors", tensors);
  expect_error(ErrorCode::kBadData, words, [&] { read_tlm_checkpoint(folder.path(), torch::kCPU, torch::kFloat32); });
}

}  // namespace

TEST_CASE("an encoder written and read is the same encoder", "[tlm][unit]") {
  const TlmConfig config = GENERATE(from_range(tiny_configs(2)));
  TlmBody body = random_tlm_body(config, 3);
  for (const bool with_rest : {config.kind == TlmBodyKind::kMobileBert, false}) {
    TempDir folder;
    MaskedWordHead head = random_masked_word_head(config, 5, with_rest);
    write_tlm_checkpoint(body, head, folder.path());
    auto [body2, head2, left_out] = read_tlm_checkpoint(folder.path(), torch::kCPU, torch::kFloat32);
    CHECK(body2.config == config);
    CHECK(left_out.empty());
    const auto before = body_slots(body, ""), after = body_slots(body2, "");
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(torch::equal(*before[i].tensor, *after[i].tensor));
    CHECK(torch::equal(head.transform.weight, head2.transform.weight));
    CHECK(head2.rest.defined() == with_rest);
  }
  TempDir folder;
  write_good(folder.path(), false, config);
  CHECK_FALSE(read_tlm_checkpoint(folder.path(), torch::kCPU, torch::kFloat32).masked_words.defined());
}

TEST_CASE("a checkpoint has the names of transformers", "[tlm][unit]") {
  TempDir folder;
  write_good(folder.path());
  const Tensors tensors = read_all(folder / "model.safetensors");
  for (const char* name :
       {"mobilebert.embeddings.word_embeddings.weight", "mobilebert.embeddings.LayerNorm.bias",
        "mobilebert.embeddings.embedding_transformation.weight",
        "mobilebert.encoder.layer.0.bottleneck.input.dense.weight",
        "mobilebert.encoder.layer.0.bottleneck.attention.LayerNorm.weight",
        "mobilebert.encoder.layer.1.attention.output.LayerNorm.bias",
        "mobilebert.encoder.layer.1.ffn.0.intermediate.dense.weight",
        "mobilebert.encoder.layer.1.ffn.0.output.LayerNorm.weight",
        "mobilebert.encoder.layer.1.intermediate.dense.bias", "mobilebert.encoder.layer.1.output.LayerNorm.weight",
        "mobilebert.encoder.layer.1.output.bottleneck.dense.weight", "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.dense.weight", "cls.predictions.bias"}) {
    INFO(name);
    CHECK(tensors.count(name) == 1);
  }
}

TEST_CASE("a damaged encoder is refused with the tensor that is wrong", "[tlm][unit]") {
  expect_refused({"model.safetensors", kQuery.c_str(), "missing"}, [](Tensors& t) { t.erase(kQuery); });
  expect_refused({"cls.predictions.bias", "missing"}, [](Tensors& t) { t.erase("cls.predictions.bias"); });
  expect_refused({kQuery.c_str(), "[8, 8]", "[8, 9]"}, [](Tensors& t) { t[kQuery] = torch::zeros({8, 9}); });
  expect_refused({kQuery.c_str(), "NaN"},
                 [](Tensors& t) { t[kQuery][0][0] = std::numeric_limits<float>::quiet_NaN(); });
  expect_refused({"position_embeddings", "NaN or infinite"}, [](Tensors& t) {
    t["mobilebert.embeddings.position_embeddings.weight"][3][1] = -std::numeric_limits<float>::infinity();
  });
  expect_refused({kQuery.c_str(), "I64"}, [](Tensors& t) { t[kQuery] = torch::zeros({8, 8}, torch::kInt64); });
  expect_refused({"mobilebert.encoder.layer.2.extra", "not part"},
                 [](Tensors& t) { t["mobilebert.encoder.layer.2.extra"] = torch::zeros({1}); });
}

TEST_CASE("an encoder's checkpoint may carry other heads and buffers", "[tlm][unit]") {
  TempDir folder;
  write_good(folder.path());
  Tensors tensors = read_all(folder / "model.safetensors");
  tensors["mobilebert.pooler.dense.weight"] = torch::zeros({16, 16});
  tensors["cls.seq_relationship.weight"] = torch::zeros({2, 16});
  tensors["cls.predictions.decoder.weight"] = torch::zeros({40, 12});
  tensors["mobilebert.embeddings.position_ids"] = torch::arange(16, torch::kInt64).unsqueeze(0);
  write_safetensors(folder / "model.safetensors", tensors);
  const auto left_out = read_tlm_checkpoint(folder.path(), torch::kCPU, torch::kFloat32).left_out;
  CHECK(left_out ==
        std::vector<std::string>{"cls.predictions.decoder", "cls.seq_relationship", "mobilebert.pooler.dense"});
}

TEST_CASE("a BERT's checkpoint has the names of transformers, with or without the model's, new or old", "[tlm][unit]") {
  TempDir folder;
  const TlmConfig config = tiny_bert_config(2);
  write_good(folder.path(), true, config);
  const Tensors tensors = read_all(folder / "model.safetensors");
  // 3 embeddings and their norm, 16 tensors a layer, 5 of the masked-word head.
  CHECK(tensors.size() == 5 + 2 * 16 + 5);
  for (const char* name :
       {"bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight",
        "bert.embeddings.token_type_embeddings.weight", "bert.embeddings.LayerNorm.weight",
        "bert.encoder.layer.0.attention.self.query.weight", "bert.encoder.layer.0.attention.output.dense.bias",
        "bert.encoder.layer.1.attention.output.LayerNorm.bias", "bert.encoder.layer.1.intermediate.dense.weight",
        "bert.encoder.layer.1.output.dense.weight", "bert.encoder.layer.1.output.LayerNorm.weight",
        "cls.predictions.transform.dense.weight", "cls.predictions.transform.LayerNorm.bias", "cls.predictions.bias"}) {
    INFO(name);
    CHECK(tensors.count(name) == 1);
  }
  const auto [body, head, none] = read_tlm_checkpoint(folder.path(), torch::kCPU, torch::kFloat32);
  const TlmBatch batch = random_batch({9, 6}, config.vocab_size, 5);
  torch::NoGradGuard no_grad;
  const torch::Tensor states = tlm_hidden(body, batch);
  const auto renamed = [&](const std::function<std::string(std::string)>& rename) {
    Tensors other;
    for (const auto& [name, tensor] : tensors) other[rename(name)] = tensor;
    write_safetensors(folder / "model.safetensors", other);
    return tlm_hidden(read_tlm_checkpoint(folder.path(), torch::kCPU, torch::kFloat32).body, batch);
  };
  CHECK(torch::equal(renamed([](std::string name) { return name.starts_with("bert.") ? name.substr(5) : name; }),
                     states));
  CHECK(torch::equal(renamed([](std::string name) {
                       for (const auto& [now, old] : {std::pair{"LayerNorm.weight", "LayerNorm.gamma"},
                                                      std::pair{"LayerNorm.bias", "LayerNorm.beta"}}) {
                         if (name.ends_with(now)) name = name.substr(0, name.size() - std::string(now).size()) + old;
                       }
                       return name;
                     }),
                     states));
}

TEST_CASE("a damaged BERT is refused with the tensor that is wrong", "[tlm][unit]") {
  const TlmConfig config = tiny_bert_config(2);
  const auto refused = [&](std::initializer_list<const char*> words, const std::function<void(Tensors&)>& edit) {
    expect_refused(words, edit, config);
  };
  refused({"model.safetensors", kBertQuery.c_str(), "missing"}, [](Tensors& t) { t.erase(kBertQuery); });
  refused({"bert.embeddings.LayerNorm.bias", "missing"}, [](Tensors& t) { t.erase("bert.embeddings.LayerNorm.bias"); });
  refused({kBertQuery.c_str(), "[16, 16]", "[16, 17]"}, [](Tensors& t) { t[kBertQuery] = torch::zeros({16, 17}); });
  refused({"bert.embeddings.position_embeddings.weight", "[16, 16]", "[8, 16]"}, [](Tensors& t) {
    t["bert.embeddings.position_embeddings.weight"] = torch::zeros({8, 16});
  });
  refused({kBertQuery.c_str(), "NaN"},
          [](Tensors& t) { t[kBertQuery][0][0] = std::numeric_limits<float>::quiet_NaN(); });
  refused({kBertQuery.c_str(), "I32"}, [](Tensors& t) { t[kBertQuery] = torch::zeros({16, 16}, torch::kInt32); });
  // Of a model with cross attention, of one with relative positions, of one with more layers.
  for (const char* name :
       {"bert.encoder.layer.0.crossattention.self.query.weight",
        "bert.encoder.layer.1.attention.self.distance_embedding.weight", "bert.encoder.layer.2.output.dense.weight"}) {
    refused({name, "not part", "type bert"}, [&](Tensors& t) { t[name] = torch::zeros({16, 16}); });
  }
  refused({"LayerNorm.gamma", "not part"},
          [](Tensors& t) { t["bert.embeddings.LayerNorm.gamma"] = torch::ones({16}); });
  // One whose config.json says MobileBERT.
  TempDir folder;
  write_good(folder.path(), true, config);
  write_json(folder / "config.json", tlm_config_to_hf(tiny_tlm_config(2)));
  expect_error(ErrorCode::kBadData, {"mobilebert.embeddings.word_embeddings.weight", "missing"},
               [&] { read_tlm_checkpoint(folder.path(), torch::kCPU, torch::kFloat32); });
  // Cut anywhere.
  write_good(folder.path(), true, config);
  const std::string whole = read_bytes(folder / "model.safetensors");
  for (const std::size_t kept :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_bytes(folder / "model.safetensors", whole.substr(0, kept));
    expect_error(ErrorCode::kBadData, {"model.safetensors"},
                 [&] { read_tlm_checkpoint(folder.path(), torch::kCPU, torch::kFloat32); });
  }
}

TEST_CASE("a directory that is no encoder is refused with what is expected", "[tlm][unit]") {
  TempDir folder;
  const auto read = [&] { read_tlm_checkpoint(folder.path(), torch::kCPU, torch::kFloat32); };
  expect_error(ErrorCode::kBadData, {"config.json"}, read);
  write_good(folder.path());
  fs::remove(folder / "model.safetensors");
  expect_error(ErrorCode::kBadData, {"model.safetensors"}, read);
  write_good(folder.path());
  write_json(folder / "config.json", {{"model_type", "roberta"}});
  expect_error(ErrorCode::kBadData, {"model_type", "mobilebert or bert", "roberta"}, read);
  write_good(folder.path());
  write_bytes(folder / "model.safetensors", read_bytes(folder / "model.safetensors").substr(0, 5000));
  expect_error(ErrorCode::kBadData, {"model.safetensors"}, read);
}

TEST_CASE("a dual-head model written and read is the same model", "[tlm][unit]") {
  TempDir folder;
  DualHeadConfig settings = tiny_heads();
  settings.score_layers = 1;
  DualHead model = make_dual_head(random_tlm_body(GENERATE(from_range(tiny_configs())), 3), settings, 7);
  roughen_inplace(dual_head_slots(model), 8);
  CHECK_FALSE(is_dual_head(folder.path()));
  write_dual_head(model, folder.path());
  CHECK(is_dual_head(folder.path()));
  DualHead again = read_dual_head(folder.path(), torch::kCPU, torch::kFloat32);
  CHECK(again.body == model.body);
  CHECK(again.settings.bottom_layers == 2);
  CHECK(again.settings.score_layers == 1);
  CHECK(again.slo.names() == model.slo.names());
  const auto before = dual_head_slots(model), after = dual_head_slots(again);
  REQUIRE(before.size() == after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    CHECK(before[i].name == after[i].name);
    CHECK(torch::equal(*before[i].tensor, *after[i].tensor));
  }
}

TEST_CASE("a damaged dual-head model is refused with what is wrong", "[tlm][unit]") {
  TempDir folder;
  const DualHead model = make_dual_head(random_tlm_body(tiny_tlm_config(), 3), tiny_heads(), 7);
  const auto read = [&] { read_dual_head(folder.path(), torch::kCPU, torch::kFloat32); };
  const auto with_config = [&](const std::function<void(nlohmann::json&)>& edit) {
    write_dual_head(model, folder.path());
    nlohmann::json config = read_json(folder / "config.json");
    edit(config);
    write_json(folder / "config.json", config);
  };
  with_config([](auto& c) { c["model_type"] = "mobilebert"; });
  expect_error(ErrorCode::kBadData, {"model_type", "elastify-dual-head"}, read);
  with_config([](auto& c) { c.erase("heads"); });
  expect_error(ErrorCode::kBadData, {"heads", "missing"}, read);
  with_config([](auto& c) { c["heads"]["bottom_layers"] = 3; });
  expect_error(ErrorCode::kBadData, {"layers"}, read);
  with_config([](auto& c) { c["heads"]["ttft_levels"] = {50, 20}; });
  expect_error(ErrorCode::kBadData, {"ttft_levels", "rising"}, read);
  with_config([](auto& c) { c["heads"]["model_levels"] = {20, 100}; });
  expect_error(ErrorCode::kBadData, {"decision.model_level", "[2, 16]", "[3, 16]"}, read);
  with_config([](auto& c) { c["heads"]["width"] = 3; });
  expect_error(ErrorCode::kBadData, {"width", "unknown"}, read);
  write_dual_head(model, folder.path());
  Tensors tensors = read_all(folder / "model.safetensors");
  tensors["decision.layer.9.extra"] = torch::zeros({1});
  write_safetensors(folder / "model.safetensors", tensors);
  expect_error(ErrorCode::kBadData, {"decision.layer.9.extra", "not part"}, read);
  tensors.erase("decision.layer.9.extra");
  tensors.erase("decision.slo_embeddings.weight");
  write_safetensors(folder / "model.safetensors", tensors);
  expect_error(ErrorCode::kBadData, {"decision.slo_embeddings.weight", "missing"}, read);
}
