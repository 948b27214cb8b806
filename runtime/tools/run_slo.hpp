// Latency objectives on the command line: their options, and what is reported of a request served under one.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "run_common.hpp"

namespace elastic_run {

struct SloOptions {
  double ttft = 0, tpot = 0, ttft_ms = 0, tpot_ms = 0;
  std::string table;              // empty: next to the artifact
  std::string fallback = "best";  // or "random"
  double margin = 0;
  bool fixed_pace = false;
  std::string question;  // after the prompt, never shortened
  bool keep_numbers = false, no_tlm = false, one_level = false;
  CLI::Option *ratio = nullptr, *milliseconds = nullptr;
  std::vector<CLI::Option*> details;  // those that mean nothing without an objective

  // Nothing where none was given. Throws for a detail without an objective.
  std::optional<elrt::Slo> slo() const;
};

// --ttft with --tpot, or --ttft-ms with --tpot-ms, either instead of `level`; --latency, --fallback and --margin with
// them.
void add_slo_options(CLI::App& command, SloOptions& options, CLI::Option* level);

// --latency, --fallback, --margin, --no-tlm and --one-level alone.
void add_service_options(CLI::App& command, SloOptions& options);

// How a service is to be, of these options; `seed` is the random fallback's.
elrt::ServiceOptions service_options(const SloOptions& options, const elrt::SessionOptions& session,
                                     std::uint64_t seed);
// A service of `artifact`; `seed` is the random fallback's. Says on stderr where there is no TLM to ask.
elrt::Service open_service(const SloOptions& options, const elrt::Artifact& artifact,
                           const elrt::SessionOptions& session, std::uint64_t seed);

// "full", "proposed", "fallback" or "fastest".
const char* source_name(elrt::Choice::Source source);

// Adds the fields of a request that was served under `slo` to generate's.
void report_slo(nlohmann::json& result, const SloOptions& options, const elrt::Slo& slo, const elrt::Answer& answer);
void print_slo(const elrt::Answer& answer);  // the same for people, on stderr

std::size_t count_words(std::string_view text);  // runs without white space

}  // namespace elastic_run
