#include "run_common.hpp"

#include <iostream>

namespace elastic_run {

void add_run_options(CLI::App& command, RunOptions& options) {
  command.add_option("file", options.file, "the artifact, model.gguf")->required();
  command.add_option("--threads", options.threads, "threads; 0: one per core")->check(CLI::Range(0u, 1024u))->capture_default_str();
  command.add_flag("--json", options.json, "print one JSON object to stdout");
}

CLI::Option* add_level_options(CLI::App& command, LevelOptions& options) {
  add_run_options(command, options);
  return command.add_option("--level", options.level, "percent, one of the artifact's levels")->capture_default_str();
}

OpenModel open_model(const LevelOptions& options) {
  auto artifact = take(elrt::Artifact::open(options.file));
  auto tokenizer = take(artifact.tokenizer());
  elrt::SessionOptions session_options;
  session_options.level = options.level;
  session_options.threads = options.threads;
  auto session = take(elrt::Session::create(artifact, session_options));
  return {std::move(artifact), std::move(tokenizer), std::move(session)};
}

void print_json(const nlohmann::json& object) {
  std::cout << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

}  // namespace elastic_run
