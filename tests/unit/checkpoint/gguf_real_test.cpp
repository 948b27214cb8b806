// Real models in GGUF next to the Hugging Face folders that transformers made of them.
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/torch.h"
#include "checkpoint/checkpoint.h"
#include "model/decoder.h"
#include "support/skip.h"
#include "tokenizer/import.h"

namespace {

using namespace elastify;

// Texts whose ids depend on how digits, spaces, marks, cases, contractions and line ends are split.
std::vector<std::string> awkward_texts() {
  const fs::path file = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/tokenizer/qwen2/cases.json";
  std::vector<std::string> texts;
  for (const auto& example : read_json(file).at("cases")) texts.push_back(example.at("text").get<std::string>());
  for (const char* more : {"it's 12345  !!", "<|im_start|>user\nHi<|im_end|>\n", "<tool_call>{\"a\": 1}</tool_call>"})
    texts.emplace_back(more);
  return texts;
}

void check_tokenizers(const fs::path& gguf, const fs::path& folder) {
  const auto from_gguf = elrt::Tokenizer::create(import_tokenizer(gguf)).value();
  const auto from_folder = elrt::Tokenizer::create(import_tokenizer(folder)).value();
  for (const bool special : {false, true}) {
    for (const std::string& text : awkward_texts()) {
      INFO(nlohmann::json(text).dump());
      const elrt::EncodeOptions options{.add_bos = true, .parse_special = special};
      const auto ids = from_gguf.encode(text, options).value();
      CHECK(ids == from_folder.encode(text, options).value());
      CHECK(from_gguf.decode(ids) == from_folder.decode(ids));
    }
  }
  CHECK(from_gguf.bos_id() == from_folder.bos_id());
  CHECK(from_gguf.eos_id() == from_folder.eos_id());
}

void check_models(const fs::path& gguf, const fs::path& folder) {
  const Checkpoint a = Checkpoint::open(gguf), b = Checkpoint::open(folder);
  auto config = model_config_to_hf(a.config());
  CHECK(std::abs(config["rms_norm_eps"].get<double>() / b.config().rms_norm_eps - 1) < 1e-7);
  config["rms_norm_eps"] = b.config().rms_norm_eps;
  CHECK(config == model_config_to_hf(b.config()));
  for (const auto& [name, shape] : expected_tensors(a.config())) {
    INFO(name);
    CHECK(torch::equal(a.finite_tensor(name).to(torch::kFloat32), b.tensor(name).to(torch::kFloat32)));
    a.release(name), b.release(name);
  }
}

}  // namespace

TEST_CASE("real models are the same from GGUF as from the folder that transformers makes of it", "[io][real]") {
  struct Pair {
    const char *gguf, *folder;
  };
  const char* root = std::getenv("ELASTIFY_REAL_MODELS");
  for (const Pair& pair : {Pair{"SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2"},
                           Pair{"Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf", "qwen05"}}) {
    const fs::path gguf = fs::path(root == nullptr ? "" : root) / pair.gguf,
                   folder = fs::path(root == nullptr ? "" : root) / pair.folder;
    if (root == nullptr || !fs::exists(gguf) || !fs::exists(folder)) {
      elastify_test::skip_case(std::string("needs ") + pair.gguf + " and " + pair.folder +
                               " in the folder that ELASTIFY_REAL_MODELS names");
      continue;
    }
    INFO(pair.gguf);
    check_tokenizers(gguf, folder);
    check_models(gguf, folder);
  }
}
