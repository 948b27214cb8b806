#include "answer_json.hpp"

#include "elrt/scheduler.hpp"

namespace elrt::serve {
namespace {

using nlohmann::json;

const char* source_name(Choice::Source source) {
  switch (source) {
    case Choice::Source::kProposed:
      return "proposed";
    case Choice::Source::kFallback:
      return "fallback";
    case Choice::Source::kFastest:
      return "fastest";
    case Choice::Source::kFull:
      return "full";
  }
  return "unknown";
}

// The prompt's tokens are those that were sent; "elastic" tells how many were read.
json usage_of(const Work& work, const Done& done) {
  const std::size_t prompt = work.tokens.size(), completion = done.generation.tokens.size();
  return {{"prompt_tokens", prompt}, {"completion_tokens", completion}, {"total_tokens", prompt + completion}};
}

json object_of(const AnswerHead& head, const char* kind) {
  return {
      {"id", head.id}, {"object", kind}, {"created", head.created}, {"model", head.model}, {"choices", json::array()}};
}

json event_of(const AnswerHead& head) {
  return object_of(head, head.chat ? "chat.completion.chunk" : "text_completion");
}

json choice_of(const char* name, json content, json finish) {
  return {{"index", 0}, {name, std::move(content)}, {"logprobs", nullptr}, {"finish_reason", std::move(finish)}};
}

}  // namespace

std::string json_text(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace); }

const char* finish_of(FinishReason reason) {
  return reason == FinishReason::kEndOfText || reason == FinishReason::kStopString ? "stop" : "length";
}

json elastic_of(const Work& work, const Done& done) {
  json elastic = {{"level", done.level},
                  {"decode_level", done.level},
                  {"prompt_level", 100},
                  {"queued_ms", done.queued_ms},
                  {"ttft_ms", done.ttft_ms()},
                  {"tpot_ms", done.generation.tpot_ms},
                  {"prompt_tokens_read", done.generation.prompt_tokens},
                  {"finish_reason", finish_reason_name(done.generation.finish)},
                  {"slo", nullptr},
                  {"slo_met", nullptr}};
  if (!done.answer) return elastic;
  const Choice& choice = done.answer->choice;
  const Latency& limits = work.objective->limits;
  const Slo& slo = work.objective->slo;
  elastic["decode_level"] = choice.decision.decode_level;
  elastic["prompt_level"] = choice.decision.prompt_level;
  elastic["decision_source"] = source_name(choice.source);
  elastic["feasible"] = choice.feasible();
  elastic["predicted_ttft_ms"] = done.queued_ms + choice.predicted.ttft_ms;
  elastic["predicted_tpot_ms"] = choice.predicted.tpot_ms;
  elastic["prompt_words"] = done.answer->prompt_words;
  elastic["prompt_words_kept"] = done.answer->prompt_words_kept;
  elastic["tlm_ms"] = done.answer->tlm_ms;
  elastic["slo"] = {{"unit", slo.unit == Slo::Unit::kRatio ? "ratio" : "ms"},
                    {"ttft", slo.ttft},
                    {"tpot", slo.tpot},
                    {"ttft_ms", limits.ttft_ms},
                    {"tpot_ms", limits.tpot_ms}};
  elastic["slo_met"] = slo_met(limits, {done.ttft_ms(), done.generation.tpot_ms}, done.generation.tokens.size());
  return elastic;
}

json whole_answer(const AnswerHead& head, const Work& work, const Done& done) {
  json answer = object_of(head, head.chat ? "chat.completion" : "text_completion");
  const std::string& text = done.generation.text;
  const char* finish = finish_of(done.generation.finish);
  answer["choices"].push_back(head.chat ? choice_of("message", {{"role", "assistant"}, {"content", text}}, finish)
                                        : choice_of("text", text, finish));
  answer["usage"] = usage_of(work, done);
  answer["elastic"] = elastic_of(work, done);
  return answer;
}

json role_event(const AnswerHead& head) {
  json event = event_of(head);
  event["choices"].push_back(choice_of("delta", {{"role", "assistant"}, {"content", ""}}, nullptr));
  return event;
}

json text_event(const AnswerHead& head, std::string_view piece) {
  json event = event_of(head);
  const std::string text(piece);
  event["choices"].push_back(head.chat ? choice_of("delta", {{"content", text}}, nullptr)
                                       : choice_of("text", text, nullptr));
  return event;
}

json finish_event(const AnswerHead& head, const Work& work, const Done& done) {
  json event = event_of(head);
  const char* finish = finish_of(done.generation.finish);
  event["choices"].push_back(head.chat ? choice_of("delta", json::object(), finish) : choice_of("text", "", finish));
  event["elastic"] = elastic_of(work, done);
  return event;
}

json usage_event(const AnswerHead& head, const Work& work, const Done& done) {
  json event = event_of(head);
  event["usage"] = usage_of(work, done);
  return event;
}

}  // namespace elrt::serve
