// The tokens that end a text survive every stage, wherever a checkpoint names them.
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <elrt/artifact.hpp>
#include <elrt/tokenizer.hpp>

#include "cli/run_command.h"

using elastify_test::Outcome;
using elastify_test::read_bytes;
using elastify_test::run_command;
using elastify_test::TempDir;
using elastify_test::write_bytes;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const char* const kShape =
    R"({"model_type": "llama", "vocab_size": 260, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "tie_word_embeddings": true, "torch_dtype": "float32"})";
const char* const kSettings =
    R"({"seed": 1, "profile": {"seq": 32}, "reorder": {"neuron_multiple": 8},
        "finetune": {"batch_rows": 2, "seq": 32, "steps": 2, "warmup_steps": 1, "dropout": 0}, "pack": {"adapters": false}})";

// A random checkpoint whose tokenizer_config.json names no end of text (its token 257 is "</s>").
void make_checkpoint(const TempDir& dir, const json& config_end, const json& generation_end) {
  write_bytes(dir / "shape.json", kShape);
  const fs::path model = dir / "model";
  const Outcome made = run_command("elastify", "random " + (dir / "shape.json").string() + " --out " + model.string());
  INFO(made.err);
  REQUIRE(made.status == 0);
  write_bytes(model / "tokenizer_config.json", R"({"bos_token": "<s>"})");
  json config = json::parse(read_bytes(model / "config.json"));
  config["eos_token_id"] = config_end;
  write_bytes(model / "config.json", config.dump());
  if (!generation_end.is_null())
    write_bytes(model / "generation_config.json", json{{"eos_token_id", generation_end}}.dump());
  std::string text;
  for (int i = 0; i < 40; ++i) text += "text number " + std::to_string(i) + " of a few words\n<|endoftext|>\n";
  write_bytes(dir / "text.txt", text);
  write_bytes(dir / "settings.json", kSettings);
}

// Builds, with `more` settings; gives the artifact's tokenizer's eos and further ends of text.
std::vector<std::int32_t> ends_after_build(const TempDir& dir, const std::string& more = "") {
  const fs::path run = dir / "run";
  const Outcome outcome =
      run_command("elastify", "build " + (dir / "settings.json").string() + " --run-dir " + run.string() +
                                  " --set checkpoint=" + (dir / "model").string() + " --set 'data.recovery=[\"" +
                                  (dir / "text.txt").string() + "\"]' " + more);
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const auto artifact = elrt::Artifact::open((run / "model.gguf").string());
  REQUIRE(artifact.ok());
  const auto tokenizer = artifact->tokenizer();
  REQUIRE(tokenizer.ok());
  std::vector<std::int32_t> ends{tokenizer.value()->eos_id()};
  for (const std::int32_t id : tokenizer.value()->spec().stop_ids) ends.push_back(id);
  return ends;
}

json reordered_end(const TempDir& dir) {
  return json::parse(read_bytes(dir / "run" / "reordered" / "config.json")).at("eos_token_id");
}

}  // namespace

TEST_CASE("an end of text that only config.json names reaches the artifact", "[cli]") {
  const TempDir dir;
  make_checkpoint(dir, 257, nullptr);
  CHECK(ends_after_build(dir) == std::vector<std::int32_t>{257});
  CHECK(reordered_end(dir) == 257);
}

TEST_CASE("so do a list of them and generation_config.json's", "[cli]") {
  const TempDir dir;
  make_checkpoint(dir, {257, 65}, {257, 66});
  CHECK(ends_after_build(dir) == std::vector<std::int32_t>{257, 66, 65});
  CHECK(reordered_end(dir) == json({257, 66, 65}));
}

TEST_CASE("a tokenizer from elsewhere takes the checkpoint's ends of text", "[cli]") {
  const TempDir dir;
  make_checkpoint(dir, {257, 65}, nullptr);
  fs::create_directory(dir / "tokenizer");
  fs::rename(dir / "model" / "tokenizer.json", dir / "tokenizer" / "tokenizer.json");
  CHECK(ends_after_build(dir, "--set tokenizer=" + (dir / "tokenizer" / "tokenizer.json").string()) ==
        std::vector<std::int32_t>{257, 65});
  CHECK(reordered_end(dir) == json({257, 65}));
}
