// Drafting may change the speed of a text only.
#include <catch2/catch.hpp>

#include "elrt/generator.hpp"
#include "elrt/tokenizer.hpp"
#include "text/draft_planner.hpp"
#include "unit/runtime/session_support.h"
#include "unit/runtime/tiny_tokenizer.h"

using namespace elastify_test;
using elrt::DraftPlanner;
using elrt::GenerateOptions;
using elrt::KvType;
using elrt::Session;
using elrt::TokenId;

namespace {

struct Loaded {
  elrt::Artifact artifact;
  std::shared_ptr<const elrt::Tokenizer> tokenizer;
};

Loaded load(TinyElasticShape shape) {
  const elrt::TokenizerSpec spec = tiny_tokenizer();
  shape.vocab = static_cast<std::uint32_t>(spec.tokens.size());
  auto builder = TinyElastic(shape, 3).artifact();
  for (const auto& [key, value] : elrt::tokenizer_metadata(spec)) builder.metadata[key] = value;
  const TemporaryFile file(builder.build());
  auto artifact = elrt::Artifact::open(file.path());
  if (!artifact) FAIL(artifact.failure().message);
  auto tokenizer = artifact->tokenizer();
  if (!tokenizer) FAIL(tokenizer.failure().message);
  return {std::move(artifact).value(), tokenizer.value()};
}

std::vector<TokenId> random_prompt(std::uint64_t seed, std::uint32_t vocab) {
  std::vector<TokenId> tokens = {1};
  std::uint64_t state = seed * 2 + 1;
  for (std::uint64_t i = 0; i < 3 + seed % 9; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    tokens.push_back(static_cast<TokenId>((state >> 33) % vocab));
  }
  return tokens;
}

elrt::Generation made(Session& session, const Loaded& loaded, std::span<const TokenId> prompt,
                      const GenerateOptions& options) {
  auto result = elrt::generate(session, *loaded.tokenizer, prompt, options);
  if (!result) FAIL(result.failure().message);
  return std::move(result).value();
}

GenerateOptions drafting(GenerateOptions options, std::uint32_t level, std::uint32_t tokens,
                         bool only_if_faster = false) {
  options.speculation = {level, tokens, only_if_faster};
  return options;
}

}  // namespace

TEST_CASE("speculative output is plain greedy output on 1000 prompts of every weight type", "[runtime][unit]") {
  for (const TinyElasticShape& shape : shape_of_each_type()) {
    const Loaded loaded = load(shape);
    Session plain = open_session(loaded.artifact, {100}), guessing = open_session(loaded.artifact, {100});
    GenerateOptions options;
    options.max_tokens = 6;
    std::uint32_t accepted = 0, different = 0;
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
      const auto prompt = random_prompt(seed, plain.vocab());
      const auto a = made(plain, loaded, prompt, options);
      const auto b = made(guessing, loaded, prompt, drafting(options, seed % 2 == 0 ? 20 : 50, 1 + seed % 5));
      different += a.tokens != b.tokens || a.text != b.text || a.finish != b.finish;
      different += std::vector(plain.tokens().begin(), plain.tokens().end()) !=
                   std::vector(guessing.tokens().begin(), guessing.tokens().end());
      accepted += b.speculation.accepted;
    }
    INFO("type " << shape.quantised);
    CHECK(different == 0);
    CHECK(accepted > 0);
  }
}

TEST_CASE("speculative sampling draws the tokens of plain sampling for the same seed", "[runtime][unit]") {
  std::uint32_t accepted = 0;  // random weights agree rarely
  for (const TinyElasticShape& shape : shape_of_each_type()) {
    const Loaded loaded = load(shape);
    for (const KvType kv : kKvTypes) {
      Session plain = open_session(loaded.artifact, {100, 1, 128, kv}),
              guessing = open_session(loaded.artifact, {100, 1, 3, kv});
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        GenerateOptions options;
        options.max_tokens = 12;
        options.sampler = {seed % 3 == 0 ? 0.2f : 0.8f, seed % 2 == 0 ? 0u : 5u, seed % 4 == 0 ? 1.0f : 0.9f, 0, seed};
        const auto prompt = random_prompt(seed, plain.vocab());
        const auto a = made(plain, loaded, prompt, options);
        const auto b = made(guessing, loaded, prompt, drafting(options, 50, 4, seed % 5 == 0));
        CHECK(a.tokens == b.tokens);
        accepted += b.speculation.accepted;
      }
    }
  }
  CHECK(accepted > 0);
}

TEST_CASE("drafting ends texts where plain decoding does, and a conversation goes on alike", "[runtime][unit]") {
  const Loaded loaded = load({});
  Session plain = open_session(loaded.artifact, {100}), guessing = open_session(loaded.artifact, {100});
  GenerateOptions options;
  options.max_tokens = 5;
  options.ignore_end = true;
  options.keep_context = true;
  for (std::uint64_t turn = 0; turn < 6; ++turn) {
    const auto prompt = random_prompt(turn, plain.vocab());
    const auto room = plain.context_tokens() - plain.tokens().size();
    if (prompt.size() > room) break;
    options.max_tokens = turn == 4 ? 500 : 5;  // into the end of the context
    const auto a = made(plain, loaded, prompt, options), b = made(guessing, loaded, prompt, drafting(options, 50, 6));
    CHECK(a.tokens == b.tokens);
    CHECK(a.finish == b.finish);
    CHECK(plain.tokens().size() == guessing.tokens().size());
  }
}

TEST_CASE("drafting is refused or left out where it makes no sense", "[runtime][unit]") {
  const Loaded loaded = load({});
  Session session = open_session(loaded.artifact, {50});
  const auto prompt = random_prompt(1, session.vocab());
  GenerateOptions options;
  options.max_tokens = 8;
  const auto status = [&](std::uint32_t level, std::uint32_t tokens) {
    const auto result = elrt::generate(session, *loaded.tokenizer, prompt, drafting(options, level, tokens));
    return result ? elrt::Status::kOk : result.failure().status;
  };
  CHECK(status(33, 4) == elrt::Status::kInvalidArgument);
  CHECK(status(105, 4) == elrt::Status::kInvalidArgument);
  CHECK(status(20, 0) == elrt::Status::kInvalidArgument);
  CHECK(status(20, 33) == elrt::Status::kInvalidArgument);
  CHECK(status(20, 32) == elrt::Status::kOk);
  CHECK(made(session, loaded, prompt, drafting(options, 50, 4)).speculation.drafted == 0);
  CHECK(made(session, loaded, prompt, drafting(options, 100, 4)).speculation.drafted == 0);
}

TEST_CASE("the planner drafts while it pays and stops when it does not", "[runtime][unit]") {
  // Passes of the given costs, guesses of which `right` in ten are kept.
  const auto guesses_of = [](double draft_ms, double extra_ms, std::uint32_t right, int passes, DraftPlanner& planner) {
    std::uint32_t guesses = 0;
    for (int i = 0; i < passes; ++i) {
      const std::uint32_t k = planner.next();
      planner.record_pass(k, draft_ms * k, 10 + extra_ms * k);
      planner.record_guesses(k, k * right / 10);
      guesses += k;
    }
    return guesses;
  };
  DraftPlanner cheap({20, 6, true}), costly({20, 6, true}), wrong({20, 6, true}), off({0, 6, true}),
      always({20, 6, false});
  CHECK(guesses_of(1, 0.5, 10, 100, cheap) > 500);
  CHECK(guesses_of(12, 0.5, 10, 200, costly) < 30);
  CHECK(guesses_of(2, 0.5, 0, 200, wrong) < 30);
  CHECK(guesses_of(1, 0.5, 0, 100, off) == 0);
  CHECK(guesses_of(50, 5, 0, 10, always) == 60);
  // What stopped is tried again, and goes on once it pays.
  CHECK(guesses_of(1, 0.5, 10, 200, wrong) > 500);
}
