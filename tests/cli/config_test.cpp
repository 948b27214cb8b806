// Every shipped configuration loads, and says how to run it.
#include "pipeline/pipeline_config.h"
#include "pretrain/pretrain_config.h"
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

using namespace elastify;

TEST_CASE("every shipped configuration loads and carries its command", "[cli][unit]") {
  int seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(ELASTIFY_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() != ".json") continue;
    INFO(entry.path());
    const json document = read_json(entry.path());
    REQUIRE(document.contains("about"));
    REQUIRE_THAT(document.at("about").get<std::string>(), Catch::Matchers::Contains(entry.path().filename().string()));
    if (document.contains("model_type"))
      REQUIRE_NOTHROW(model_config_from_hf(document, entry.path().string()));
    else if (document.contains("model"))
      REQUIRE_NOTHROW(load_pretrain_config(entry.path(), {}));
    else
      REQUIRE_NOTHROW(load_pipeline_config(entry.path(), {"checkpoint=x"}));
    ++seen;
  }
  REQUIRE(seen >= 3);
}
