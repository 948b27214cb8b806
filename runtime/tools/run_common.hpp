// What the subcommands of elastic-run share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/error.hpp"
#include "common/option_checks.hpp"
#include "elrt/elrt.hpp"

namespace elastic_run {

// Carries a failure to main, which prints it and exits with its status: the runtime numbers its own alike.
struct CommandError : common::Error {
  explicit CommandError(const elrt::Failure& failure)
      : Error(static_cast<common::ErrorCode>(failure.status), failure.message) {}
};

// The value, or the failure thrown as a CommandError.
template <typename T>
T take(elrt::Result<T> result) {
  if (!result) throw CommandError(result.failure());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

// A session's common settings.
struct RunOptions {
  std::string file;
  std::uint32_t threads = 0;
  bool json = false;
};
void add_run_options(CLI::App& command, RunOptions& options);

// The same and a level: what generate and score read.
struct LevelOptions : RunOptions {
  std::uint32_t level = 100;
  elrt::KvType kv_type = elrt::KvType::kF32;
};
CLI::Option* add_level_options(CLI::App& command, LevelOptions& options);  // the option --level

void add_kv_type_option(CLI::App& command, elrt::KvType& type);  // --kv-type
// More threads than cores work, but slower: a line on stderr says so.
void warn_about_threads(std::uint32_t threads);

// An artifact's tokenizer and a session at the asked level.
struct OpenModel {
  elrt::Artifact artifact;
  std::shared_ptr<const elrt::Tokenizer> tokenizer;
  elrt::Session session;
};
// Of a session as the options ask for it; more threads than cores are said on stderr.
elrt::SessionOptions session_options(const LevelOptions& options);
OpenModel open_model(const LevelOptions& options);

// Text as bytes, invalid UTF-8 replaced, one line.
void print_json(const nlohmann::json& object);

// Each registers its subcommand; the callback runs it.
void register_chat(CLI::App& app);
void register_generate(CLI::App& app);
void register_score(CLI::App& app);
void register_compress(CLI::App& app);
void register_bench(CLI::App& app);
void register_calibrate(CLI::App& app);
void register_replay(CLI::App& app);
void register_serve(CLI::App& app);

}  // namespace elastic_run
