// The order of work, and objectives from which the time that was waited is taken away.
#include <catch2/catch.hpp>
#include <fstream>

#include "serve/engine.hpp"
#include "serving.h"

namespace {

using namespace elastify_test;
using elrt::serve::Clock;
using elrt::serve::Ticket;
using elrt::serve::Work;
using nlohmann::json;
using std::chrono::milliseconds;

std::shared_ptr<Ticket> ticket(Clock::time_point arrival, std::optional<double> ttft_ms) {
  Work work;
  work.arrival = arrival;
  if (ttft_ms) work.objective.emplace().limits.ttft_ms = *ttft_ms;
  return std::make_shared<Ticket>(std::move(work));
}

GgufBuilder artifact() { return chat_artifact(chat_tokenizer(), 256); }

// A table for artifact() whose times are set by hand: level 100 reads any prompt in 4 s, 50 in 2 s, 20 in 1 s; a token
// takes a tenth of that.
class Table {
 public:
  Table() {
    const TemporaryFile model(artifact().build());
    elrt::CalibrateOptions options;
    options.threads = 1, options.repeats = 1, options.max_tokens = 32;
    const auto measured = elrt::calibrate(elrt::Artifact::open(model.path()).value(), options).value();
    REQUIRE(measured.write(path()).ok());
    json content = json::parse(std::ifstream(path()));
    content["tokens"] = {16, 256};
    for (std::size_t i = 0; i < 3; ++i) {
      const double full = i == 0 ? 1000 : i == 1 ? 2000 : 4000;
      content["levels"][i]["ttft_ms"] = {full, full};
      content["levels"][i]["tpot_ms"] = {full / 10, full / 10};
    }
    std::ofstream(path()) << content.dump();
  }
  std::filesystem::path path() const { return folder_ / "table.json"; }

 private:
  TempDir folder_;
};

json objective(const std::string& unit, double ttft, double tpot) {
  return {{"prompt", "ab cab"},
          {"max_tokens", 4},
          {"temperature", 0},
          {"ignore_eos", true},
          {"slo", {{"ttft" + unit, ttft}, {"tpot" + unit, tpot}}}};
}

}  // namespace

TEST_CASE("the earliest deadline that is not past goes first, then late ones, then those without", "[serve]") {
  const auto now = Clock::now();
  elrt::serve::WorkQueue queue(6);
  const auto plain = ticket(now - milliseconds(900), std::nullopt), later_plain = ticket(now, std::nullopt);
  const auto late = ticket(now - milliseconds(300), 100), later = ticket(now - milliseconds(10), 5);
  const auto loose = ticket(now - milliseconds(500), 1000), tight = ticket(now, 80);
  for (const auto& each : {plain, later_plain, late, later, loose, tight}) CHECK(queue.add(each));
  CHECK_FALSE(queue.add(plain));
  for (const auto& each : {tight, loose, late, later, plain, later_plain}) CHECK(queue.next(now) == each);
  CHECK(queue.next(now) == nullptr);
}

TEST_CASE("what has left the queue is not in it", "[serve]") {
  elrt::serve::WorkQueue queue(2);
  const auto one = ticket(Clock::now(), std::nullopt), other = ticket(Clock::now(), std::nullopt);
  CHECK(queue.add(one));
  CHECK(queue.add(other));
  CHECK(queue.remove(*one));
  CHECK_FALSE(queue.remove(*one));
  CHECK(queue.next(Clock::now()) == other);
}

TEST_CASE("an objective chooses the level, and the answer says what was decided", "[serve]") {
  const Table table;
  const Serving serving(artifact(), [&](auto& options) {
    options.engine.table = table.path();
    options.engine.service.follow_pace = false;  // by the table alone
  });
  struct Case {
    json body;
    int level, decode_level;
    const char* source;
    bool met;
  };
  const std::vector<Case> cases = {{objective("_ms", 5000, 500), 100, 100, "full", true},
                                   {objective("_ms", 2500, 500), 50, 50, "fallback", true},
                                   {objective("_ms", 5000, 150), 100, 20, "full", true},
                                   {objective("", 0.55, 1), 50, 50, "fallback", true},
                                   {objective("_ms", 1e-4, 1e-4), 20, 20, "fastest", false}};
  for (const Case& one : cases) {
    const json answer = serving.answer("/v1/completions", one.body);
    INFO(answer.dump(1));
    REQUIRE(answer["status"] == 200);
    const json& elastic = answer["elastic"];
    CHECK(elastic["level"] == one.level);
    CHECK(elastic["decode_level"] == one.decode_level);
    CHECK(elastic["prompt_level"] == 100);
    CHECK(elastic["decision_source"] == one.source);
    CHECK(elastic["slo_met"] == one.met);
    CHECK(elastic["prompt_words"] == elastic["prompt_words_kept"]);
    CHECK(elastic["predicted_ttft_ms"].get<double>() >= one.level * 40 - 1);
    CHECK(elastic["ttft_ms"].get<double>() > elastic["queued_ms"].get<double>());
    // The text is that of generate at these levels.
    elrt::GenerateOptions options;
    options.max_tokens = 4, options.ignore_end = true;
    options.decode_level = static_cast<std::uint32_t>(one.decode_level);
    auto session =
        elrt::Session::create(serving.artifact, {.level = static_cast<std::uint32_t>(one.level), .threads = 1}).value();
    const auto alone = elrt::generate(session, *serving.artifact.tokenizer().value(), "ab cab", options).value();
    CHECK(answer["choices"][0]["text"] == alone.text);
    // Streamed, the last event says the same.
    json body = one.body;
    body["stream"] = true;
    const auto events = events_of(serving.post("/v1/completions", body.dump())->body);
    CHECK(joined(events) == alone.text);
    CHECK(events.back()["elastic"]["level"] == one.level);
  }
  json chat = objective("_ms", 2500, 500);
  chat.erase("prompt");
  chat["messages"] = {{{"role", "system"}, {"content", "ab"}}, {{"role", "user"}, {"content", "cab"}}};
  const json answer = serving.answer("/v1/chat/completions", chat);
  CHECK(answer["elastic"]["level"] == 50);
  CHECK(answer["usage"]["prompt_tokens"] == answer["elastic"]["prompt_tokens_read"]);
  chat["model"] = "tiny:50";  // names a level, and asks for a choice of one
  CHECK(serving.answer("/v1/chat/completions", chat)["status"] == 400);
}

TEST_CASE("the time that a request has waited is taken from its objective", "[serve]") {
  const Table table;
  const TemporaryFile model(artifact().build());
  const auto opened = elrt::Artifact::open(model.path()).value();
  elrt::serve::EngineOptions options;
  options.table = table.path();
  options.service.session.threads = 1;
  options.service.follow_pace = false;
  const auto engine = elrt::serve::Engine::create(opened, options).value();
  const auto decide = [&](milliseconds waited) {
    Work work;
    work.tokens = elrt::prompt_tokens(engine->tokenizer(), "ab cab").value();
    work.generate.max_tokens = 2;
    work.arrival = Clock::now() - waited;
    work.objective.emplace();
    work.objective->slo = {elrt::Slo::Unit::kMilliseconds, 4500, 500};
    work.objective->limits = engine->limits(work.objective->slo, 6, 2).value();
    work.objective->prompt = "ab cab";
    const auto asked = engine->submit(std::move(work));
    while (!asked->ended()) asked->wait(milliseconds(100)), asked->take_text();
    return asked->result().value();
  };
  const auto fresh = decide(milliseconds(0)), waited = decide(milliseconds(2000)), late = decide(milliseconds(9000));
  CHECK(fresh.level == 100);
  CHECK(waited.level == 50);
  CHECK(waited.queued_ms >= 2000);
  CHECK(late.level == 20);
  CHECK(late.answer->choice.source == elrt::Choice::Source::kFastest);
}
