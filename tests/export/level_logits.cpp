// level_logits RUN_DIR LEVEL adapter|plain TOKEN...: the logits of a run directory's level after every token, as a JSON
// array of arrays. The toolchain's own forward pass over the level's slice, in float64: what scripts/check_export
// compares other engines with. (The runtime's equality with it is held by tests/unit/pack.)
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "export/level_source.h"
#include "model/decoder.h"
#include "reorder/plan.h"

int main(int argc, char** argv) {
  using namespace elastify;
  if (argc < 5) return std::cerr << "usage: level_logits RUN_DIR LEVEL adapter|plain TOKEN...\n", 2;
  try {
    const torch::NoGradGuard no_grad;
    const std::int64_t level = std::atoll(argv[2]);
    const auto source = open_level(argv[1], level);
    const LevelFacts& facts = source->facts();
    const Checkpoint checkpoint = Checkpoint::open(fs::path(argv[1]) / "reordered");
    const Decoder decoder(slice_weights(load_weights(checkpoint, torch::kCPU, torch::kFloat64), facts.widths));
    ForwardOptions options;
    if (facts.adapter && std::string(argv[3]) == "adapter") options.adapter = &*facts.adapter;
    std::vector<std::int64_t> tokens;
    for (int i = 4; i < argc; ++i) tokens.push_back(std::atoll(argv[i]));
    const torch::Tensor logits =
        decoder.logits(torch::tensor(tokens, torch::kInt64).unsqueeze(0), options)[0].to(torch::kFloat64).contiguous();
    nlohmann::json rows = nlohmann::json::array();
    for (std::int64_t row = 0; row < logits.size(0); ++row) {
      const auto* values = logits[row].data_ptr<double>();
      rows.push_back(std::vector<double>(values, values + logits.size(1)));
    }
    std::cout << rows.dump() << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
