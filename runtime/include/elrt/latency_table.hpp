// What one device measured for one artifact: latency per level and length, and predictions from it.
//
// FILE. JSON, next to the artifact as FILE.latency.json; `elastic-run calibrate` writes it (calibrate.hpp). Keys:
//   format "elastic-latency", version 1, artifact (16 hex digits: Artifact::identity), device, threads, repeats,
//   kv_type            of the cache: "f32", "f16" or "q8_0"; absent: "f32"
//   tokens [n]         ascending lengths; all curves have one value for each
//   levels [{level, ttft_ms [n], tpot_ms [n]}]   ascending percentages, the last is 100
//   tlm {decision_ms [n], score_ms [n]}          absent: no TLM, no time
// Unknown keys are ignored. A reader treats the file as hostile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "elrt/artifact.hpp"
#include "elrt/export.h"
#include "elrt/kv_type.hpp"
#include "elrt/result.hpp"

namespace elrt {

inline constexpr std::size_t kMaxLatencyLengths = 64;

// Medians in milliseconds, one for each of LatencyData::tokens, never falling with the length.
struct LevelLatency {
  std::uint32_t level = 0;      // percent
  std::vector<double> ttft_ms;  // reading a prompt of so many tokens and choosing the first token
  std::vector<double> tpot_ms;  // one further token when the text holds so many
};

// What the TLM costs for a prompt of so many (language model) tokens. Empty: nothing.
struct TlmLatency {
  std::vector<double> decision_ms;  // shared layers and decision-head, spent on every request that asks the TLM
  std::vector<double> score_ms;     // score-head and compression, spent where the prompt is shortened
};

struct LatencyData {
  std::uint64_t artifact = 0;  // Artifact::identity
  std::string device;          // device_description()
  std::uint32_t threads = 0;
  std::uint32_t repeats = 0;  // measurements per median
  KvType kv_type = KvType::kF32;
  std::vector<std::uint32_t> tokens;
  std::vector<LevelLatency> levels;
  TlmLatency tlm;
};

// The processor's name and how many there are, in one line; the same on every run of one machine. kInternal where the
// system cannot say at present.
ELRT_API Result<std::string> device_description();

// Checked, immutable. Between two measured lengths predictions are linear. Outside they are upper bounds: below the
// shortest, its own time; beyond the longest (length L), grown by (n/L)^2 for a prompt and n/L for a token, which
// bounds any cost of the form a + b n + c n^2 and a + b n with non-negative terms.
class ELRT_API LatencyTable {
 public:
  // Fails with kBadData, naming the first thing that is wrong.
  static Result<LatencyTable> create(LatencyData data);
  // Fails with kInvalidArgument if there is no such file, saying how to make it, else with kBadData.
  static Result<LatencyTable> read(const std::filesystem::path& path);
  // Next to the path and then renamed into place: whole or not at all. Fails with kInternal.
  Result<void> write(const std::filesystem::path& path) const;
  // Where an artifact's table lies unless said otherwise.
  static std::filesystem::path default_path(const std::filesystem::path& artifact);

  // Whether the table holds for this artifact on this device with so many threads and this type of cache. kBadData for
  // another artifact or device, for other levels and where the artifact's TLM was not measured, kInvalidArgument for
  // another number of threads or cache.
  Result<void> check(const Artifact& artifact, std::uint32_t threads, KvType kv_type) const;

  const LatencyData& data() const { return data_; }
  // In milliseconds; infinite for a level that the table lacks.
  double ttft_ms(std::uint32_t level, std::uint32_t prompt_tokens) const;
  double tpot_ms(std::uint32_t level, std::uint32_t context_tokens) const;
  double decision_ms(std::uint32_t prompt_tokens) const;
  double score_ms(std::uint32_t prompt_tokens) const;

 private:
  explicit LatencyTable(LatencyData data) : data_(std::move(data)) {}
  double predict(const std::vector<double>& curve, std::uint32_t tokens, int growth) const;
  const LevelLatency* find(std::uint32_t level) const;
  LatencyData data_;
};

}  // namespace elrt
