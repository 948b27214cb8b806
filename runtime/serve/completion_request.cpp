#include "completion_request.hpp"

#include <limits>
#include <random>

#include "api_error.hpp"
#include "common/error.hpp"
#include "common/json.hpp"
#include "fields.hpp"

namespace elrt::serve {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostTokens = 1 << 24;  // as --max-tokens of elastic-run generate
constexpr std::int64_t kMostWhole = std::int64_t{1} << 53;
constexpr std::size_t kMostStops = 16;

void refuse_what_is_missing(const Fields& fields, bool chat) {
  fields.refuse("presence_penalty", {0});
  fields.refuse("frequency_penalty", {0});
  fields.refuse("logit_bias", {json::object()});
  fields.refuse("logprobs", {false, 0});
  fields.refuse("n", {1});
  fields.refuse("best_of", {1});
  if (!chat) {
    fields.refuse("echo", {false});
    fields.refuse("suffix", {""});
    return;
  }
  fields.refuse("top_logprobs", {0});
  fields.refuse("response_format", {json{{"type", "text"}}});
  fields.refuse("tools", {json::array()});
  fields.refuse("functions", {json::array()});
  fields.refuse("tool_choice", {"none", "auto"});
  fields.refuse("function_call", {"none", "auto"});
  fields.refuse("modalities", {json::array({"text"})});
  fields.refuse("audio", {});
}

std::optional<std::uint32_t> read_max_tokens(const Fields& fields) {
  const auto older = fields.whole("max_tokens", 1, kMostTokens);
  const auto newer = fields.whole("max_completion_tokens", 1, kMostTokens);
  if (older && newer && *older != *newer)
    throw ApiError(400, "max_tokens and max_completion_tokens differ; give one of them", "max_completion_tokens",
                   "invalid_value");
  if (!older && !newer) return std::nullopt;
  return static_cast<std::uint32_t>(newer ? *newer : *older);
}

// OpenAI's defaults: texts are sampled unless a temperature of 0 is asked for, and differ from call to call without a
// seed.
SamplerOptions read_sampler(const Fields& fields) {
  SamplerOptions sampler;
  sampler.temperature = static_cast<float>(fields.number("temperature", 0, 2).value_or(1));
  sampler.top_p = static_cast<float>(fields.number("top_p", 0, 1).value_or(1));
  sampler.min_p = static_cast<float>(fields.number("min_p", 0, 1).value_or(0));
  sampler.top_k =
      static_cast<std::uint32_t>(fields.whole("top_k", 0, std::numeric_limits<std::uint32_t>::max()).value_or(0));
  const auto seed = fields.whole("seed", -kMostWhole, kMostWhole);
  sampler.seed = seed ? static_cast<std::uint64_t>(*seed) : std::random_device{}();
  if (auto made = Sampler::create(sampler); !made) throw ApiError(made.failure(), "top_p");
  return sampler;
}

// {"ttft_ms", "tpot_ms"} in milliseconds or {"ttft", "tpot"} as shares of the full model's times.
std::optional<Slo> read_slo(const Fields& fields) {
  const auto slo = fields.object("slo");
  if (!slo) return std::nullopt;
  constexpr double kMostMs = 1e9;
  const auto ttft = slo->number("ttft", 0, 1), tpot = slo->number("tpot", 0, 1);
  const auto ttft_ms = slo->number("ttft_ms", 0, kMostMs), tpot_ms = slo->number("tpot_ms", 0, kMostMs);
  const bool shares = ttft && tpot && !ttft_ms && !tpot_ms, times = ttft_ms && tpot_ms && !ttft && !tpot;
  if (!shares && !times)
    throw ApiError(400, "slo should have ttft_ms and tpot_ms, or ttft and tpot as shares of the full model's times",
                   "slo", "invalid_value");
  const Slo read = shares ? Slo{Slo::Unit::kRatio, *ttft, *tpot} : Slo{Slo::Unit::kMilliseconds, *ttft_ms, *tpot_ms};
  if (!(read.ttft > 0 && read.tpot > 0))
    throw ApiError(400, "both times of slo should be above 0", "slo", "invalid_value");
  return read;
}

std::string read_prompt(const Fields& fields) {
  const json* prompt = fields.find("prompt");
  const json* text = prompt != nullptr && prompt->is_array() && prompt->size() == 1 ? &prompt->front() : prompt;
  if (text == nullptr || !text->is_string() || text->get_ref<const std::string&>().empty())
    throw ApiError(400, "prompt should be one text that is not empty", "prompt", "invalid_value");
  return text->get<std::string>();
}

// Members of a message keep their order, which templates may print; so they are read again with it.
std::string ordered(std::string_view body, const char* name) {
  return nlohmann::ordered_json::parse(body)[name].dump();
}

void read_chat(std::string_view body, const Fields& fields, CompletionRequest& request) {
  const json* messages = fields.find("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty())
    throw ApiError(400, "messages should be a list of at least one message", "messages", "invalid_value");
  auto parsed = parse_chat_messages(ordered(body, "messages"));
  if (!parsed) throw ApiError(parsed.failure(), "messages");
  request.messages = std::move(parsed).value();
  if (fields.object("chat_template_kwargs")) request.variables = ordered(body, "chat_template_kwargs");
}

// The byte order mark that common::parse_json allows, which the second reading would meet too.
std::string_view without_mark(std::string_view body) {
  return body.starts_with("\xEF\xBB\xBF") ? body.substr(3) : body;
}

}  // namespace

json read_object(std::string_view body) {
  json parsed;
  try {
    parsed = common::parse_json(body, "the body");
  } catch (const common::Error& error) {
    throw ApiError(400, error.what(), "", "invalid_json");
  }
  if (!parsed.is_object()) throw ApiError(400, "the body should be a JSON object", "", "invalid_json");
  return parsed;
}

CompletionRequest read_completion(std::string_view body, bool chat, const ModelNames& names) {
  const json object = read_object(body);
  const Fields fields(object);
  CompletionRequest request;
  request.chat = chat;
  request.model = fields.text("model").value_or("");
  request.level = request.model.empty() ? names.default_level() : names.level_of(request.model);
  refuse_what_is_missing(fields, chat);
  request.max_tokens = read_max_tokens(fields);
  request.generate.sampler = read_sampler(fields);
  request.generate.stop = fields.texts("stop", kMostStops);
  request.generate.ignore_end = fields.flag("ignore_eos").value_or(false);  // of other servers, for measurements
  request.slo = read_slo(fields);
  if (request.slo && request.model.find(':', names.name().size()) != std::string::npos)
    throw ApiError(400, "slo chooses a level, and model names one; give one of them", "slo", "invalid_value");
  request.stream = fields.flag("stream").value_or(false);
  if (const auto options = fields.object("stream_options"))
    request.include_usage = options->flag("include_usage").value_or(false);
  if (chat) {
    read_chat(without_mark(body), fields, request);
  } else {
    request.prompt = read_prompt(fields);
  }
  return request;
}

}  // namespace elrt::serve
