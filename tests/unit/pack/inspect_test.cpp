// What a checkpoint says of itself before anything is built from it.
#include "pack/inspect.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include "checkpoint/checkpoint.h"
#include "checkpoint/random_checkpoint.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::TempDir;
using nlohmann::json;

const fs::path kGoldens = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/models";

}  // namespace

TEST_CASE("a Hugging Face folder is inspected: architecture, units, features, what it lacks", "[pack][unit]") {
  const json summary = inspect(kGoldens / "qwen2_bias_tied_bf16", true);
  const ModelConfig config = Checkpoint::open(kGoldens / "qwen2_bias_tied_bf16").config();
  CHECK(summary.at("kind") == "checkpoint");
  CHECK(summary.at("architecture") == "qwen2");
  CHECK(summary.at("shape").at("kv_groups") == config.num_kv_heads);
  CHECK(summary.at("shape").at("neurons") == config.intermediate_size);
  CHECK(summary.at("features").at("qkv_bias") == true);
  CHECK(summary.at("features").at("tied_embeddings") == true);
  CHECK(summary.at("verified") == true);
  CHECK(summary.at("tokenizer").contains("problem"));  // the golden folder has none
  const std::string text = format_summary(summary);
  for (const char* word : {"qwen2 checkpoint", "KV groups", "biases of q, k and v", "no tokenizer"})
    CHECK_THAT(text, Catch::Matchers::Contains(word));
}

TEST_CASE("an inspected checkpoint names its tokenizer, its template and what an import ignores", "[pack][unit]") {
  const TempDir dir;
  json shape = {{"model_type", "llama"},
                {"vocab_size", 260},
                {"hidden_size", 8},
                {"intermediate_size", 12},
                {"num_hidden_layers", 1},
                {"num_attention_heads", 2},
                {"max_position_embeddings", 16},
                {"rope_scaling", {{"rope_type", "linear"}, {"factor", 4.0}}}};
  write_random_checkpoint(model_config_from_hf(shape, "test"), 1, dir / "m");
  json config = read_json(dir / "m" / "config.json");
  config["logit_scale"] = 2;
  write_json(dir / "m" / "config.json", config);
  json names = read_json(dir / "m" / "tokenizer_config.json");
  names["chat_template"] = "{{ messages }}";
  write_json(dir / "m" / "tokenizer_config.json", names);
  for (const fs::path& path : {dir / "m", dir / "m/config.json", dir / "m/model.safetensors"}) {
    const json summary = inspect(path, false);
    CHECK(summary.at("file") == (dir / "m").string());
    CHECK(summary.at("tokens") == 258);
    CHECK(summary.at("tokenizer").at("bos") == 256);
    CHECK(summary.at("tokenizer").at("chat_template") == 14);
    CHECK_THAT(summary.at("ignored").dump(), Catch::Matchers::Contains("logit_scale"));
    const std::string text = format_summary(summary);
    for (const char* word : {"tokenizer of 258", "chat template of 14 bytes", "note: ", "logit_scale", "divided by 4"})
      CHECK_THAT(text, Catch::Matchers::Contains(word));
  }
}

TEST_CASE("a model in GGUF that is no artifact is inspected as the checkpoint that it is", "[pack][golden]") {
  const fs::path gguf = kGoldens.parent_path() / "gguf";
  const json summary = inspect(gguf / "qwen2_bias_tied_bf16.gguf", true);
  CHECK(summary.at("kind") == "checkpoint");
  CHECK(summary.at("weights") == inspect(kGoldens / "qwen2_bias_tied_bf16", false).at("weights"));
  CHECK(summary.at("types") == json{{"BF16", 15}, {"F32", 11}});
  CHECK_THAT(format_summary(summary), Catch::Matchers::Contains("qwen2 checkpoint in BF16 (15), F32 (11)"));
  // One that holds a tokenizer alone lacks all else, and says what first.
  expect_error(ErrorCode::kBadData, {"tokenizer_qwen2.gguf", "embedding_length is missing"},
               [&] { inspect(gguf / "tokenizer_qwen2.gguf", false); });
}

TEST_CASE("llama2.c files are inspected too, other files are told what they are", "[pack][unit]") {
  CHECK(inspect(kGoldens / "llama2c_v0_tied/model.bin", false).at("architecture") == "llama");
  const TempDir dir;
  expect_error(ErrorCode::kBadData, {"nothing"}, [&] { inspect(dir / "nothing", false); });
  elastify_test::write_bytes(dir / "m.pt", "PK\3\4 ...............");
  expect_error(ErrorCode::kBadData, {"m.pt", "PyTorch"}, [&] { inspect(dir / "m.pt", false); });
  elastify_test::write_bytes(dir / "m.gguf", "not a gguf file at all, but named like one");
  expect_error(ErrorCode::kBadData, {"m.gguf", "GGUF"}, [&] { inspect(dir / "m.gguf", false); });
}
