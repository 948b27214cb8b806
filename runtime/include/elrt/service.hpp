// Requests under objectives, from a prompt to its answer:
//   the full model on the whole prompt, where that keeps the objective without asking the TLM; else
//   the TLM proposes a decision -> it is taken where it is feasible by this device's latency table, TLM time included,
//   or replaced (scheduler.hpp) -> the prompt is compressed (compression.hpp) -> prefill at the model level -> decode
//   at the decode level, over the prefill's cache.
// Without a TLM in the artifact only the model level is decided, and prompts are read whole.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/artifact.hpp"
#include "elrt/export.h"
#include "elrt/generator.hpp"
#include "elrt/latency_table.hpp"
#include "elrt/result.hpp"
#include "elrt/scheduler.hpp"
#include "elrt/session.hpp"

namespace elrt {

struct ServiceOptions {
  SessionOptions session;  // its level is what the service starts with; requests choose theirs
  Fallback fallback = Fallback::kBest;
  std::uint64_t seed = 0;  // of kRandom
  double margin = 0;       // SchedulerOptions::margin
  bool phases = true;      // SchedulerOptions::phases
  // True follows the device: decisions are made by the table times what 99 % of the last 128 requests took compared
  // with it at most (pace.hpp), so that a busy or throttled device gets lighter decisions. False: by the table alone,
  // equal decisions for equal requests.
  bool follow_pace = true;
  bool use_tlm = true;  // false: only model levels are decided, whatever the artifact has
  // Tables are of a service that runs. True brings the TLM's weights and buffers to memory at the start, and reads a
  // level's first prompt once before it is measured: for a program that serves a single request.
  bool warm_up = false;
};

struct ServiceRequest {
  std::string_view prompt;
  Slo slo;
  GenerateOptions
      generate;  // a request starts a text of its own: keep_context is refused; decode_level is the decision's
  // How the prompt, perhaps shortened, becomes what the model reads: a chat template around it. Empty: prompt_tokens().
  std::function<Result<std::vector<TokenId>>(std::string_view prompt)> tokens{};
  std::size_t question_bytes =
      0;                      // at the prompt's end, which no compression touches; 0: find_question() of the prompt
  bool keep_numbers = false;  // compression keeps words with digits
};

struct Answer {
  Generation generation;  // ttft_ms from the call to the first token, all decisions included
  Choice choice;          // as it was carried out; predictions are for the prompt that was read
  bool slo_met = false;
  bool possible = false;  // some decision keeps the objective by the table alone (Scheduler::possible), whatever the
                          // device does at present
  Latency pace{1, 1};     // by what the table's times were multiplied for this request
  bool tlm_asked = false;
  double tlm_ms = 0;                                    // spent on the decision and on compression, part of ttft_ms
  std::size_t prompt_words = 0, prompt_words_kept = 0;  // runs without white space
  std::string prompt;                                   // what the model read
};

// Move-only; one thread at a time.
class ELRT_API Service {
 public:
  // Fails as LatencyTable::check does where the table is not of this artifact, device and number of threads.
  static Result<Service> create(const Artifact& artifact, LatencyTable table, const ServiceOptions& options = {});

  Service(Service&&) noexcept;
  Service& operator=(Service&&) noexcept;
  ~Service();

  bool has_tlm() const;
  const Session& session() const;

  // kInvalidArgument for an empty prompt, one that does not fit the context even after compression, no tokens to
  // generate, and an objective that decide() refuses; kBadData, where there is a TLM, for a prompt that is not UTF-8.
  Result<Answer> answer(const ServiceRequest& request, const TextCallback& on_text = {});

 private:
  struct ELRT_HIDDEN Impl;
  ELRT_HIDDEN explicit Service(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace elrt
