// The C API while anything that can fail fails: a status and a message, never an exception; and nothing leaks a handle
// that cannot be closed.
#include "faults/faults.h"
#include "unit/runtime/tiny_tlm.h"
#include "unit/runtime/tiny_tokenizer.h"

using elastify_test::FaultOutcome;
using elastify_test::sweep;

TEST_CASE("every call of the C API answers with a status and a message", "[faults]") {
  auto builder = elastify_test::tiny_artifact_with_tokenizer();
  elastify_test::add_tiny_tlm(builder);
  const elastify_test::TemporaryFile model(builder.build());
  const std::string table = model.path().string() + ".latency.json";
  REQUIRE(elastify_test::run_command("elastic-run", "calibrate " + model.path().string() + " --repeats 1").status == 0);
  const auto check = [](const FaultOutcome& outcome) { CHECK(outcome.err.find("NO MESSAGE") == std::string::npos); };
  for (const char* kind : {"read", "map", "open", "thread"})
    sweep("../tests/faults_api", model.path().string(), kind, 50, check);
  CHECK(sweep("../tests/faults_api", model.path().string(), "alloc", 300, check) > 0);
  std::remove(table.c_str());
}
