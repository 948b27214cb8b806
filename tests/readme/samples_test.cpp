// What READMEs show compiles, runs on an artifact, and says what is wrong where there is none.
#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/run_command.h"
#include "unit/chat/chat_model.h"

namespace {

std::vector<std::string> programs() {
  std::vector<std::string> names;
  std::istringstream list(SAMPLE_PROGRAMS);
  for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  return names;
}

elastify_test::Outcome run_sample(const std::string& program, const std::string& artifact) {
  return elastify_test::run_command("../tests/samples/" + program, artifact);
}

}  // namespace

TEST_CASE("READMEs have samples", "[readme][cli]") {
  const std::vector<std::string> names = programs();
  for (const char* expected : {"sample_landing_1", "sample_runtime_1", "sample_runtime_2", "sample_runtime_3"}) {
    INFO(expected);
    CHECK(std::count(names.begin(), names.end(), expected) == 1);
  }
}

TEST_CASE("every sample of a README runs on an artifact", "[readme][cli]") {
  const elastify_test::TemporaryFile model(elastify_test::chat_artifact().build());
  for (const std::string& program : programs()) {
    const elastify_test::Outcome outcome = run_sample(program, model.path().string());
    INFO(program << "\n" << outcome.out << outcome.err);
    CHECK(outcome.status == 0);
    CHECK_FALSE(outcome.out.empty());
  }
}

TEST_CASE("every sample of a README checks its results", "[readme][cli]") {
  const elastify_test::TemporaryFile damaged({'G', 'G', 'U', 'F'});
  for (const std::string& program : programs()) {
    for (const std::string& artifact : {std::string("/nonexistent/model.gguf"), damaged.path().string()}) {
      const elastify_test::Outcome outcome = run_sample(program, artifact);
      INFO(program << " " << artifact << "\n" << outcome.err);
      CHECK(outcome.status > 0);
      CHECK(outcome.status < 128);
      CHECK_THAT(outcome.err, Catch::Matchers::Contains(artifact));
    }
  }
}
