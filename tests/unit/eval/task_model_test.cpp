#include "eval/task_model.h"

#include <catch2/catch.hpp>

#include <elrt/artifact.hpp>
#include <elrt/generator.hpp>

#include "unit/runtime/tiny_tokenizer.h"

namespace {

// A quarter of the bytes is written as a newline and more, so that answers of a random model soon end.
elastify_test::GgufBuilder artifact_with_newlines() {
  elastify_test::GgufBuilder file = elastify_test::tiny_artifact_with_tokenizer(3);
  elrt::TokenizerSpec spec = elastify_test::tiny_tokenizer();
  for (const char* high : {"<0x8", "<0x9", "<0xA", "<0xB"}) {
    spec.decoder.insert(spec.decoder.begin(), {elrt::DecoderStep::Kind::kReplace, high, "\n", 0, 0});
  }
  for (const auto& [key, value] : elrt::tokenizer_metadata(spec)) file.metadata[key] = value;
  return file;
}

elrt::Session open_session(const elrt::Artifact& artifact) {
  elrt::SessionOptions options;
  options.level = 50;
  options.threads = 1;
  return std::move(elrt::Session::create(artifact, options)).value();
}

}  // namespace

TEST_CASE("a written answer is the runtime's greedy text up to a newline, whatever was scored before", "[eval][unit]") {
  const elastify_test::TemporaryFile file(artifact_with_newlines().build());
  const elrt::Artifact artifact = std::move(elrt::Artifact::open(file.path())).value();
  const auto tokenizer = artifact.tokenizer().value();
  elastify::SessionTaskModel model(open_session(artifact), *tokenizer);
  elrt::Session fresh = open_session(artifact);
  std::size_t ended = 0, empty = 0, full = 0;
  for (int i = 0; i < 120; ++i) {
    const std::string prompt = "ab c" + std::string(static_cast<std::size_t>(i % 7), 'b') + std::to_string(i);
    const auto ids = elrt::prompt_tokens(*tokenizer, prompt).value();
    elrt::GenerateOptions options;
    options.max_tokens = 1 + static_cast<std::uint32_t>(i % 9);
    options.stop = {"\n"};
    const auto expected = elrt::generate(fresh, *tokenizer, prompt, options);
    REQUIRE(expected);
    if (i % 2) model.losses(ids, 1 + static_cast<std::size_t>(i) % (ids.size() - 1));
    CHECK(model.answer(ids, options.max_tokens) == expected->text);
    ended += expected->finish == elrt::FinishReason::kStopString ? 1 : 0;
    empty += expected->text.empty() ? 1 : 0;
    full += expected->finish == elrt::FinishReason::kMaxTokens ? 1 : 0;
  }
  CHECK(ended > empty);  // some ended with text before the newline
  CHECK(full > 0);
}
