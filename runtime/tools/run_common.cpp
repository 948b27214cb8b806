#include "run_common.hpp"

#include <iostream>

namespace elastic_run {

void add_run_options(CLI::App& command, RunOptions& options) {
  command.add_option("file", options.file, "the artifact, model.gguf")->required();
  command.add_option("--threads", options.threads, "threads; 0: one per core")->check(CLI::Range(0u, 1024u))->capture_default_str();
  command.add_flag("--json", options.json, "print one JSON object to stdout");
}

void print_json(const nlohmann::json& object) {
  std::cout << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

}  // namespace elastic_run
