#include "service/c_convert.hpp"

namespace elrt::c_api {

KvType convert(elrt_kv_type in) {
  return in == ELRT_KV_Q8_0 ? KvType::kQ8_0 : in == ELRT_KV_F16 ? KvType::kF16 : KvType::kF32;
}

Fallback convert(elrt_fallback in) { return in == ELRT_FALLBACK_RANDOM ? Fallback::kRandom : Fallback::kBest; }

Slo::Unit convert(elrt_slo_unit in) {
  return in == ELRT_SLO_MILLISECONDS ? Slo::Unit::kMilliseconds : Slo::Unit::kRatio;
}

SessionOptions convert(const elrt_session_options& in) {
  SessionOptions out;
  if (in.level != 0) out.level = in.level;
  out.threads = in.threads;
  out.context_tokens = in.context_tokens;
  out.batch_tokens = in.batch_tokens;
  out.kv_type = convert(in.kv_type);
  return out;
}

GenerateOptions convert(const elrt_generate_options& in, void* user_data) {
  GenerateOptions out;
  if (in.max_tokens != 0) out.max_tokens = in.max_tokens;
  out.sampler = {in.temperature, in.top_k, in.top_p == 0 ? 1.0f : in.top_p, in.min_p, in.seed};
  for (size_t i = 0; in.stop != nullptr && i < in.stop_count; ++i)
    out.stop.emplace_back(in.stop[i] == nullptr ? "" : in.stop[i]);
  out.speculation.draft_level = in.draft_level;
  if (in.draft_tokens != 0) out.speculation.draft_tokens = in.draft_tokens;
  out.keep_context = in.keep_context != 0;
  out.parse_special = in.parse_special != 0;
  out.ignore_end = in.ignore_end != 0;
  out.decode_level = in.decode_level;
  if (in.on_prompt != nullptr) {
    out.on_prompt = [on_prompt = in.on_prompt, user_data](std::size_t read, std::size_t total) {
      return on_prompt(static_cast<uint32_t>(read), static_cast<uint32_t>(total), user_data) != 0;
    };
  }
  return out;
}

CalibrateOptions convert(const elrt_calibrate_options& in) {
  CalibrateOptions out;
  out.threads = in.threads;
  out.kv_type = convert(in.kv_type);
  if (in.repeats != 0) out.repeats = in.repeats;
  if (in.max_tokens != 0) out.max_tokens = in.max_tokens;
  if (in.lengths != nullptr) out.lengths.assign(in.lengths, in.lengths + in.length_count);
  return out;
}

SchedulerOptions convert(const elrt_scheduler_options& in) {
  SchedulerOptions out;
  out.fallback = convert(in.fallback);
  out.seed = in.seed;
  out.margin = in.margin;
  out.phases = in.phases != 0;
  return out;
}

ServiceOptions convert(const elrt_service_options& in) {
  ServiceOptions out;
  out.session.threads = in.threads;
  out.session.context_tokens = in.context_tokens;
  out.session.kv_type = convert(in.kv_type);
  out.fallback = convert(in.fallback);
  out.seed = in.seed;
  out.margin = in.margin;
  out.use_tlm = in.no_tlm == 0;
  out.follow_pace = in.fixed_pace == 0;
  out.phases = in.one_level == 0;
  return out;
}

Request convert(const elrt_request& in) {
  return {in.prompt_tokens, in.output_tokens, {convert(in.unit), in.ttft, in.tpot}};
}

TextCallback convert(elrt_text_callback on_text, void* user_data) {
  if (on_text == nullptr) return {};
  return [on_text, user_data](std::string_view piece) { return on_text(piece.data(), piece.size(), user_data) != 0; };
}

namespace {

elrt_decision_source to_c(Choice::Source in) {
  switch (in) {
    case Choice::Source::kProposed:
      return ELRT_DECISION_PROPOSED;
    case Choice::Source::kFallback:
      return ELRT_DECISION_FALLBACK;
    case Choice::Source::kFastest:
      return ELRT_DECISION_FASTEST;
    case Choice::Source::kFull:
      return ELRT_DECISION_FULL;
  }
  return ELRT_DECISION_FASTEST;
}

elrt_finish_reason to_c(FinishReason in) {
  switch (in) {
    case FinishReason::kEndOfText:
      return ELRT_FINISH_END_OF_TEXT;
    case FinishReason::kStopString:
      return ELRT_FINISH_STOP_STRING;
    case FinishReason::kMaxTokens:
      return ELRT_FINISH_MAX_TOKENS;
    case FinishReason::kContextFull:
      return ELRT_FINISH_CONTEXT_FULL;
    case FinishReason::kCancelled:
      return ELRT_FINISH_CANCELLED;
  }
  return ELRT_FINISH_CANCELLED;
}

}  // namespace

elrt_choice to_c(const Choice& in) {
  elrt_choice out{};
  out.struct_size = sizeof(out);
  out.level = in.decision.model_level;
  out.prompt_level = in.decision.prompt_level;
  out.source = to_c(in.source);
  out.feasible = in.feasible() ? 1 : 0;
  out.predicted_ttft_ms = in.predicted.ttft_ms;
  out.predicted_tpot_ms = in.predicted.tpot_ms;
  out.limit_ttft_ms = in.limits.ttft_ms;
  out.limit_tpot_ms = in.limits.tpot_ms;
  out.decode_level = in.decision.decode_level;
  return out;
}

elrt_generate_result to_c(const Generation& in) {
  elrt_generate_result out{};
  out.struct_size = sizeof(out);
  out.finish = to_c(in.finish);
  out.prompt_tokens = in.prompt_tokens;
  out.generated_tokens = static_cast<uint32_t>(in.tokens.size());
  out.ttft_ms = in.ttft_ms;
  out.tpot_ms = in.tpot_ms;
  out.drafted_tokens = in.speculation.drafted;
  out.accepted_tokens = in.speculation.accepted;
  return out;
}

}  // namespace elrt::c_api
