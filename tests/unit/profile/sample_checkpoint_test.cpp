// A trained model: its first-order terms cancel, which random weights do not show.
#include "profile/check.h"
#include "rows.h"
#include "support/skip.h"

#undef CHECK
#include <catch2/catch.hpp>

using namespace elastify;
using namespace elastify_test;

TEST_CASE("importance ranks the units of stories260K as exact ablation does", "[profile][slow]") {
  if (!have_shared("models/llama2c-stories260K/stories260K.bin")) return;
  const Checkpoint checkpoint = Checkpoint::open(shared_dir() / "models/llama2c-stories260K");
  const Decoder decoder(load_weights(checkpoint, torch::kCPU, torch::kFloat32));
  const TokenRows rows = sampled_rows(decoder, 16, 128, 1, 3);
  ProfileConfig config;
  config.check_units = 12;
  config.check_tokens = 2048;
  const std::vector<UnitRef> units = units_to_check(decoder.config(), config);
  REQUIRE(units.size() == 5 * 12 + 5 * 4);
  const AblationResult exact = ablate_units(decoder, rows, units);
  const auto check = [&](const std::string& method) {
    config.method = method;
    const RankCheck found = check_ranks(profile_units(decoder, rows, config, 1).scores, units, exact.loss_change);
    UNSCOPED_INFO(method << ": neurons " << found.mean_neurons() << ", KV groups " << found.kv_groups);
    return found;
  };
  const RankCheck fisher = check("fisher"), taylor = check("taylor"), magnitude = check("magnitude");
  CHECK(fisher.mean_neurons() > 0.8);
  CHECK(fisher.kv_groups > 0.7);
  CHECK(taylor.mean_neurons() < fisher.mean_neurons());
  CHECK(magnitude.mean_neurons() < fisher.mean_neurons());
}
