// Requests under objectives on a tiny artifact, with latency tables that are set by hand.
#include "elrt/service.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <sstream>

#include "elrt/calibrate.hpp"
#include "elrt/elrt.h"
#include "elrt/tlm.hpp"
#include "elrt/tokenizer.hpp"
#include "slo/pace.hpp"
#include "unit/runtime/tiny_tlm.h"
#include "unit/runtime/tiny_tokenizer.h"

using namespace elastify_test;
using elrt::Answer;
using elrt::Artifact;
using elrt::Choice;
using elrt::Decision;
using elrt::LatencyData;
using elrt::LatencyTable;
using elrt::Service;
using elrt::ServiceOptions;
using elrt::ServiceRequest;
using elrt::Slo;

namespace {

constexpr double kDecisionMs = 1, kScoreMs = 2;

// TTFT is a millisecond a token at level 100, half and a fifth of it below; TPOT 10, 5 and 2 ms.
LatencyData linear_table(const Artifact& artifact, bool tlm = true) {
  LatencyData data;
  data.artifact = artifact.identity();
  data.device = elrt::device_description().value();
  data.threads = 1;
  data.repeats = 1;
  data.tokens = {1, 1000};
  data.levels = {{20, {0.2, 200}, {2, 2}}, {50, {0.5, 500}, {5, 5}}, {100, {1, 1000}, {10, 10}}};
  if (tlm) data.tlm = {{kDecisionMs, kDecisionMs}, {kScoreMs, kScoreMs}};
  return data;
}

// An artifact whose TLM always proposes `decision`; {0, 0}: what its random weights say.
struct Setup {
  TemporaryFile file;
  Artifact artifact;
  std::shared_ptr<const elrt::Tokenizer> tokenizer;

  static std::vector<unsigned char> bytes(bool tlm, Decision decision, const std::vector<float>& accuracy,
                                          std::optional<float> head_weight) {
    GgufBuilder builder = tiny_artifact_with_tokenizer();
    if (tlm) add_tiny_tlm(builder, decision.model_level, decision.prompt_level);
    if (!accuracy.empty()) builder.metadata["elastic.tlm.accuracy"] = accuracy;
    if (head_weight) builder.metadata["elastic.tlm.head_weight"] = *head_weight;
    return builder.build();
  }
  explicit Setup(Decision decision = {0, 0}, bool tlm = true, const std::vector<float>& accuracy = {},
                 std::optional<float> head_weight = {})
      : file(bytes(tlm, decision, accuracy, head_weight)),
        artifact(std::move(Artifact::open(file.path())).value()),
        tokenizer(artifact.tokenizer().value()) {}

  Service service(ServiceOptions options = {}) const {
    return service(linear_table(artifact, artifact.tlm() != nullptr), options);
  }
  Service service(LatencyData data, ServiceOptions options = {}) const {
    options.session.threads = 1;
    auto made = Service::create(artifact, LatencyTable::create(std::move(data)).value(), options);
    if (!made) FAIL(made.failure().message);
    return std::move(made).value();
  }
  std::size_t tokens(const std::string& text) const { return elrt::prompt_tokens(*tokenizer, text)->size(); }
};

ServiceRequest request(std::string_view prompt, Slo slo, std::uint32_t max_tokens = 3) {
  ServiceRequest made{prompt, slo, {}};
  made.generate.max_tokens = max_tokens;
  made.generate.ignore_end = true;
  return made;
}

Slo ratio(double ttft, double tpot) { return {Slo::Unit::kRatio, ttft, tpot}; }

Answer answer(Service& service, const ServiceRequest& asked) {
  auto made = service.answer(asked);
  if (!made) FAIL(made.failure().message);
  return std::move(made).value();
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// Is `part` what is left of `whole` when words are taken out?
bool is_subsequence(const std::vector<std::string>& part, const std::vector<std::string>& whole) {
  std::size_t at = 0;
  for (const auto& word : whole) at += at < part.size() && part[at] == word ? 1 : 0;
  return at == part.size();
}

const std::string kPrompt = "ab cab c ba\nca bca a cb ac ab\nbb cc ab";

}  // namespace

TEST_CASE("the full decision is taken without asking the TLM where that is feasible", "[runtime][service][unit]") {
  const Setup setup({20, 50});
  Service service = setup.service();
  CHECK(service.has_tlm());
  const Answer full = answer(service, request(kPrompt, ratio(1, 1)));
  CHECK(full.choice.decision == Decision{100, 100});
  CHECK(full.choice.source == Choice::Source::kFull);
  CHECK_FALSE(full.tlm_asked);
  CHECK(full.tlm_ms == 0);
  CHECK(full.choice.predicted.ttft_ms == Approx(setup.tokens(kPrompt)));  // no TLM time in it
  CHECK(full.prompt == kPrompt);
  CHECK(full.prompt_words == 13);
  CHECK(full.prompt_words_kept == 13);
  CHECK(answer(service, request(kPrompt, ratio(0.99, 1))).tlm_asked);
  // The full model reads in time, and half of it writes in time.
  const Answer written_below = answer(service, request(kPrompt, ratio(1, 0.99)));
  CHECK_FALSE(written_below.tlm_asked);
  CHECK(written_below.choice.source == Choice::Source::kFull);
  CHECK(written_below.choice.decision == Decision{100, 100, 50});
  ServiceOptions one_level;
  one_level.phases = false;
  Service plain = setup.service(one_level);
  CHECK(answer(plain, request(kPrompt, ratio(1, 0.99))).tlm_asked);
}

namespace {

// An answer as a session gives it that is driven by hand: the prompt at one level, what follows it at another.
std::vector<elrt::TokenId> by_hand(const Setup& setup, const std::string& prompt, Decision decision,
                                   std::uint32_t count) {
  elrt::SessionOptions options;
  options.level = decision.model_level;
  auto session = elrt::Session::create(setup.artifact, options);
  const auto tokens = elrt::prompt_tokens(*setup.tokenizer, prompt).value();
  auto logits = session->forward(tokens).value();
  std::vector<elrt::TokenId> made;
  while (true) {
    made.push_back(static_cast<elrt::TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    if (made.size() == count) return made;
    if (made.size() == 1) REQUIRE(session->set_level(decision.decode_level, elrt::CachePolicy::kReuse));
    logits = session->forward(std::vector<elrt::TokenId>{made.back()}).value();
  }
}

}  // namespace

TEST_CASE("an answer on two levels is what a session gives that is driven by hand, and leaves nothing for the next",
          "[runtime][service][unit]") {
  const Setup bare({}, false), compressing({100, 50});
  int differ_from_reading = 0, differ_from_writing = 0;
  for (const Setup* setup : {&bare, &compressing}) {
    for (const bool warm_up : {false, true}) {
      ServiceOptions options;
      options.follow_pace = false;
      options.warm_up = warm_up;
      Service service = setup->service(options);
      for (int i = 0; i < 6; ++i) {
        std::string prompt = kPrompt;
        for (int n = 0; n < i; ++n) prompt = "ba c" + std::to_string(n) + " " + prompt;
        ServiceRequest asked = request(prompt, ratio(setup == &bare ? 1 : 0.95, i % 2 == 0 ? 0.6 : 0.3), 8);
        if (i == 4) asked.generate.speculation.draft_level = 20;  // changes speed alone
        const Answer made = answer(service, asked);
        const Decision decision = made.choice.decision;
        CHECK(decision == Decision{100, setup == &bare ? 100u : 50u, i % 2 == 0 ? 50u : 20u});
        CHECK(made.choice.predicted.tpot_ms == Approx(i % 2 == 0 ? 5 : 2));
        CHECK(made.generation.tokens == by_hand(*setup, made.prompt, decision, 8));
        CHECK(service.session().level() == 100);
        const std::uint32_t low = decision.decode_level;
        differ_from_reading += made.generation.tokens != by_hand(*setup, made.prompt, {100, 100}, 8) ? 1 : 0;
        differ_from_writing += made.generation.tokens != by_hand(*setup, made.prompt, {low, 100}, 8) ? 1 : 0;
        // The same prompt at one level, small or full, after a mixed cache.
        const Decision full{100, 100}, small{50, 100};
        CHECK(answer(service, request(prompt, ratio(1, 1), 8)).generation.tokens == by_hand(*setup, prompt, full, 8));
        if (setup == &bare)
          CHECK(answer(service, request(prompt, ratio(0.5, 1), 8)).generation.tokens ==
                by_hand(*setup, prompt, small, 8));
      }
      ServiceRequest cut = request(kPrompt, ratio(1, 0.6), 8);
      int pieces = 0;
      CHECK(service.answer(cut, [&](std::string_view) { return ++pieces < 2; })->generation.finish ==
            elrt::FinishReason::kCancelled);
      CHECK(service.session().level() == 100);
      CHECK(answer(service, request(kPrompt, ratio(1, 1), 8)).generation.tokens ==
            by_hand(*setup, kPrompt, {100, 100}, 8));
      // One token is the prompt's to give.
      CHECK(answer(service, request(kPrompt, ratio(1, 0.1), 1)).choice.decision == Decision{100, 100});
    }
  }
  CHECK(differ_from_reading > 4);
  CHECK(differ_from_writing > 4);
}

TEST_CASE("a feasible proposal is carried out: the prompt is compressed and generation continues it",
          "[runtime][service][unit]") {
  const Setup setup({50, 50});
  Service service = setup.service();
  const auto whole = setup.tokens(kPrompt);
  const Answer made = answer(service, request(kPrompt, ratio(0.9, 0.6)));
  CHECK(made.choice.decision == Decision{50, 50});
  CHECK(made.choice.source == Choice::Source::kProposed);
  CHECK(made.tlm_asked);
  CHECK(made.tlm_ms > 0);
  CHECK(made.generation.ttft_ms > made.tlm_ms);
  CHECK(made.prompt_words == 13);
  CHECK(made.prompt_words_kept < 13);
  CHECK(words_of(made.prompt).size() == made.prompt_words_kept);
  CHECK(is_subsequence(words_of(made.prompt), words_of(kPrompt)));
  CHECK((made.prompt.size() > 8 && made.prompt.substr(made.prompt.size() - 8) == "bb cc ab"));  // the question
  CHECK(made.generation.prompt_tokens == setup.tokens(made.prompt));
  CHECK(made.generation.prompt_tokens <= (whole + 1) / 2);
  CHECK(made.choice.predicted.ttft_ms == Approx(0.5 * made.generation.prompt_tokens + kDecisionMs + kScoreMs));
  CHECK(service.session().level() == 50);
  // The answer is what generate() makes of the compressed prompt at that level.
  elrt::SessionOptions options;
  options.level = 50;
  auto session = elrt::Session::create(setup.artifact, options);
  REQUIRE(session.ok());
  const auto plain = elrt::generate(session.value(), *setup.tokenizer, made.prompt, request("", {}).generate);
  REQUIRE(plain.ok());
  CHECK(plain->tokens == made.generation.tokens);
}

TEST_CASE("an infeasible proposal falls back to what the decision-head likes best of the feasible",
          "[runtime][service][unit]") {
  const Setup setup({100, 100});
  Service service = setup.service();
  const Answer whole = answer(service, request(kPrompt, ratio(0.5, 1)));
  CHECK(whole.choice.source == Choice::Source::kFallback);
  CHECK(whole.choice.decision == Decision{20, 100});  // level 50 takes exactly half, without the TLM
  CHECK(whole.prompt == kPrompt);
  const Setup informed({100, 100}, true, {0.3f, NAN, 0.8f, NAN, NAN, 0.9f});
  Service by_accuracy = informed.service();
  // What is known of all prompts does not overrule what is expected of this one.
  CHECK(answer(by_accuracy, request(kPrompt, ratio(0.5, 1))).choice.decision == Decision{20, 100});
  const Answer missed = answer(service, request(kPrompt, {Slo::Unit::kMilliseconds, 0.001, 1000}));
  CHECK(missed.choice.source == Choice::Source::kFastest);
  CHECK_FALSE(missed.choice.feasible());
  CHECK_FALSE(missed.slo_met);
}

TEST_CASE("with a weight for the heads, what the artifact expects of decisions counts next to their logits",
          "[runtime][service][unit]") {
  // Model levels 20, 50, 100 by prompt levels 50, 100: level 50 on half of the prompt is expected to be best.
  std::vector<float> accuracy(6, 0.3f);
  accuracy[2] = 0.6f;
  const Setup ignored({20, 100}, true, accuracy, 0.0f);
  Service prior = ignored.service();
  const Answer chosen = answer(prior, request(kPrompt, ratio(0.99, 1)));
  CHECK(chosen.choice.decision == Decision{50, 50});
  CHECK(chosen.choice.source == Choice::Source::kProposed);
  // The heads' bias outweighs that where they are believed.
  const Setup believed({20, 100}, true, accuracy, 4.0f);
  Service heads = believed.service();
  CHECK(answer(heads, request(kPrompt, ratio(0.99, 1))).choice.decision == Decision{20, 100});
  // Among equals nothing is saved: of what is feasible the largest prompt level, then the largest model level.
  const Setup equals({20, 50}, true, std::vector<float>(6, 0.3f), 0.0f);
  Service idle = equals.service();
  const Answer heaviest = answer(idle, request(kPrompt, ratio(0.99, 1)));
  CHECK(heaviest.choice.source == Choice::Source::kFallback);
  CHECK(heaviest.choice.decision == Decision{50, 100});
}

TEST_CASE("without a TLM, or without leave to ask it, only levels are chosen", "[runtime][service][unit]") {
  const Setup bare({}, false), setup({20, 50});
  ServiceOptions silent;
  silent.use_tlm = false;
  Service services[] = {bare.service(), setup.service(silent)};
  for (Service& service : services) {
    CHECK_FALSE(service.has_tlm());
    const Answer made = answer(service, request(kPrompt, ratio(0.5, 1)));
    CHECK(made.choice.decision == Decision{50, 100});
    CHECK_FALSE(made.tlm_asked);
    CHECK(made.prompt == kPrompt);
    CHECK(made.prompt_words == 13);
  }
}

TEST_CASE("no answer breaks an objective that its decision was said to keep", "[runtime][service][unit]") {
  std::mt19937 random(9);
  for (const Decision proposed : {Decision{0, 0}, {50, 50}, {100, 50}, {20, 100}}) {
    const Setup setup(proposed);
    for (const auto fallback : {elrt::Fallback::kBest, elrt::Fallback::kRandom}) {
      ServiceOptions options;
      options.fallback = fallback;
      options.follow_pace = false;
      Service service = setup.service(options);
      for (int round = 0; round < 40; ++round) {
        std::string prompt;
        for (std::size_t i = 1 + random() % 12; i > 0; --i)
          prompt +=
              std::string(1 + random() % 3, static_cast<char>('a' + random() % 3)) + (random() % 5 == 0 ? "\n" : " ");
        const Slo slo =
            ratio(0.2 + 0.1 * static_cast<double>(random() % 9), 0.5 + 0.1 * static_cast<double>(random() % 6));
        const Answer made = answer(service, request(prompt, slo, 1 + random() % 4));
        const Choice& choice = made.choice;
        const double per_token = choice.decision.model_level == 20 ? 0.2 : choice.decision.model_level == 50 ? 0.5 : 1;
        const double tlm = (made.tlm_asked ? kDecisionMs : 0) + (choice.decision.prompt_level < 100 ? kScoreMs : 0);
        CHECK(choice.predicted.ttft_ms == Approx(std::max(1u, made.generation.prompt_tokens) * per_token + tlm));
        CHECK(choice.limits.ttft_ms == Approx(slo.ttft * static_cast<double>(setup.tokens(prompt))));
        if (!choice.feasible()) continue;
        CHECK(choice.predicted.ttft_ms <= choice.limits.ttft_ms + 1e-9);
        const std::uint32_t decode = choice.decision.decode_level;
        const double written = decode == 20 ? 0.2 : decode == 50 ? 0.5 : 1;
        CHECK(decode <= choice.decision.model_level);
        CHECK((made.generation.tokens.size() == 1 || written * 10 <= slo.tpot * 10 + 1e-9));
      }
    }
  }
}

TEST_CASE("decisions follow how the device keeps up with its table", "[runtime][service][unit]") {
  const Setup setup({0, 0}, false);
  LatencyData slow = linear_table(setup.artifact, false);  // a thousand times what the tiny model takes, and more
  for (auto& level : slow.levels) {
    for (auto* curve : {&level.ttft_ms, &level.tpot_ms}) {
      for (double& ms : *curve) ms *= 1000;
    }
  }
  for (const bool follow : {true, false}) {
    ServiceOptions options;
    options.follow_pace = follow;
    Service service = setup.service(slow, options);
    for (std::size_t i = 0; i < elrt::Pace::kFewest; ++i) {
      const Answer before = answer(service, request(kPrompt, ratio(0.5, 0.5)));
      CHECK(before.pace.ttft_ms == 1);
      CHECK(before.choice.decision.model_level == 50);
    }
    const Answer after = answer(service, request(kPrompt, ratio(0.5, 0.5)));
    CHECK(after.pace.ttft_ms == (follow ? elrt::Pace::kLeast : 1));
    CHECK(after.pace.tpot_ms == (follow ? elrt::Pace::kLeast : 1));
    CHECK(after.choice.decision.model_level == (follow ? 100u : 50u));
    CHECK(after.choice.limits.ttft_ms ==
          Approx(500.0 * static_cast<double>(setup.tokens(kPrompt))));  // the objective stays the table's
  }
}

TEST_CASE("the pace is what nearly all of the last requests took, as a multiple of the table",
          "[runtime][service][unit]") {
  elrt::Pace pace;
  for (std::size_t i = 0; i + 1 < elrt::Pace::kFewest; ++i) pace.observe({10, 1}, {20, 0});
  CHECK(pace.factors().ttft_ms == 1);
  pace.observe({10, 1}, {20, 3});
  CHECK(pace.factors().ttft_ms == 2);
  CHECK(pace.factors().tpot_ms == 1);  // one token's alone
  for (std::size_t i = 0; i < elrt::Pace::kWindow; ++i)
    pace.observe({10, 1}, {i == 5 ? 500.0 : 12.0, i < 4 ? 1.4 : 1.0});
  CHECK(pace.factors().ttft_ms == 1.2);  // one in a hundred may be slow, and what was before is forgotten
  CHECK(pace.factors().tpot_ms == 1.4);  // four may not,
  for (std::size_t i = 0; i < elrt::Pace::kWindow; ++i) pace.observe({10, 1}, {20, i < 4 ? 40.0 : 1.0});
  CHECK(pace.factors().tpot_ms == elrt::Pace::kSpread);  // unless something else interrupts them
  for (std::size_t i = 0; i < elrt::Pace::kWindow; ++i) pace.observe({10, 1}, {1e6, 1e-6});
  CHECK(pace.factors().ttft_ms == elrt::Pace::kMost);
  CHECK(pace.factors().tpot_ms == elrt::Pace::kLeast);
}

TEST_CASE("a question that is named, and numbers if asked, are not shortened", "[runtime][service][unit]") {
  const Setup setup({20, 50});
  Service service = setup.service();
  ServiceRequest asked = request("ab c 1 ba ca bb ab 22 ca bc ca ab", ratio(0.9, 1));
  asked.question_bytes = 8;
  asked.keep_numbers = true;
  const Answer made = answer(service, asked);
  REQUIRE(made.choice.decision.prompt_level == 50);
  CHECK_THAT(made.prompt, Catch::Matchers::EndsWith("bc ca ab"));
  CHECK_THAT(made.prompt, Catch::Matchers::Contains("1"));
  CHECK_THAT(made.prompt, Catch::Matchers::Contains("22"));
}

TEST_CASE("odd prompts and objectives are answered or refused, never worse", "[runtime][service][unit]") {
  const Setup setup({50, 50});
  Service service = setup.service();
  for (const std::string& prompt :
       std::vector<std::string>{" ", "\n\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\xE2\x98\x83 \xF0\x9F\x98\x80",
                                "? ? ?", std::string("a\0b", 3)}) {
    CHECK(service.answer(request(prompt, ratio(0.9, 0.9))).ok());
  }
  CHECK(service.answer(request("", ratio(0.9, 0.9))).failure().status == elrt::Status::kInvalidArgument);
  CHECK(service.answer(request("a \xFF", ratio(0.9, 0.9))).failure().status == elrt::Status::kBadData);
  CHECK(service.answer(request(std::string(500, 'b'), ratio(0.9, 0.9))).failure().status ==
        elrt::Status::kInvalidArgument);
  for (const double wrong :
       {0.0, -0.5, 1.5, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CHECK(service.answer(request(kPrompt, ratio(wrong, 1))).failure().status == elrt::Status::kInvalidArgument);
    CHECK(service.answer(request(kPrompt, ratio(1, wrong))).failure().status == elrt::Status::kInvalidArgument);
  }
  ServiceRequest continued = request("a", ratio(1, 1));
  continued.generate.keep_context = true;
  CHECK(service.answer(continued).failure().status == elrt::Status::kInvalidArgument);
  ServiceRequest beyond = request("a", ratio(1, 1));
  beyond.question_bytes = 2;
  CHECK(service.answer(beyond).failure().status == elrt::Status::kInvalidArgument);
}

TEST_CASE("a prompt beyond the context is shortened until it fits, or refused before it costs anything",
          "[runtime][service][unit]") {
  const Setup setup;
  Service service = setup.service();
  const std::uint32_t context = service.session().context_tokens();
  std::string prompt;
  while (setup.tokens(prompt + "\nbb cc ab") <= context + context / 4) prompt += "ab cab. ";
  prompt += "\nbb cc ab";
  const Answer shortened = answer(service, request(prompt, ratio(1, 1)));
  CHECK(shortened.choice.decision.prompt_level == 50);
  CHECK(shortened.possible);
  CHECK(shortened.generation.prompt_tokens <= context);
  for (int i = 0; i < 3; ++i) prompt += prompt;
  const auto refused = service.answer(request(prompt, ratio(1, 1)));
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().message.find("where it is shortened most") != std::string::npos);
  CHECK(service.answer(request(kPrompt, ratio(1, 1), 0)).failure().status == elrt::Status::kInvalidArgument);
}

TEST_CASE("a table of another artifact, device or without the TLM's times is refused", "[runtime][service][unit]") {
  const Setup setup;
  const auto status = [&](LatencyData data) {
    ServiceOptions options;
    options.session.threads = 1;
    const auto made = Service::create(setup.artifact, LatencyTable::create(std::move(data)).value(), options);
    return made ? elrt::Status::kOk : made.failure().status;
  };
  LatencyData data = linear_table(setup.artifact);
  CHECK(status(data) == elrt::Status::kOk);
  data.artifact ^= 1;
  CHECK(status(data) == elrt::Status::kBadData);
  data = linear_table(setup.artifact);
  data.device = "another";
  CHECK(status(data) == elrt::Status::kBadData);
  CHECK(status(linear_table(setup.artifact, false)) == elrt::Status::kBadData);
}

TEST_CASE("requests that are cancelled while their prompt is read say nothing about the device's pace",
          "[runtime][service][unit]") {
  const Setup setup;
  Service service = setup.service();
  ServiceRequest cancelled = request(kPrompt, ratio(1, 1));
  cancelled.generate.on_prompt = [](std::size_t, std::size_t) { return false; };
  for (int i = 0; i < 20; ++i) {
    const Answer stopped = answer(service, cancelled);
    CHECK(stopped.generation.finish == elrt::FinishReason::kCancelled);
    CHECK(stopped.generation.tokens.empty());
    CHECK_FALSE(stopped.slo_met);
  }
  const Answer whole = answer(service, request(kPrompt, ratio(1, 1)));
  CHECK(whole.generation.tokens.size() == 3);
  CHECK(whole.pace.ttft_ms == 1);
}

TEST_CASE("a calibration measures the TLM, and the C API answers under its table", "[runtime][service][unit]") {
  const Setup setup({50, 50});
  const std::string path = setup.file.path().string(), table_path = path + ".latency.json";
  elrt::CalibrateOptions options;
  options.threads = 1;
  options.repeats = 2;
  options.lengths = {8, 32};
  const auto table = elrt::calibrate(setup.artifact, options);
  REQUIRE(table.ok());
  const auto& tlm = table->data().tlm;
  REQUIRE(tlm.decision_ms.size() == 2);
  REQUIRE(tlm.score_ms.size() == 2);
  CHECK(tlm.decision_ms[0] > 0);
  CHECK(tlm.decision_ms[1] >= tlm.decision_ms[0]);
  CHECK(tlm.score_ms[0] > 0);
  REQUIRE(LatencyTable::create(linear_table(setup.artifact))->write(table_path).ok());

  elrt_engine* engine = nullptr;
  elrt_service* service = nullptr;
  REQUIRE(elrt_engine_open(path.c_str(), &engine) == ELRT_OK);
  elrt_service_options service_options;
  ELRT_INIT(&service_options);
  service_options.threads = 1;
  REQUIRE(elrt_service_open(engine, nullptr, &service_options, &service) == ELRT_OK);
  elrt_engine_close(engine);
  CHECK(elrt_service_has_tlm(service) == 1);
  elrt_generate_options generate;
  ELRT_INIT(&generate);
  generate.max_tokens = 2;
  elrt_objective objective;
  ELRT_INIT(&objective);
  objective.ttft = 0.9, objective.tpot = 0.6;
  elrt_choice choice;
  ELRT_INIT(&choice);
  elrt_generate_result generation;
  ELRT_INIT(&generation);
  elrt_answer_result result;
  ELRT_INIT(&result);
  result.choice = &choice, result.generation = &generation;
  REQUIRE(elrt_answer(service, kPrompt.data(), kPrompt.size(), &objective, &generate, nullptr, nullptr, &result) ==
          ELRT_OK);
  CHECK(choice.level == 50);
  CHECK(choice.prompt_level == 50);
  CHECK(choice.decode_level == 50);
  CHECK(choice.source == ELRT_DECISION_PROPOSED);
  CHECK(generation.generated_tokens == 2);
  CHECK(generation.finish == ELRT_FINISH_MAX_TOKENS);
  CHECK(result.choice == &choice);
  CHECK(result.prompt_words == 13);
  CHECK(result.prompt_words_kept < 13);
  objective.ttft = 0;
  CHECK(elrt_answer(service, "a", 1, &objective, nullptr, nullptr, nullptr, nullptr) == ELRT_INVALID_ARGUMENT);
  CHECK(elrt_answer(service, "a", 1, nullptr, nullptr, nullptr, nullptr, nullptr) == ELRT_INVALID_ARGUMENT);
  objective.ttft = 1;
  REQUIRE(elrt_answer(service, kPrompt.data(), kPrompt.size(), &objective, &generate, nullptr, nullptr, &result) ==
          ELRT_OK);
  CHECK(choice.level == 100);
  CHECK(choice.decode_level == 50);
  elrt_service* one_level = nullptr;
  service_options.one_level = 1;
  REQUIRE(elrt_engine_open(path.c_str(), &engine) == ELRT_OK);
  REQUIRE(elrt_service_open(engine, nullptr, &service_options, &one_level) == ELRT_OK);
  REQUIRE(elrt_answer(one_level, kPrompt.data(), kPrompt.size(), &objective, &generate, nullptr, nullptr, &result) ==
          ELRT_OK);
  CHECK(choice.level == 50);
  CHECK(choice.decode_level == 50);
  elrt_service_close(one_level);
  // A scheduler's caller carries decisions out itself, so that it asks for decode levels.
  elrt_session* session = nullptr;
  elrt_session_options threads;
  ELRT_INIT(&threads);
  threads.threads = 1;
  REQUIRE(elrt_session_create(engine, &threads, &session) == ELRT_OK);
  elrt_request asked;
  ELRT_INIT(&asked);
  asked.prompt_tokens = 20, asked.output_tokens = 4, asked.ttft = 1, asked.tpot = 0.6;
  for (const int phases : {0, 1}) {
    elrt_scheduler_options decide;
    ELRT_INIT(&decide);
    decide.phases = phases;
    elrt_scheduler* scheduler = nullptr;
    REQUIRE(elrt_scheduler_open(engine, session, nullptr, &decide, &scheduler) == ELRT_OK);
    REQUIRE(elrt_decide(scheduler, &asked, &choice) == ELRT_OK);
    CHECK(choice.level == (phases ? 100u : 50u));
    CHECK(choice.decode_level == 50);
    elrt_scheduler_close(scheduler);
  }
  generate.decode_level = 50;
  CHECK(elrt_generate(session, "ab", 2, &generate, nullptr, nullptr, nullptr) == ELRT_OK);
  generate.decode_level = 51;
  CHECK(elrt_generate(session, "ab", 2, &generate, nullptr, nullptr, nullptr) == ELRT_INVALID_ARGUMENT);
  elrt_session_destroy(session);
  elrt_engine_close(engine);
  choice.struct_size = 1;
  objective.ttft = 0.9;
  CHECK(elrt_answer(service, "a", 1, &objective, nullptr, nullptr, nullptr, &result) == ELRT_INVALID_ARGUMENT);
  CHECK(std::string(elrt_last_error()).find("elrt_choice") != std::string::npos);
  elrt_service_close(service);
  std::remove(table_path.c_str());
}
