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
#include "service/c_convert.hpp"
#include "service/c_structs.hpp"

struct elrt_engine {
  elrt::Artifact artifact;
  std::shared_ptr<const elrt::Tokenizer> tokenizer;
};

struct elrt_session {
  elrt::Session session;
  std::shared_ptr<const elrt::Tokenizer> tokenizer;
};

struct elrt_chat {
  elrt::Conversation conversation;
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
using namespace elrt::c_api;

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

std::filesystem::path table_of(const elrt_engine& engine, const char* path) {
  return path != nullptr ? std::filesystem::path(path) : elrt::LatencyTable::default_path(engine.artifact.path());
}

Result<elrt::Scheduler> open_scheduler(const elrt_engine& engine, const elrt::Session& session, const char* path,
                                       const elrt_scheduler_options* given) {
  auto options = read_struct("elrt_scheduler_options", given);
  if (!options) return options.take_failure();
  if (auto done = check(options->fallback); !done) return done.take_failure();
  auto table = elrt::LatencyTable::read(table_of(engine, path));
  if (!table) return table.take_failure();
  if (auto done = table->check(engine.artifact, session.threads(), session.kv_type()); !done)
    return done.take_failure();
  return elrt::Scheduler::create(std::move(table).value(), convert(options.value()));
}

Result<elrt::Service> open_service(const elrt_engine& engine, const char* path, const elrt_service_options* given) {
  auto options = read_struct("elrt_service_options", given);
  if (!options) return options.take_failure();
  if (auto done = check(options->fallback); !done) return done.take_failure();
  if (auto done = check(options->kv_type); !done) return done.take_failure();
  auto table = elrt::LatencyTable::read(table_of(engine, path));
  if (!table) return table.take_failure();
  return elrt::Service::create(engine.artifact, std::move(table).value(), convert(options.value()));
}

// The caller's pointers are read from its struct, which may be too short to have them.
elrt_answer_result known_part(const elrt_answer_result& result) {
  elrt_answer_result known{};
  std::memcpy(&known, &result, std::min(result.struct_size, sizeof(known)));
  return known;
}

Result<void> check_answer(const elrt_answer_result* result) {
  if (result == nullptr) return {};
  if (auto done = check_result("elrt_answer_result", result); !done) return done;
  const elrt_answer_result known = known_part(*result);
  if (auto done = check_result("elrt_choice", known.choice); !done) return done;
  return check_result("elrt_generate_result", known.generation);
}

void write_answer(elrt_answer_result* result, const elrt::Answer& answer) {
  if (result == nullptr) return;
  elrt_answer_result out = known_part(*result);
  write_struct(out.choice, to_c(answer.choice));
  write_struct(out.generation, to_c(answer.generation));
  out.prompt_words = answer.prompt_words;
  out.prompt_words_kept = answer.prompt_words_kept;
  out.tlm_ms = answer.tlm_ms;
  out.slo_met = answer.slo_met ? 1 : 0;
  write_struct(result, out);
}

Result<void> tokenize(const elrt_engine& engine, std::string_view text, const elrt_tokenize_options* given,
                      int32_t** tokens, size_t* count) {
  auto options = read_struct("elrt_tokenize_options", given);
  if (!options) return options.take_failure();
  auto ids = elrt::prompt_tokens(*engine.tokenizer, text, {options->parse_special != 0, options->no_begin == 0});
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

const char* elrt_version(void) { return ELRT_VERSION; }
uint32_t elrt_version_number(void) { return ELRT_VERSION_NUMBER; }
uint32_t elrt_api_version(void) { return ELRT_API_VERSION; }

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

elrt_status elrt_engine_verify(const elrt_engine* engine) {
  return call("compare checksums", [&]() -> Result<void> {
    if (engine == nullptr) return invalid_argument("elrt_engine_verify: engine is NULL");
    return engine->artifact.verify_checksums();
  });
}

elrt_status elrt_tokenize(const elrt_engine* engine, const char* text, size_t bytes,
                          const elrt_tokenize_options* options, int32_t** tokens, size_t* count) {
  return call("tokenise the text", [&]() -> Result<void> {
    if (engine == nullptr || (text == nullptr && bytes > 0) || tokens == nullptr || count == nullptr) {
      return invalid_argument("elrt_tokenize: an argument is NULL");
    }
    return tokenize(*engine, {text, bytes}, options, tokens, count);
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
    auto chosen = read_struct("elrt_session_options", options);
    if (!chosen) return chosen.take_failure();
    if (auto done = check(chosen->kv_type); !done) return done;
    auto created = elrt::Session::create(engine->artifact, convert(chosen.value()));
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
    auto chosen = read_struct("elrt_generate_options", options);
    if (!chosen) return chosen.take_failure();
    if (auto done = check_result("elrt_generate_result", result); !done) return done;
    auto done = elrt::generate(session->session, *session->tokenizer, {prompt, prompt_bytes},
                               convert(chosen.value(), user_data), convert(on_text, user_data));
    if (!done) return done.take_failure();
    write_struct(result, to_c(done.value()));
    return {};
  });
}

elrt_status elrt_chat_create(const elrt_engine* engine, const elrt_session_options* session,
                             const elrt_chat_options* options, elrt_chat** chat) {
  return call("begin a conversation", [&]() -> Result<void> {
    if (engine == nullptr || chat == nullptr) return invalid_argument("elrt_chat_create: engine or chat is NULL");
    auto chosen = read_struct("elrt_session_options", session);
    if (!chosen) return chosen.take_failure();
    if (auto done = check(chosen->kv_type); !done) return done;
    auto more = read_struct("elrt_chat_options", options);
    if (!more) return more.take_failure();
    elrt::ChatTemplateOptions filled;
    if (more->tools != nullptr) filled.tools = more->tools;
    if (more->variables != nullptr) filled.variables = more->variables;
    auto made = elrt::Conversation::create(engine->artifact, convert(chosen.value()), filled);
    if (!made) return made.take_failure();
    *chat = new elrt_chat{std::move(made).value()};
    return {};
  });
}

void elrt_chat_destroy(elrt_chat* chat) { delete chat; }

elrt_status elrt_chat_add(elrt_chat* chat, const char* role, const char* content, size_t bytes) {
  return call("add a message", [&]() -> Result<void> {
    if (chat == nullptr || role == nullptr || (content == nullptr && bytes > 0))
      return invalid_argument("elrt_chat_add: chat, role or content is NULL");
    chat->conversation.add({role, std::string(content == nullptr ? "" : content, bytes)});
    return {};
  });
}

elrt_status elrt_chat_answer(elrt_chat* chat, const char* text, size_t bytes, const elrt_generate_options* options,
                             elrt_text_callback on_text, void* user_data, elrt_chat_result* result) {
  return call("answer a message", [&]() -> Result<void> {
    if (chat == nullptr) return invalid_argument("elrt_chat_answer: chat is NULL");
    auto chosen = read_struct("elrt_generate_options", options);
    if (!chosen) return chosen.take_failure();
    if (auto done = check_result("elrt_chat_result", result); !done) return done;
    elrt_generate_result* generation = result == nullptr ? nullptr : result->generation;
    if (auto done = check_result("elrt_generate_result", generation); !done) return done;
    const auto convert_options = convert(chosen.value(), user_data);
    auto answer = text == nullptr ? chat->conversation.answer(convert_options, convert(on_text, user_data))
                                  : chat->conversation.ask({text, bytes}, convert_options, convert(on_text, user_data));
    if (!answer) return answer.take_failure();
    write_struct(generation, to_c(answer->generation));
    write_struct(result,
                 elrt_chat_result{sizeof(elrt_chat_result), generation, answer->prompt_tokens, answer->cached_tokens});
    return {};
  });
}

elrt_status elrt_chat_set_level(elrt_chat* chat, uint32_t level, elrt_cache_policy policy) {
  return call("set the level", [&]() -> Result<void> {
    if (chat == nullptr) return invalid_argument("elrt_chat_set_level: chat is NULL");
    if (auto done = check(policy); !done) return done;
    return chat->conversation.set_level(
        level, policy == ELRT_CACHE_REUSE ? elrt::CachePolicy::kReuse : elrt::CachePolicy::kRecompute);
  });
}

void elrt_chat_clear(elrt_chat* chat, int keep_system) {
  if (chat != nullptr) chat->conversation.clear(keep_system != 0);
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

elrt_status elrt_calibrate(const elrt_engine* engine, const elrt_calibrate_options* options, const char* table_path,
                           elrt_progress_callback on_progress, void* user_data) {
  return call("calibrate", [&]() -> Result<void> {
    if (engine == nullptr) return invalid_argument("elrt_calibrate: engine is NULL");
    auto chosen = read_struct("elrt_calibrate_options", options);
    if (!chosen) return chosen.take_failure();
    if (auto done = check(chosen->kv_type); !done) return done;
    elrt::CalibrateProgress progress;
    if (on_progress != nullptr) progress = [&](double done) { return on_progress(done, user_data) != 0; };
    auto table = elrt::calibrate(engine->artifact, convert(chosen.value()), progress);
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
    auto opened = open_scheduler(*engine, session->session, table_path, options);
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
    auto asked = read_struct("elrt_request", request);
    if (!asked) return asked.take_failure();
    if (auto done = check_result("elrt_choice", choice); !done) return done;
    if (auto done = check(asked->unit); !done) return done;
    auto made = scheduler->scheduler.decide(convert(asked.value()));
    if (!made) return made.take_failure();
    write_struct(choice, to_c(made.value()));
    return {};
  });
}

elrt_status elrt_service_open(const elrt_engine* engine, const char* table_path, const elrt_service_options* options,
                              elrt_service** service) {
  return call("open a service", [&]() -> Result<void> {
    if (engine == nullptr || service == nullptr)
      return invalid_argument("elrt_service_open: engine or service is NULL");
    auto made = open_service(*engine, table_path, options);
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
    auto asked = read_struct("elrt_objective", objective);
    if (!asked) return asked.take_failure();
    if (auto done = check(asked->unit); !done) return done;
    auto chosen = read_struct("elrt_generate_options", options);
    if (!chosen) return chosen.take_failure();
    if (auto done = check_answer(result); !done) return done;
    elrt::ServiceRequest request{
        {prompt, prompt_bytes}, {convert(asked->unit), asked->ttft, asked->tpot}, convert(chosen.value(), user_data)};
    request.question_bytes = asked->question_bytes;
    request.keep_numbers = asked->keep_numbers != 0;
    auto answer = service->service.answer(request, convert(on_text, user_data));
    if (!answer) return answer.take_failure();
    write_answer(result, answer.value());
    return {};
  });
}

}  // extern "C"
