#include "completion_handler.hpp"

#include <algorithm>
#include <ctime>
#include <random>
#include <utility>

#include "api_error.hpp"

namespace elrt::serve {
namespace {

using nlohmann::json;

template <typename T>
T take(Result<T> result, const char* param) {
  if (!result) throw ApiError(result.failure(), param);
  return std::move(result).value();
}

ChatTemplateOptions template_options(const std::string& variables) {
  ChatTemplateOptions options;
  options.variables = variables;
  return options;
}

// What the engine has given up while its client was there: the server is ending.
ApiError error_of(const Failure& failure) {
  if (failure.status == Status::kCancelled) return ApiError(503, "the server is shutting down; ask again later");
  return ApiError(failure);
}

std::string event_text(const std::string& data) { return "data: " + data + "\n\n"; }

// No two answers of one server, or of two, have the same.
std::string id_of(bool chat, std::uint64_t number) {
  static const std::uint64_t server = (std::uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  char text[48];
  std::snprintf(text, sizeof text, "%s-%016llx%06llx", chat ? "chatcmpl" : "cmpl",
                static_cast<unsigned long long>(server), static_cast<unsigned long long>(number));
  return text;
}

void note(json& record, const Work& work, const Done& done) {
  record["prompt_tokens"] = work.tokens.size();
  record["completion_tokens"] = done.generation.tokens.size();
  record["elastic"] = elastic_of(work, done);
}

}  // namespace

bool CompletionHandler::wait(const Call& call, Ticket& ticket) {
  constexpr std::chrono::milliseconds kLook{10};  // how long a client's leaving may go unnoticed
  while (!ticket.wait(kLook)) {
    if (call.connection.gone()) return false;
  }
  return !call.connection.gone();
}

Work::Objective CompletionHandler::objective_of(const CompletionRequest& request, const Work& work) const {
  Work::Objective objective;
  objective.slo = *request.slo;
  objective.limits = take(
      engine_.limits(*request.slo, static_cast<std::uint32_t>(work.tokens.size()), work.generate.max_tokens), "slo");
  if (!request.chat) {
    objective.prompt = request.prompt;
    objective.to_tokens = [&tokenizer = engine_.tokenizer()](std::string_view text) {
      return prompt_tokens(tokenizer, text);
    };
    return objective;
  }
  // The last thing that the user said may be shortened; all else of the conversation stays.
  const auto last = std::find_if(request.messages.rbegin(), request.messages.rend(),
                                 [](const ChatMessage& message) { return message.role == "user"; });
  if (last == request.messages.rend() || last->content.empty())
    throw ApiError(400, "an objective needs a message of the user that is not empty", "messages", "invalid_value");
  objective.prompt = last->content;
  const auto place = static_cast<std::size_t>(request.messages.rend() - last) - 1;
  objective.to_tokens = [chat = *engine_.chat(), messages = request.messages, place,
                         options = template_options(request.variables)](std::string_view text) mutable {
    messages[place].content = text;
    return chat.tokens(messages, options);
  };
  return objective;
}

Work CompletionHandler::work_of(const CompletionRequest& request, Clock::time_point arrival) const {
  Work work;
  work.arrival = arrival;
  work.level = request.level;
  work.generate = request.generate;
  if (request.chat) {
    if (engine_.chat() == nullptr)
      throw ApiError(400, engine_.no_chat() + "; use /v1/completions", "messages", "no_chat_template");
    work.tokens = take(engine_.chat()->tokens(request.messages, template_options(request.variables)), "messages");
    work.generate.end_ids = engine_.chat()->turn_ends();
  } else {
    work.tokens = take(prompt_tokens(engine_.tokenizer(), request.prompt), "prompt");
  }
  const char* param = request.chat ? "messages" : "prompt";
  const auto count = static_cast<std::uint32_t>(work.tokens.size());
  const std::uint32_t context = engine_.context_tokens();
  if (count == 0) throw ApiError(400, "the prompt has no tokens", param);
  if (count > context && !request.slo)  // an objective may shorten it
    throw ApiError(400,
                   "the prompt has " + std::to_string(count) + " tokens, the context holds " + std::to_string(context) +
                       "; shorten it",
                   param, "context_length_exceeded");
  // The last token need not be read. A prompt that must be shortened leaves room, nobody knows yet how much.
  const std::uint32_t room = count > context ? context : context - count + 1;
  work.generate.max_tokens = std::min(request.max_tokens.value_or(room), room);
  if (request.slo) work.objective = objective_of(request, work);
  return work;
}

void CompletionHandler::answer(Call& call, const std::string& body, bool chat, httplib::Response& response) {
  const CompletionRequest request = read_completion(body, chat, names_);
  AnswerHead head{chat, id_of(chat, ++answers_), request.model.empty() ? names_.name() : request.model,
                  std::time(nullptr)};
  call.record["id"] = head.id;
  call.record["model"] = head.model;
  call.record["stream"] = request.stream;
  const auto ticket = engine_.submit(work_of(request, call.arrival));
  if (!ticket) throw ApiError(503, "too many requests wait already; ask again later", "", "queue_full");
  // Whoever leaves, and for whatever reason, nothing is worked off that nobody reads.
  const std::shared_ptr<void> guard(nullptr, [this, ticket](void*) { engine_.give_up(*ticket); });
  bool there = wait(call, *ticket);
  if (there && request.stream && !(ticket->ended() && !ticket->result())) {
    response.status = 200;
    response.set_header("Cache-Control", "no-cache");
    response.set_chunked_content_provider(
        "text/event-stream",
        [this, &call, ticket, guard, head, usage = request.include_usage](std::size_t, httplib::DataSink& sink) {
          return stream(call, *ticket, head, usage, sink);
        });
    return;
  }
  while (there && !ticket->ended()) {
    ticket->take_text();
    there = ticket->ended() || wait(call, *ticket);
  }
  if (!there) {
    call.record["client_left"] = true;
    call.connection.close_after();
    response.status = 499;  // nobody reads it; the log does
    return;
  }
  if (!ticket->result()) throw error_of(ticket->result().failure());
  const Done& done = ticket->result().value();
  note(call.record, ticket->work(), done);
  response.status = 200;
  response.set_content(json_text(whole_answer(head, ticket->work(), done)), "application/json");
}

// In one call, as the library asks for no more pieces once the server is to stop.
bool CompletionHandler::stream(Call& call, Ticket& ticket, const AnswerHead& head, bool usage,
                               httplib::DataSink& sink) {
  const auto send = [&](const std::string& data) {
    const std::string event = event_text(data);
    if (sink.write(event.data(), event.size())) return true;
    call.record["client_left"] = true;
    return false;
  };
  if (head.chat && !send(json_text(role_event(head)))) return false;
  while (!ticket.ended()) {
    if (!wait(call, ticket)) {
      call.record["client_left"] = true;
      return false;
    }
    const std::string piece = ticket.take_text();
    if (!piece.empty() && !send(json_text(text_event(head, piece)))) return false;
  }
  if (!ticket.result()) {
    call.record["error"] = ticket.result().failure().message;
    if (!send(error_of(ticket.result().failure()).body())) return false;
  } else {
    const Done& done = ticket.result().value();
    note(call.record, ticket.work(), done);
    if (!send(json_text(finish_event(head, ticket.work(), done)))) return false;
    if (usage && !send(json_text(usage_event(head, ticket.work(), done)))) return false;
    if (!send("[DONE]")) return false;
  }
  sink.done();
  return true;
}

}  // namespace elrt::serve
