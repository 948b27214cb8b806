// Training from scratch: it learns what can be learned, and equal runs give equal bits.
#include <ATen/CPUGeneratorImpl.h>

#include "checkpoint/checkpoint.h"
#include "model/decoder.h"
#include "pretrain/passes.h"
#include "pretrain/recall_documents.h"
#include "pretrain/recall_heads.h"
#include "support.h"
#include "support/expect_error.h"

namespace {

using namespace elastify;
using namespace elastify_test;

// Mean loss over the four texts of write_known_text().
double known_text_loss(const fs::path& checkpoint) {
  const torch::NoGradGuard no_grad;
  const Decoder decoder(load_weights(Checkpoint::open(checkpoint), torch::kCPU, torch::kFloat32));
  double sum = 0;
  for (const char last : {'a', 'a', 'b', 'c'}) {
    const torch::Tensor ids =
        torch::tensor({{std::int64_t{256}, std::int64_t{'x'}, std::int64_t{last}}}, torch::kInt64);
    sum += summed_loss(decoder.logits(ids.narrow(1, 0, 2)), ids.narrow(1, 1, 2)).item<double>();
  }
  return sum / 8;
}

// The first value of `key` in lines of JSON.
double json_line(const std::string& lines, const std::string& key) {
  const std::size_t at = lines.find("\"" + key + "\":");
  REQUIRE(at != std::string::npos);
  return std::stod(lines.substr(at + key.size() + 3));
}

}  // namespace

TEST_CASE("training reaches the entropy of a text that is known by hand, and not less", "[pretrain][unit]") {
  const TempDir dir;
  PretrainConfig config = quick_config(dir);
  config.steps = 300;
  config.weight_decay = 0;
  pretrain(config, dir / "out");
  const double loss = known_text_loss(dir / "out");
  CHECK(loss >= kEntropy - 1e-6);  // no model is better than the source
  CHECK(loss < kEntropy + 0.02);   // what sampling 32 texts a step leaves
}

TEST_CASE("planted heads recall before any training", "[pretrain][unit]") {
  const TempDir dir;
  const elrt::Tokenizer tokenizer = load_byte_tokenizer(dir);
  // The heads look up what stood after a key: lines that come back word by word, the form's default.
  std::vector<WeightedDocument> recall;
  for (std::uint64_t seed = 0; seed < 40; ++seed) recall.push_back(recall_document(tokenizer, RecallForm{}, seed, 512));
  ModelConfig shape;
  shape.vocab_size = 258;
  shape.hidden_size = 128;
  shape.intermediate_size = 32;
  shape.num_layers = 3;
  shape.num_heads = 4;
  shape.num_kv_heads = 2;
  shape.head_dim = 64;
  shape.max_positions = 512;
  shape.rope_theta = 1e5;
  shape.tied_embeddings = true;
  FlatModel model = make_flat_model(shape, 5, torch::kCPU);
  const AnswerFigures plain = measure_answers(Decoder(model.weights), recall, 4096);
  plant_recall_heads(model, 5);
  const AnswerFigures planted = measure_answers(Decoder(model.weights), recall, 4096);
  CHECK(plain.right < 0.02);  // one of 258 bytes, several times over
  CHECK(planted.right > 0.1);
  CHECK(planted.loss < plain.loss - 0.5);
}

TEST_CASE("equal seeds give equal weights, others other weights", "[pretrain][unit]") {
  const TempDir dir;
  PretrainConfig config = quick_config(dir);
  pretrain(config, dir / "a");
  pretrain(config, dir / "b");
  CHECK((read_bytes(dir / "a/model.safetensors") == read_bytes(dir / "b/model.safetensors")));
  config.seed = 2;
  pretrain(config, dir / "c");
  CHECK((read_bytes(dir / "a/model.safetensors") != read_bytes(dir / "c/model.safetensors")));
}

TEST_CASE("a stopped run goes on to the same bits", "[pretrain][unit]") {
  const TempDir dir;
  PretrainConfig config = quick_config(dir);
  config.data.task_bank = ELASTIFY_SOURCE_DIR "/tests/golden/tasks";
  config.batch_tokens = 2048;
  config.data.held_out_contexts = 2;
  pretrain(config, dir / "whole");

  struct Stop {};
  const TaskBank bank = load_task_bank(config.data.task_bank);
  const elrt::Tokenizer tokenizer = load_byte_tokenizer(dir);
  const Corpus corpus(config.data, &bank, tokenizer, 512, 1);
  const PretrainConfig saving = [&] {
    PretrainConfig c = config;
    c.checkpoint_seconds = 0;
    return c;
  }();
  const ModelConfig shape = Checkpoint::open(dir / "whole").config();
  fs::create_directories(dir / "work");
  for (const std::int64_t stop : {5, 9, 0}) {
    FlatModel model = make_flat_model(shape, 1, torch::kCPU);
    plant_recall_heads(model, 1);
    const auto after = [&](std::int64_t step) {
      if (step == stop) throw Stop();
    };
    try {
      run_pretraining({saving, corpus, model, dir / "work", "key", after});
    } catch (const Stop&) {
      continue;
    }
    write_model(model, model_config_to_hf(shape), dir / "work");
  }
  CHECK((read_bytes(dir / "work/model.safetensors") == read_bytes(dir / "whole/model.safetensors")));
}

TEST_CASE("passes side by side give the bits of passes in turn, and of one large pass but for rounding",
          "[pretrain][unit]") {
  const TempDir dir;
  PretrainConfig config = quick_config(dir);
  config.data.task_bank = ELASTIFY_SOURCE_DIR "/tests/golden/tasks";
  config.data.held_out_contexts = 2;
  config.batch_tokens = 512;
  config.passes = 4;
  pretrain(config, dir / "turns");
  config.workers = 3;
  pretrain(config, dir / "side");
  CHECK((read_bytes(dir / "turns/model.safetensors") == read_bytes(dir / "side/model.safetensors")));
}

TEST_CASE("a step's gradient is that of all its passes' tokens, each by its weight", "[pretrain][unit]") {
  // Four texts that are all alike make every batch the same: one pass or four, the mean is the same.
  const TempDir dir;
  PretrainConfig config = quick_config(dir);
  write_bytes(dir / "same.jsonl", "{\"text\": \"xa\"}\n{\"text\": \"xa\"}\n");
  config.data.text = {(dir / "same.jsonl").string()};
  config.steps = 4;
  config.log_every = 1;
  const auto one = pretrain(config, dir / "one");
  config.passes = 4;
  const auto four = pretrain(config, dir / "four");
  CHECK(four.at("train_loss").get<double>() == Approx(one.at("train_loss").get<double>()).epsilon(1e-4));
  // Muon and AdamW do not see a gradient's scale; the logged norm does.
  const auto first_norm = [&](const char* name) {
    return json_line(read_bytes(dir / name / "metrics.jsonl"), "gradient_norm");
  };
  CHECK(first_norm("four") == Approx(first_norm("one")).epsilon(1e-4));
  const auto weights = [&](const char* name) {
    return load_weights(Checkpoint::open(dir / name), torch::kCPU, torch::kFloat32).embedding;
  };
  CHECK(torch::allclose(weights("one"), weights("four"), 1e-4, 1e-6));
}

TEST_CASE("a pass's gradient is that of finite differences", "[pretrain][unit]") {
  const TempDir dir;
  PretrainConfig config = quick_config(dir);
  FlatModel model = make_flat_model(Checkpoint::open(write_byte_tokenizer(dir)).config(), 3, torch::kCPU);
  WeightedDocument document;
  document.ids = {0, 10, 11, 12, 13, 14};
  document.weights = {0, 0.5f, 0.5f, 0.5f, 1, 1};
  const PaddedBatch batch = batch_by_length({document}, 16).at(0);
  const std::vector<Pass> passes = {{batch, {{2, 4}}, {2}}};
  torch::NoGradGuard no_grad;
  for (auto& values : model.values) values.add_(torch::randn(values.sizes(), at::detail::createCPUGenerator(4)), 0.05);
  const auto loss = [&] {
    Passes once(model, config, ProductType::kFloat32);
    torch::AutoGradMode grad(true);
    return once.run(passes, model).at(0).loss;
  };
  loss();
  std::vector<torch::Tensor> direction;
  double slope = 0;
  for (const auto& gradient : model.gradients) {
    direction.push_back(gradient.clone());
    slope += gradient.to(torch::kFloat64).square().sum().item<double>();
  }
  const auto moved = [&](double by) {
    for (std::size_t i = 0; i < direction.size(); ++i) model.values[i].add_(direction[i], by);
    const double value = loss();
    for (std::size_t i = 0; i < direction.size(); ++i) model.values[i].add_(direction[i], -by);
    return value;
  };
  const double step = 1e-3 / std::sqrt(slope);
  // float32: losses of about 10 are known to 1e-6, and differ by about 2e-3 times the slope.
  CHECK((moved(step) - moved(-step)) / (2 * step) == Approx(slope).epsilon(0.01));
}

TEST_CASE("training goes on from a checkpoint, and may end before its schedule", "[pretrain][unit]") {
  const TempDir dir;
  PretrainConfig config = quick_config(dir);
  config.steps = 300;
  config.stop_after = 100;
  CHECK(pretrain(config, dir / "early").at("steps") == 100);
  config.init = (dir / "early").string();
  config.tokenizer.clear();  // that of the checkpoint
  config.stop_after = 1;
  config.learning_rate = 1e-9;
  pretrain(config, dir / "again");
  CHECK(known_text_loss(dir / "again") == Approx(known_text_loss(dir / "early")).epsilon(1e-4));
  config.model.rope_theta = 500;
  expect_error(ErrorCode::kUsage, {"init", "rope_theta 500", "10000"}, [&] { pretrain(config, dir / "turned"); });
  config.model.rope_theta = 10000;
  config.model.hidden_size = 32;
  config.model.head_dim = 4;
  expect_error(ErrorCode::kUsage, {"init", "shape"}, [&] { pretrain(config, dir / "wider"); });
}

TEST_CASE("a finished folder is left alone, a foreign one is not touched", "[pretrain][unit]") {
  const TempDir dir;
  const PretrainConfig config = quick_config(dir);
  CHECK_FALSE(pretrain(config, dir / "out").contains("up_to_date"));
  CHECK(pretrain(config, dir / "out").at("up_to_date") == true);
  write_bytes(dir / "bytes/notes.txt", "mine");
  expect_error(ErrorCode::kUsage, {"bytes", "name another folder"}, [&] { pretrain(config, dir / "bytes"); });
  CHECK(read_bytes(dir / "bytes/notes.txt") == "mine");
}

TEST_CASE("settings that do not fit together are refused at once", "[pretrain][unit]") {
  const TempDir dir;
  PretrainConfig config = quick_config(dir);
  config.model.num_kv_heads = 3;
  config.model.hidden_size = 18;
  expect_error(ErrorCode::kUsage, {"2 problems", "num_kv_heads", "hidden_size"},
               [&] { pretrain(config, dir / "out"); });
  config = quick_config(dir);
  config.tokenizer = (dir / "nowhere").string();
  expect_error(ErrorCode::kUsage, {"nowhere", "tokenizer.json"}, [&] { pretrain(config, dir / "out"); });
  config = quick_config(dir);
  config.tokenizer.clear();
  config.model.vocab_size = 4096;
  expect_error(ErrorCode::kBadData, {"4096"},
               [&] { pretrain(config, dir / "out"); });  // four short texts hold no 4096 tokens
}

TEST_CASE("the checkpoint is one that the other stages read", "[pretrain][unit]") {
  const TempDir dir;
  PretrainConfig config = quick_config(dir);
  config.dtype = "bfloat16";
  pretrain(config, dir / "out");
  const Checkpoint checkpoint = Checkpoint::open(dir / "out");
  CHECK(checkpoint.config().num_kv_heads == 2);
  CHECK(checkpoint.tensor(kEmbeddingName).scalar_type() == torch::kBFloat16);
  CHECK(elrt::Tokenizer::create(import_tokenizer(dir / "out", checkpoint.config().vocab_size)));
  for (const char* file : {"pretrain.json", "metrics.jsonl", "loss.svg"}) CHECK(fs::exists(dir / "out" / file));
}
