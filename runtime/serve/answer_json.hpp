// Answers in OpenAI's form, whole and as the events of a stream, with what was decided in "elastic".
#pragma once

#include <cstdint>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ticket.hpp"

namespace elrt::serve {

// What all objects of one answer share.
struct AnswerHead {
  bool chat = false;
  std::string id, model;
  std::int64_t created = 0;  // seconds since 1970
};

nlohmann::json whole_answer(const AnswerHead& head, const Work& work, const Done& done);

// The stream: for a chat the assistant's role first; a piece each; the finish with "elastic"; usage, where asked for.
nlohmann::json role_event(const AnswerHead& head);
nlohmann::json text_event(const AnswerHead& head, std::string_view piece);
nlohmann::json finish_event(const AnswerHead& head, const Work& work, const Done& done);
nlohmann::json usage_event(const AnswerHead& head, const Work& work, const Done& done);

// As text: what is no UTF-8 becomes U+FFFD.
std::string json_text(const nlohmann::json& object);

const char* finish_of(FinishReason reason);  // "stop" or "length"

// Level, decode level, prompt level, source of the decision, objective, predicted and measured times, words kept. Times
// to the first token count from the request's arrival.
nlohmann::json elastic_of(const Work& work, const Done& done);

}  // namespace elrt::serve
