#include "elrt/generator.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/guarded.hpp"
#include "elrt/tokenizer.hpp"
#include "text/speculative_reader.hpp"
#include "text/stop_matcher.hpp"

namespace elrt {
namespace {

using Clock = std::chrono::steady_clock;

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// Token ids to shown text: detokeniser, then stop strings, then the caller.
class TextOutput {
 public:
  TextOutput(const Tokenizer& tokenizer, const GenerateOptions& options, const TextCallback& on_text)
      : stream_(tokenizer, continuing()), stops_(options.stop), on_text_(on_text) {}

  // What ends the generation, if anything.
  std::optional<FinishReason> push(TokenId token) { return show(stops_.push(stream_.push(token))); }

  // The last characters: a stop string may still complete in them.
  std::optional<FinishReason> finish() {
    if (stops_.stopped()) return FinishReason::kStopString;
    std::string rest = stops_.push(stream_.finish());
    rest += stops_.finish();
    return show(std::move(rest));
  }

  std::string take_text() { return std::move(text_); }

 private:
  static DecodeOptions continuing() {
    DecodeOptions options;
    options.continues = true;
    return options;
  }

  std::optional<FinishReason> show(std::string piece) {
    text_ += piece;
    if (!piece.empty() && on_text_ && !on_text_(piece)) return FinishReason::kCancelled;
    if (stops_.stopped()) return FinishReason::kStopString;
    return std::nullopt;
  }

  TextStream stream_;
  StopMatcher stops_;
  const TextCallback& on_text_;
  std::string text_;
};

Result<void> check_prompt(const Session& session, std::span<const TokenId> prompt, bool keep_context) {
  if (prompt.empty()) return invalid_argument("the prompt has no tokens");
  const std::size_t before = keep_context ? session.tokens().size() : 0;
  if (prompt.size() > session.context_tokens() - before) {
    return invalid_argument("the prompt has " + std::to_string(prompt.size()) + " tokens" +
                            (before > 0 ? " after " + std::to_string(before) : "") + ", the context holds " +
                            std::to_string(session.context_tokens()) + "; shorten it");
  }
  return {};
}

bool ends(const Tokenizer& tokenizer, const GenerateOptions& options, TokenId token) {
  return tokenizer.ends_text(token) ||
         std::find(options.end_ids.begin(), options.end_ids.end(), token) != options.end_ids.end();
}

// Samples until something ends the text; `logits` are those after the prompt.
Result<FinishReason> decode(SpeculativeReader& reader, std::size_t context, const Tokenizer& tokenizer,
                            const GenerateOptions& options, Sampler& sampler, std::span<const float> logits,
                            TextOutput& output, Generation& result, Clock::time_point start) {
  Clock::time_point first = start;
  while (result.tokens.size() < options.max_tokens) {
    auto token = sampler.sample(logits);
    if (!token) return token.take_failure();
    const Clock::time_point now = Clock::now();
    if (result.tokens.empty()) result.ttft_ms = ms_between(start, first = now);
    if (!options.ignore_end && ends(tokenizer, options, token.value())) return FinishReason::kEndOfText;
    if (!result.tokens.empty()) result.tpot_ms = ms_between(first, now) / static_cast<double>(result.tokens.size());
    result.tokens.push_back(token.value());
    if (const auto ended = output.push(token.value())) return *ended;
    if (result.tokens.size() == options.max_tokens) break;
    if (reader.tokens_read() == context) return FinishReason::kContextFull;
    auto next = reader.read(result.tokens.back(), options.max_tokens - result.tokens.size() - 1);
    if (!next) return next.take_failure();
    logits = next.value();
  }
  return FinishReason::kMaxTokens;
}

}  // namespace

const char* finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEndOfText:
      return "end_of_text";
    case FinishReason::kStopString:
      return "stop_string";
    case FinishReason::kMaxTokens:
      return "max_tokens";
    case FinishReason::kContextFull:
      return "context_full";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

namespace {

// Whatever fails, a prompt and half an answer do not stay after the text that was there before.
class TextGuard {
 public:
  explicit TextGuard(Session& session) : session_(session), before_(session.tokens().size()) {}
  TextGuard(const TextGuard&) = delete;
  TextGuard& operator=(const TextGuard&) = delete;
  ~TextGuard() {
    if (!kept_) session_.truncate(before_);
  }
  void keep() { kept_ = true; }
  std::size_t before() const { return before_; }  // tokens

 private:
  Session& session_;
  std::size_t before_;
  bool kept_ = false;
};

// Tokens after the first may be made at a smaller level than the prompt was read at; the session has its own again at
// the end, and keeps nothing that the two made together.
class DecodeLevel {
 public:
  DecodeLevel(Session& session, const GenerateOptions& options)
      : session_(session),
        before_(session.level()),
        level_(options.decode_level == 0 || options.max_tokens < 2 ? before_ : options.decode_level) {}
  DecodeLevel(const DecodeLevel&) = delete;
  DecodeLevel& operator=(const DecodeLevel&) = delete;
  ~DecodeLevel() {
    if (session_.level() != before_) (void)session_.set_level(before_);  // a level that it had
  }

  static Result<void> check(const Session& session, std::uint32_t level) {
    if (level == 0 || level == session.level()) return {};
    if (level < session.level()) return session.can_draft(level);  // there is such a level
    return invalid_argument("a decode level of " + std::to_string(level) +
                            " was asked for, expected at most the level that reads the prompt, " +
                            std::to_string(session.level()));
  }
  // Once the prompt is read; its logits stay.
  Result<void> begin() { return session_.set_level(level_, CachePolicy::kReuse); }

 private:
  Session& session_;
  std::uint32_t before_, level_;
};

// The last token was sampled, but nothing had to be predicted from it: it waits, unread, for what continues the text.
Result<void> append_last(Session& session, std::size_t prompt_end, std::span<const TokenId> tokens) {
  const std::size_t end = prompt_end + tokens.size();
  if (session.tokens().size() + 1 != end || end > session.context_tokens()) return {};
  return session.append(tokens.last(1));
}

// `start` is when the caller asked: tokenising is part of the time to the first token.
Result<Generation> generate_from(Session& session, const Tokenizer& tokenizer, std::span<const TokenId> prompt,
                                 const GenerateOptions& options, const TextCallback& on_text, Clock::time_point start) {
  auto sampler = Sampler::create(options.sampler);
  if (!sampler) return sampler.take_failure();
  if (auto done = check_prompt(session, prompt, options.keep_context); !done) return done.take_failure();
  if (auto done = SpeculativeReader::check(session, options.speculation); !done) return done.take_failure();
  if (auto done = DecodeLevel::check(session, options.decode_level); !done) return done.take_failure();
  if (!options.keep_context) session.reset();
  TextGuard guard(session);
  DecodeLevel decode_level(session, options);
  Generation result;
  result.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
  const auto last = static_cast<std::uint32_t>(prompt.size() - 1);
  auto logits = session.forward(prompt, {&last, 1}, options.on_prompt);
  if (!logits && logits.failure().status == Status::kCancelled) {
    result.finish = FinishReason::kCancelled;
    return result;
  }
  if (!logits) return logits.take_failure();
  if (auto done = decode_level.begin(); !done) return done.take_failure();
  TextOutput output(tokenizer, options, on_text);
  SpeculativeReader reader(session, sampler.value(), options.speculation);
  auto finish = decode(reader, session.context_tokens(), tokenizer, options, sampler.value(), logits.value(), output,
                       result, start);
  reader.finish();
  result.speculation = reader.report();
  if (!finish) return finish.take_failure();
  result.finish = finish.value();
  if (result.finish != FinishReason::kCancelled) {
    if (const auto ended = output.finish()) result.finish = *ended;
  }
  result.text = output.take_text();
  if (auto done = append_last(session, guard.before() + prompt.size(), result.tokens); !done)
    return done.take_failure();
  guard.keep();
  return result;
}

}  // namespace

Result<Generation> generate(Session& session, const Tokenizer& tokenizer, std::string_view prompt,
                            const GenerateOptions& options, const TextCallback& on_text) {
  return guarded("generate", [&]() -> Result<Generation> {
    const Clock::time_point start = Clock::now();
    if (prompt.empty()) return invalid_argument("the prompt is empty; give at least one character");
    PromptOptions text;
    text.parse_special = options.parse_special;
    text.begin = !options.keep_context || session.tokens().empty();
    auto tokens = prompt_tokens(tokenizer, prompt, text);
    if (!tokens) return tokens.take_failure();
    return generate_from(session, tokenizer, tokens.value(), options, on_text, start);
  });
}

Result<Generation> generate(Session& session, const Tokenizer& tokenizer, std::span<const TokenId> prompt,
                            const GenerateOptions& options, const TextCallback& on_text) {
  return guarded("generate", [&] { return generate_from(session, tokenizer, prompt, options, on_text, Clock::now()); });
}

}  // namespace elrt
