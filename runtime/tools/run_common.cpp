#include "run_common.hpp"

#include <iostream>
#include <thread>

namespace elastic_run {

void add_run_options(CLI::App& command, RunOptions& options) {
  command.add_option("file", options.file, "the artifact, model.gguf")->required();
  command.add_option("--threads", options.threads, "threads; 0: one per core")
      ->check(common::in_range(0, 1024))
      ->capture_default_str();
  command.add_flag("--json", options.json, "print one JSON object to stdout");
}

CLI::Option* add_level_options(CLI::App& command, LevelOptions& options) {
  add_run_options(command, options);
  add_kv_type_option(command, options.kv_type);
  return command.add_option("--level", options.level, "percent, one of the artifact's levels")->capture_default_str();
}

void add_kv_type_option(CLI::App& command, elrt::KvType& type) {
  const auto read = [&type](const std::string& name) {
    auto parsed = elrt::parse_kv_type(name);
    if (!parsed) throw CLI::ValidationError("--kv-type", parsed.failure().message);
    type = parsed.value();
  };
  command.add_option_function<std::string>("--kv-type", read, "the cache of keys and values: f32, f16 or q8_0")
      ->default_str(elrt::kv_type_name(type));
}

void warn_about_threads(std::uint32_t threads) {
  const unsigned cores = std::thread::hardware_concurrency();
  if (cores != 0 && threads > cores) {
    std::cerr << "elastic-run: " << threads << " threads on " << cores
              << " cores; expect less speed than with --threads " << cores << "\n";
  }
}

elrt::SessionOptions session_options(const LevelOptions& options) {
  warn_about_threads(options.threads);
  elrt::SessionOptions session;
  session.level = options.level;
  session.threads = options.threads;
  session.kv_type = options.kv_type;
  return session;
}

OpenModel open_model(const LevelOptions& options) {
  auto artifact = take(elrt::Artifact::open(options.file));
  auto tokenizer = take(artifact.tokenizer());
  auto session = take(elrt::Session::create(artifact, session_options(options)));
  return {std::move(artifact), std::move(tokenizer), std::move(session)};
}

void print_json(const nlohmann::json& object) {
  std::cout << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

}  // namespace elastic_run
