// The status boundary: values and failures of the C++ API become codes and a thread's last message.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/guarded.hpp"
#include "elrt/elrt.h"
#include "elrt/elrt.hpp"

struct elrt_engine {
  elrt::Artifact artifact;
  std::shared_ptr<const elrt::Tokenizer> tokenizer;
};

struct elrt_session {
  elrt::Session session;
  std::shared_ptr<const elrt::Tokenizer> tokenizer;
};

struct elrt_scheduler {
  elrt::Scheduler scheduler;
};

struct elrt_service {
  elrt::Service service;
};

namespace {

using elrt::invalid_argument;
using elrt::Result;

// A thread's last message, cut to the room it has: it is written where there is no memory as well.
thread_local std::array<char, 2048> last_error{};

elrt_status fail(const elrt::Failure& failure) noexcept {
  std::size_t bytes = std::min(failure.message.size(), last_error.size() - 1);
  const auto inside_a_character = [&] { return (static_cast<unsigned char>(failure.message[bytes]) & 0xC0) == 0x80; };
  while (bytes > 0 && bytes < failure.message.size() && inside_a_character()) --bytes;
  std::memcpy(last_error.data(), failure.message.data(), bytes);
  last_error[bytes] = '\0';
  return static_cast<elrt_status>(failure.status);
}

// Runs `body`, a Result<void>, and translates how it ended.
template <typename Body>
elrt_status call(const char* what, Body&& body) {
  const Result<void> result = elrt::guarded(what, body);
  return result ? ELRT_OK : fail(result.failure());
}

elrt::GenerateOptions convert(const elrt_generate_options& in) {
  elrt::GenerateOptions out;
  if (in.max_tokens != 0) out.max_tokens = in.max_tokens;
  out.sampler = {in.temperature, in.top_k, in.top_p == 0 ? 1.0f : in.top_p, in.min_p, in.seed};
  for (size_t i = 0; in.stop != nullptr && i < in.stop_count; ++i)
    out.stop.emplace_back(in.stop[i] == nullptr ? "" : in.stop[i]);
  out.speculation.draft_level = in.draft_level;
  if (in.draft_tokens != 0) out.speculation.draft_tokens = in.draft_tokens;
  return out;
}

std::filesystem::path table_of(const elrt_engine& engine, const char* path) {
  return path != nullptr ? std::filesystem::path(path) : elrt::LatencyTable::default_path(engine.artifact.path());
}

// A value that the header does not name is a caller's mistake, and no default. C allows it, so that it is read as an
// integer.
template <typename Enum>
Result<void> check_enum(const char* name, const Enum& value, Enum last) {
  int number = 0;
  static_assert(sizeof(number) == sizeof(value));
  std::memcpy(&number, &value, sizeof(number));
  if (number >= 0 && number <= static_cast<int>(last)) return {};
  return invalid_argument(std::string(name) + " is " + std::to_string(number) + ", expected 0 to " +
                          std::to_string(static_cast<int>(last)));
}

Result<void> check(const elrt_kv_type& in) { return check_enum("the cache type", in, ELRT_KV_Q8_0); }
Result<void> check(const elrt_fallback& in) { return check_enum("the fallback", in, ELRT_FALLBACK_RANDOM); }
Result<void> check(const elrt_slo_unit& in) { return check_enum("the objective's unit", in, ELRT_SLO_MILLISECONDS); }
Result<void> check(const elrt_cache_policy& in) { return check_enum("the cache policy", in, ELRT_CACHE_REUSE); }

Result<elrt::KvType> convert(const elrt_kv_type& in) {
  if (auto done = check(in); !done) return done.take_failure();
  switch (in) {
    case ELRT_KV_F16:
      return elrt::KvType::kF16;
    case ELRT_KV_Q8_0:
      return elrt::KvType::kQ8_0;
    default:
      return elrt::KvType::kF32;
  }
}

elrt::Fallback convert(elrt_fallback in) {
  return in == ELRT_FALLBACK_RANDOM ? elrt::Fallback::kRandom : elrt::Fallback::kBest;
}

Result<elrt::Scheduler> open_scheduler(const elrt_engine& engine, const elrt::Session& session, const char* path,
                                       const elrt_scheduler_options& options) {
  if (auto done = check(options.fallback); !done) return done.take_failure();
  auto table = elrt::LatencyTable::read(table_of(engine, path));
  if (!table) return table.take_failure();
  if (auto done = table->check(engine.artifact, session.threads(), session.kv_type()); !done)
    return done.take_failure();
  elrt::SchedulerOptions chosen;
  chosen.fallback = convert(options.fallback);
  chosen.seed = options.seed;
  chosen.margin = options.margin;
  return elrt::Scheduler::create(std::move(table).value(), std::move(chosen));
}

elrt::Slo::Unit convert(elrt_slo_unit in) {
  return in == ELRT_SLO_MILLISECONDS ? elrt::Slo::Unit::kMilliseconds : elrt::Slo::Unit::kRatio;
}

elrt::Request convert(const elrt_request& in) {
  return {in.prompt_tokens, in.output_tokens, {convert(in.unit), in.ttft, in.tpot}};
}

elrt_choice convert(const elrt::Choice& in) {
  return {in.decision.model_level, in.decision.prompt_level, in.feasible() ? 1 : 0, in.predicted.ttft_ms,
          in.predicted.tpot_ms,    in.limits.ttft_ms,        in.limits.tpot_ms};
}

elrt_generate_result convert(const elrt::Generation& in) {
  return {
      in.prompt_tokens,       static_cast<uint32_t>(in.tokens.size()), in.ttft_ms, in.tpot_ms, in.speculation.drafted,
      in.speculation.accepted};
}

elrt_decision_source convert(elrt::Choice::Source in) {
  switch (in) {
    case elrt::Choice::Source::kProposed:
      return ELRT_DECISION_PROPOSED;
    case elrt::Choice::Source::kFallback:
      return ELRT_DECISION_FALLBACK;
    case elrt::Choice::Source::kFastest:
      return ELRT_DECISION_FASTEST;
    case elrt::Choice::Source::kFull:
      return ELRT_DECISION_FULL;
  }
  return ELRT_DECISION_FASTEST;
}

elrt::ServiceOptions convert(const elrt_service_options& in) {
  elrt::ServiceOptions out;
  out.session.threads = in.threads;
  out.session.context_tokens = in.context_tokens;
  out.fallback = convert(in.fallback);
  out.seed = in.seed;
  out.margin = in.margin;
  out.use_tlm = in.no_tlm == 0;
  out.follow_pace = in.fixed_pace == 0;
  return out;
}

elrt::TextCallback convert(elrt_text_callback on_text, void* user_data) {
  if (on_text == nullptr) return {};
  return [on_text, user_data](std::string_view piece) { return on_text(piece.data(), piece.size(), user_data) != 0; };
}

Result<void> tokenize(const elrt_engine& engine, std::string_view text, int32_t** tokens, size_t* count) {
  auto ids = elrt::prompt_tokens(*engine.tokenizer, text);
  if (!ids) return ids.take_failure();
  auto* copy = static_cast<int32_t*>(std::malloc(std::max<size_t>(1, ids->size()) * sizeof(int32_t)));
  if (copy == nullptr) return elrt::internal_error("cannot tokenise the text: out of memory");
  std::copy(ids->begin(), ids->end(), copy);
  *tokens = copy;
  *count = ids->size();
  return {};
}

}  // namespace

extern "C" {

const char* elrt_last_error(void) { return last_error.data(); }

elrt_status elrt_engine_open(const char* path, elrt_engine** engine) {
  return call("open the artifact", [&]() -> Result<void> {
    if (path == nullptr || engine == nullptr) return invalid_argument("elrt_engine_open: path or engine is NULL");
    auto artifact = elrt::Artifact::open(path);
    if (!artifact) return artifact.take_failure();
    auto tokenizer = artifact->tokenizer();
    if (!tokenizer) return tokenizer.take_failure();
    *engine = new elrt_engine{std::move(artifact).value(), std::move(tokenizer).value()};
    return {};
  });
}

void elrt_engine_close(elrt_engine* engine) { delete engine; }

size_t elrt_engine_level_count(const elrt_engine* engine) {
  return engine == nullptr ? 0 : engine->artifact.levels().size();
}

uint32_t elrt_engine_level(const elrt_engine* engine, size_t index) {
  return index < elrt_engine_level_count(engine) ? engine->artifact.levels()[index].level : 0;
}

uint32_t elrt_engine_vocab_size(const elrt_engine* engine) {
  return engine == nullptr ? 0 : engine->artifact.shape().vocab;
}

elrt_status elrt_tokenize(const elrt_engine* engine, const char* text, size_t bytes, int32_t** tokens, size_t* count) {
  return call("tokenise the text", [&]() -> Result<void> {
    if (engine == nullptr || (text == nullptr && bytes > 0) || tokens == nullptr || count == nullptr) {
      return invalid_argument("elrt_tokenize: an argument is NULL");
    }
    return tokenize(*engine, {text, bytes}, tokens, count);
  });
}

void elrt_tokens_free(int32_t* tokens) { std::free(tokens); }

elrt_status elrt_detokenize(const elrt_engine* engine, const int32_t* tokens, size_t count, char* buffer,
                            size_t capacity, size_t* bytes) {
  return call("detokenise", [&]() -> Result<void> {
    if (engine == nullptr || (tokens == nullptr && count > 0) || (buffer == nullptr && capacity > 0) ||
        bytes == nullptr) {
      return invalid_argument("elrt_detokenize: an argument is NULL");
    }
    const std::string text = engine->tokenizer->decode({tokens, count});
    if (capacity > 0) std::memcpy(buffer, text.data(), std::min(capacity, text.size()));
    *bytes = text.size();
    return {};
  });
}

elrt_status elrt_session_create(const elrt_engine* engine, const elrt_session_options* options,
                                elrt_session** session) {
  return call("create a session", [&]() -> Result<void> {
    if (engine == nullptr || session == nullptr)
      return invalid_argument("elrt_session_create: engine or session is NULL");
    elrt::SessionOptions chosen;
    if (options != nullptr) {
      if (options->level != 0) chosen.level = options->level;
      chosen.threads = options->threads;
      chosen.context_tokens = options->context_tokens;
      auto kv_type = convert(options->kv_type);
      if (!kv_type) return kv_type.take_failure();
      chosen.kv_type = kv_type.value();
    }
    auto created = elrt::Session::create(engine->artifact, chosen);
    if (!created) return created.take_failure();
    *session = new elrt_session{std::move(created).value(), engine->tokenizer};
    return {};
  });
}

void elrt_session_destroy(elrt_session* session) { delete session; }

elrt_status elrt_session_set_level(elrt_session* session, uint32_t level, elrt_cache_policy policy) {
  return call("set the level", [&]() -> Result<void> {
    if (session == nullptr) return invalid_argument("elrt_session_set_level: session is NULL");
    if (auto done = check(policy); !done) return done;
    return session->session.set_level(
        level, policy == ELRT_CACHE_REUSE ? elrt::CachePolicy::kReuse : elrt::CachePolicy::kRecompute);
  });
}

uint32_t elrt_session_level(const elrt_session* session) { return session == nullptr ? 0 : session->session.level(); }

void elrt_session_reset(elrt_session* session) {
  if (session != nullptr) session->session.reset();
}

uint64_t elrt_session_reclaim(elrt_session* session) { return session == nullptr ? 0 : session->session.reclaim(); }

uint64_t elrt_session_cache_bytes_per_token(const elrt_session* session) {
  return session == nullptr ? 0 : session->session.cache_bytes_per_token();
}

elrt_status elrt_generate(elrt_session* session, const char* prompt, size_t prompt_bytes,
                          const elrt_generate_options* options, elrt_text_callback on_text, void* user_data,
                          elrt_generate_result* result) {
  return call("generate", [&]() -> Result<void> {
    if (session == nullptr || (prompt == nullptr && prompt_bytes > 0))
      return invalid_argument("elrt_generate: session or prompt is NULL");
    const elrt::GenerateOptions chosen = options == nullptr ? elrt::GenerateOptions{} : convert(*options);
    auto done = elrt::generate(session->session, *session->tokenizer, {prompt, prompt_bytes}, chosen,
                               convert(on_text, user_data));
    if (!done) return done.take_failure();
    if (result != nullptr) *result = convert(done.value());
    return {};
  });
}

elrt_status elrt_score(elrt_session* session, const char* text, size_t bytes, double* nll, uint64_t* predictions) {
  return call("score the text", [&]() -> Result<void> {
    if (session == nullptr || (text == nullptr && bytes > 0) || nll == nullptr)
      return invalid_argument("elrt_score: an argument is NULL");
    auto tokens = elrt::prompt_tokens(*session->tokenizer, {text, bytes});
    if (!tokens) return tokens.take_failure();
    auto scored = elrt::score(session->session, tokens.value());
    if (!scored) return scored.take_failure();
    *nll = scored->nll;
    if (predictions != nullptr) *predictions = scored->tokens;
    return {};
  });
}

elrt_status elrt_calibrate(const elrt_engine* engine, uint32_t threads, const char* table_path,
                           elrt_progress_callback on_progress, void* user_data) {
  return call("calibrate", [&]() -> Result<void> {
    if (engine == nullptr) return invalid_argument("elrt_calibrate: engine is NULL");
    elrt::CalibrateOptions options;
    options.threads = threads;
    elrt::CalibrateProgress progress;
    if (on_progress != nullptr) progress = [&](double done) { return on_progress(done, user_data) != 0; };
    auto table = elrt::calibrate(engine->artifact, options, progress);
    if (!table) return table.take_failure();
    return table->write(table_of(*engine, table_path));
  });
}

elrt_status elrt_scheduler_open(const elrt_engine* engine, const elrt_session* session, const char* table_path,
                                const elrt_scheduler_options* options, elrt_scheduler** scheduler) {
  return call("open a scheduler", [&]() -> Result<void> {
    if (engine == nullptr || session == nullptr || scheduler == nullptr) {
      return invalid_argument("elrt_scheduler_open: engine, session or scheduler is NULL");
    }
    auto opened =
        open_scheduler(*engine, session->session, table_path, options == nullptr ? elrt_scheduler_options{} : *options);
    if (!opened) return opened.take_failure();
    *scheduler = new elrt_scheduler{std::move(opened).value()};
    return {};
  });
}

void elrt_scheduler_close(elrt_scheduler* scheduler) { delete scheduler; }

elrt_status elrt_decide(elrt_scheduler* scheduler, const elrt_request* request, elrt_choice* choice) {
  return call("decide", [&]() -> Result<void> {
    if (scheduler == nullptr || request == nullptr || choice == nullptr)
      return invalid_argument("elrt_decide: an argument is NULL");
    if (auto done = check(request->unit); !done) return done;
    auto made = scheduler->scheduler.decide(convert(*request));
    if (!made) return made.take_failure();
    *choice = convert(made.value());
    return {};
  });
}

elrt_status elrt_service_open(const elrt_engine* engine, const char* table_path, const elrt_service_options* options,
                              elrt_service** service) {
  return call("open a service", [&]() -> Result<void> {
    if (engine == nullptr || service == nullptr)
      return invalid_argument("elrt_service_open: engine or service is NULL");
    if (options != nullptr) {
      if (auto done = check(options->fallback); !done) return done;
    }
    auto table = elrt::LatencyTable::read(table_of(*engine, table_path));
    if (!table) return table.take_failure();
    auto made = elrt::Service::create(engine->artifact, std::move(table).value(),
                                      options == nullptr ? elrt::ServiceOptions{} : convert(*options));
    if (!made) return made.take_failure();
    *service = new elrt_service{std::move(made).value()};
    return {};
  });
}

void elrt_service_close(elrt_service* service) { delete service; }

int elrt_service_has_tlm(const elrt_service* service) {
  return service != nullptr && service->service.has_tlm() ? 1 : 0;
}

elrt_status elrt_answer(elrt_service* service, const char* prompt, size_t prompt_bytes, const elrt_objective* objective,
                        const elrt_generate_options* options, elrt_text_callback on_text, void* user_data,
                        elrt_answer_result* result) {
  return call("answer a request", [&]() -> Result<void> {
    if (service == nullptr || (prompt == nullptr && prompt_bytes > 0) || objective == nullptr) {
      return invalid_argument("elrt_answer: service, prompt or objective is NULL");
    }
    if (auto done = check(objective->unit); !done) return done;
    elrt::ServiceRequest request{
        {prompt, prompt_bytes}, {convert(objective->unit), objective->ttft, objective->tpot}, {}};
    if (options != nullptr) request.generate = convert(*options);
    request.question_bytes = objective->question_bytes;
    request.keep_numbers = objective->keep_numbers != 0;
    auto answer = service->service.answer(request, convert(on_text, user_data));
    if (!answer) return answer.take_failure();
    if (result != nullptr) {
      *result = {convert(answer->choice), convert(answer->choice.source), convert(answer->generation),
                 answer->prompt_words,    answer->prompt_words_kept,      answer->tlm_ms,
                 answer->slo_met ? 1 : 0};
    }
    return {};
  });
}

}  // extern "C"
