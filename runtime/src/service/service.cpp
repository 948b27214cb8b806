#include "elrt/service.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include "base/guarded.hpp"
#include "base/utf8.hpp"
#include "elrt/compression.hpp"
#include "elrt/tlm.hpp"
#include "elrt/tokenizer.hpp"
#include "slo/pace.hpp"
#include "tokenizer/bert_text.hpp"

namespace elrt {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// What the TLM proposes must be among the decisions; the whole prompt always is.
SchedulerOptions scheduler_options(const ServiceOptions& options, const TlmShape* tlm) {
  SchedulerOptions chosen;
  chosen.fallback = options.fallback;
  chosen.seed = options.seed;
  chosen.margin = options.margin;
  chosen.phases = options.phases;
  if (tlm == nullptr) return chosen;
  chosen.decision_head = true;
  chosen.prompt_levels = tlm->prompt_levels;
  if (chosen.prompt_levels.back() != 100) chosen.prompt_levels.push_back(100);
  for (std::size_t i = 0; i < tlm->accuracy.size(); ++i) {
    const std::size_t columns = tlm->prompt_levels.size();
    if (!std::isfinite(tlm->accuracy[i])) continue;
    chosen.accuracy.push_back({{tlm->model_levels[i / columns], tlm->prompt_levels[i % columns]}, tlm->accuracy[i]});
  }
  return chosen;
}

// What is expected of every decision, on a scale of log odds: the heads' logits, of which the sum is the log of how
// likely the decision is the right one but for a constant; next to what the artifact expects of it whatever the prompt,
// where it says how much the heads are to be believed.
std::vector<ExpectedAccuracy> expectations(const TlmProposal& proposal, const TlmShape& shape) {
  std::vector<ExpectedAccuracy> all;
  for (std::size_t m = 0; m < shape.model_levels.size(); ++m) {
    for (std::size_t p = 0; p < shape.prompt_levels.size(); ++p) {
      double worth = static_cast<double>(proposal.model_logits[m]) + proposal.prompt_logits[p];
      if (shape.head_weight) {
        const double share = shape.accuracy[m * shape.prompt_levels.size() + p];
        worth = std::log(share / (1 - share)) + *shape.head_weight * worth;
      }
      all.push_back({{shape.model_levels[m], shape.prompt_levels[p]}, worth});
    }
  }
  return all;
}

// Of equals the larger prompt level, then the larger model level, as the scheduler's fallback has it.
Decision best_of(const std::vector<ExpectedAccuracy>& all) {
  const auto rank = [](const ExpectedAccuracy& e) {
    return std::tuple(e.accuracy, e.decision.prompt_level, e.decision.model_level);
  };
  return std::max_element(all.begin(), all.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); })
      ->decision;
}

Result<std::optional<Tlm>> open_tlm(const Artifact& artifact, const ServiceOptions& options) {
  if (artifact.tlm() == nullptr || !options.use_tlm) return std::optional<Tlm>{};
  auto tlm = Tlm::create(artifact, options.session.threads);
  if (!tlm) return tlm.take_failure();
  return std::optional<Tlm>(std::move(tlm).value());
}

}  // namespace

struct Service::Impl {
  std::shared_ptr<const Tokenizer> tokenizer;
  Session session;
  Scheduler scheduler;
  std::optional<Tlm> tlm;
  bool warm_up, follow_pace;
  Pace pace;
  std::vector<std::uint32_t> warm;  // levels whose weights are in memory, where that is looked after

  // A prompt on its way to the model.
  struct Prompt {
    std::vector<TokenId> tokens;
    WordPieces pieces;
    TextSpan question;
    SloRatios ratios;
    Request request;
  };

  Result<std::vector<TokenId>> to_tokens(const ServiceRequest& asked, std::string_view prompt) const;
  Result<void> warm_tlm();
  Result<void> warm_level(std::uint32_t level, std::span<const TokenId> tokens);
  Result<Generation> run(const ServiceRequest& asked, Decision decision, std::span<const TokenId> tokens,
                         const TextCallback& on_text);
  SloRatios ratios(const Request& request) const;
  Result<Choice> decide(const ServiceRequest& asked, const Request& request, Prompt& prompt, Answer& answer);
  Result<void> compress(const ServiceRequest& asked, std::uint32_t level, Prompt& prompt, Answer& answer);
  Result<void> prepare(const ServiceRequest& asked, Prompt& prompt, Answer& answer);
};

Result<std::vector<TokenId>> Service::Impl::to_tokens(const ServiceRequest& asked, std::string_view prompt) const {
  if (asked.tokens) return asked.tokens(prompt);
  PromptOptions text;
  text.parse_special = asked.generate.parse_special;
  return prompt_tokens(*tokenizer, prompt, text);
}

Result<void> Service::Impl::warm_tlm() {
  if (!warm_up || !tlm) return {};
  std::string words;
  for (int i = 0; i < 512; ++i) words += "a ";  // a long prompt's buffers
  auto pieces = tlm->wordpiece().encode(words);
  if (!pieces) return pieces.take_failure();
  if (auto done = tlm->decide(pieces.value(), {}); !done) return done.take_failure();
  if (auto done = tlm->score_words(pieces.value(), {}); !done) return done.take_failure();
  return {};
}

Result<void> Service::Impl::warm_level(std::uint32_t level, std::span<const TokenId> tokens) {
  if (!warm_up || std::find(warm.begin(), warm.end(), level) != warm.end()) return {};
  if (auto done = session.set_level(level); !done) return done.take_failure();
  session.reset();
  if (auto done = session.forward(tokens); !done) return done.take_failure();
  warm.push_back(level);
  return {};
}

// The SLO tokens stand for shares of the full model's time.
SloRatios Service::Impl::ratios(const Request& request) const {
  const Latency full = scheduler.full_latency(request), limits = scheduler.limits(request);
  return {limits.ttft_ms / full.ttft_ms, limits.tpot_ms / full.tpot_ms};
}

Result<Choice> Service::Impl::decide(const ServiceRequest& asked, const Request& request, Prompt& prompt,
                                     Answer& answer) {
  if (!tlm) {
    auto choice = scheduler.decide(request);
    if (choice && choice->feasible() && choice->decision.model_level == 100) choice->source = Choice::Source::kFull;
    return choice;
  }
  auto full = scheduler.full_decision(request);
  if (!full) return full.take_failure();
  if (full.value()) return *full.value();
  const auto start = Clock::now();
  auto pieces = tlm->wordpiece().encode(asked.prompt);
  if (!pieces) return pieces.take_failure();
  prompt.pieces = std::move(pieces).value();
  prompt.question = asked.question_bytes > 0 ? TextSpan{asked.prompt.size() - asked.question_bytes, asked.prompt.size()}
                                             : find_question(asked.prompt, prompt.pieces.words);
  tlm->wordpiece().mark_question(prompt.pieces, prompt.question);
  prompt.ratios = ratios(request);
  auto proposal = tlm->decide(prompt.pieces, prompt.ratios);
  if (!proposal) return proposal.take_failure();
  answer.tlm_asked = true;
  answer.tlm_ms = ms_since(start);
  const auto expected = expectations(proposal.value(), tlm->shape());
  return scheduler.decide(request, tlm->shape().head_weight ? best_of(expected) : proposal->decision, expected);
}

// The predicted time is that of the level's share of the tokens. Words of many tokens may be the ones that are kept:
// then fewer of them, in a few rounds, until they are no more than that, or only what must stay is left.
Result<void> Service::Impl::compress(const ServiceRequest& asked, std::uint32_t level, Prompt& prompt, Answer& answer) {
  constexpr int kRounds = 4;
  auto scores = tlm->score_words(prompt.pieces, prompt.ratios);
  if (!scores) return scores.take_failure();
  const auto& words = prompt.pieces.words;
  KeepRules rules;
  rules.numbers = asked.keep_numbers;
  rules.spans = {prompt.question};
  const std::vector<float> ranks = sentence_scores(asked.prompt, words, scores.value(), prompt.question);
  const std::size_t room = kept_words(prompt.tokens.size(), level);
  auto made = compress_prompt(asked.prompt, words, ranks, level, rules);
  for (int round = 0; made; ++round) {
    auto tokens = to_tokens(asked, made->text);
    if (!tokens) return tokens.take_failure();
    prompt.tokens = std::move(tokens).value();
    answer.prompt_words_kept = static_cast<std::size_t>(std::count(made->kept.begin(), made->kept.end(), true));
    answer.prompt = std::move(made->text);
    if (prompt.tokens.size() <= room || round == kRounds || made->words_kept <= 1) return {};
    const std::size_t before = made->words_kept;
    made = compress_prompt_to(asked.prompt, words, ranks,
                              std::clamp<std::size_t>(before * room / prompt.tokens.size(), 1, before - 1), rules);
    if (made && made->words_kept == before) return {};
  }
  return made.take_failure();
}

// From the request to the tokens that the model reads, and the decision.
Result<void> Service::Impl::prepare(const ServiceRequest& asked, Prompt& prompt, Answer& answer) {
  if (asked.prompt.empty()) return invalid_argument("the prompt is empty; give at least one character");
  if (tlm && !utf8::is_valid(asked.prompt)) return bad_data("the prompt is not UTF-8, so that it has no words to keep");
  if (asked.generate.keep_context)
    return invalid_argument("a request under an objective starts a text of its own; it cannot keep the context");
  if (asked.question_bytes > asked.prompt.size()) {
    return invalid_argument("the question has " + std::to_string(asked.question_bytes) +
                            " bytes, the whole prompt only " + std::to_string(asked.prompt.size()));
  }
  if (asked.generate.max_tokens == 0)
    return invalid_argument("no tokens are to be generated; an objective needs at least one");
  auto tokens = to_tokens(asked, asked.prompt);
  if (!tokens) return tokens.take_failure();
  prompt.tokens = std::move(tokens).value();
  const auto count = static_cast<std::uint32_t>(prompt.tokens.size());
  const std::uint32_t context = session.context_tokens(), room = context - std::min(context, count);
  if (const std::size_t least = kept_words(count, scheduler.decisions().front().prompt_level); least > context) {
    return invalid_argument("the prompt has " + std::to_string(count) + " tokens, " + std::to_string(least) +
                            " where it is shortened most; the context holds " + std::to_string(context) +
                            "; shorten it");
  }
  const Request request = prompt.request = {count, std::min(asked.generate.max_tokens, room + 1), asked.slo, context};
  auto choice = decide(asked, request, prompt, answer);
  if (!choice) return choice.take_failure();
  answer.choice = std::move(choice).value();
  answer.prompt = asked.prompt;
  answer.prompt_words = answer.prompt_words_kept =
      answer.tlm_asked ? prompt.pieces.words.size() : bert_words(asked.prompt).size();
  if (answer.choice.decision.prompt_level < 100) {
    const auto start = Clock::now();
    if (auto done = compress(asked, answer.choice.decision.prompt_level, prompt, answer); !done) return done;
    answer.choice = scheduler.settle(request, answer.choice, static_cast<std::uint32_t>(prompt.tokens.size()));
    answer.tlm_ms += ms_since(start);
  }
  return {};
}

Result<Generation> Service::Impl::run(const ServiceRequest& asked, Decision decision, std::span<const TokenId> tokens,
                                      const TextCallback& on_text) {
  if (auto done = session.set_level(decision.model_level); !done) return done.take_failure();
  GenerateOptions options = asked.generate;
  options.decode_level = decision.decode_level;
  return generate(session, *tokenizer, tokens, options, on_text);
}

Service::Service(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Service::Service(Service&&) noexcept = default;
Service& Service::operator=(Service&&) noexcept = default;
Service::~Service() = default;

Result<Service> Service::create(const Artifact& artifact, LatencyTable table, const ServiceOptions& options) {
  return guarded("create a service", [&]() -> Result<Service> {
    auto tokenizer = artifact.tokenizer();
    if (!tokenizer) return tokenizer.take_failure();
    auto session = Session::create(artifact, options.session);
    if (!session) return session.take_failure();
    if (auto done = table.check(artifact, session->threads(), session->kv_type()); !done) return done.take_failure();
    auto tlm = open_tlm(artifact, options);
    if (!tlm) return tlm.take_failure();
    auto scheduler =
        Scheduler::create(std::move(table), scheduler_options(options, tlm.value() ? artifact.tlm() : nullptr));
    if (!scheduler) return scheduler.take_failure();
    auto impl = std::make_unique<Impl>(Impl{std::move(tokenizer).value(),
                                            std::move(session).value(),
                                            std::move(scheduler).value(),
                                            std::move(tlm).value(),
                                            options.warm_up,
                                            options.follow_pace,
                                            {},
                                            {}});
    if (auto done = impl->warm_tlm(); !done) return done.take_failure();
    return Service(std::move(impl));
  });
}

bool Service::has_tlm() const { return impl_->tlm.has_value(); }
const Session& Service::session() const { return impl_->session; }

Result<Answer> Service::answer(const ServiceRequest& request, const TextCallback& on_text) {
  return guarded("answer a request", [&]() -> Result<Answer> {
    Impl& service = *impl_;
    const auto start = Clock::now();
    Answer answer;
    Impl::Prompt prompt;
    if (service.follow_pace) service.scheduler.set_pace(answer.pace = service.pace.factors());
    if (auto done = service.prepare(request, prompt, answer); !done) return done.take_failure();
    const double before_ms = ms_since(start);
    const Decision decision = answer.choice.decision;
    for (const std::uint32_t level : {decision.decode_level, decision.model_level}) {
      if (auto done = service.warm_level(level, prompt.tokens); !done) return done.take_failure();
    }
    auto generation = service.run(request, decision, prompt.tokens, on_text);
    if (!generation) return generation.take_failure();
    answer.generation = std::move(generation).value();
    const bool begun = answer.generation.finish != FinishReason::kCancelled || !answer.generation.tokens.empty();
    if (!begun) return answer;  // while the prompt was read: there are no times to learn from
    answer.generation.ttft_ms += before_ms;
    const Latency measured{answer.generation.ttft_ms, answer.generation.tpot_ms};
    const Latency& predicted = answer.choice.predicted;
    service.pace.observe({predicted.ttft_ms / answer.pace.ttft_ms, predicted.tpot_ms / answer.pace.tpot_ms},
                         {measured.ttft_ms, answer.generation.tokens.size() > 1 ? measured.tpot_ms : 0});
    answer.possible = service.scheduler.possible(prompt.request);  // here, as nobody waits for it
    answer.slo_met = slo_met(answer.choice.limits, measured, answer.generation.tokens.size());
    return answer;
  });
}

}  // namespace elrt
