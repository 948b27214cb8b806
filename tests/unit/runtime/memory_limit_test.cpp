// Requests that meet a memory limit: an error that says so, and a session that goes on.
#include <malloc.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <optional>
#include <string>

#include "elrt/tlm.hpp"
#include "unit/runtime/session_support.h"
#include "unit/runtime/tiny_tlm.h"
#include "unit/runtime/tiny_tokenizer.h"

using namespace elastify_test;
using elrt::TokenId;

// Sanitizers reserve terabytes, which a limit would count.
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
namespace {

// One heap for all threads, and whatever is large mapped for itself and given back: room that is left or reserved from
// before would meet no limit. (With another C library than GNU's the tests meet fewer.)
#ifdef __GLIBC__
[[maybe_unused]] const bool kNoSpareRoom = mallopt(M_ARENA_MAX, 1) == 1 && mallopt(M_MMAP_THRESHOLD, 16 << 10) == 1;
#endif

// The address space is what is in use and `more` bytes, until this ends.
class MemoryLimit {
 public:
  explicit MemoryLimit(std::uint64_t more) {
    std::uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    getrlimit(RLIMIT_AS, &old_);
    rlimit tight = old_;
    tight.rlim_cur = pages * 4096 + more;
    setrlimit(RLIMIT_AS, &tight);
    rlimit set{};
    getrlimit(RLIMIT_AS, &set);
    holds_ = set.rlim_cur == tight.rlim_cur;
  }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;
  ~MemoryLimit() { setrlimit(RLIMIT_AS, &old_); }
  // An emulator may take a limit and leave it at that.
  bool holds() const { return holds_; }

 private:
  rlimit old_{};
  bool holds_ = false;
};

// `attempt(limit)` at ever higher limits until it says that it succeeded; returns how often it did not.
template <typename Attempt>
int attempts_until_success(const Attempt& attempt) {
  constexpr std::uint64_t kStep = 32u << 10, kMost = 256u << 20;
  for (int failures = 0;; ++failures) {
    REQUIRE(static_cast<std::uint64_t>(failures) * kStep < kMost);
    const std::optional<bool> done = attempt(static_cast<std::uint64_t>(failures) * kStep);
    if (!done) {
      WARN("skipped: address space cannot be limited here");
      return -1;
    }
    if (*done) return failures;
  }
}

}  // namespace

TEST_CASE("a session that meets the memory limit says so and goes on", "[runtime][unit]") {
  TinyElasticShape shape;
  shape.context = 1u << 20;
  const TinyElastic model(shape);
  const auto artifact = open_tiny(model);
  const auto tokens = model.text(20);
  auto session = open_session(artifact, {100}), fresh = open_session(artifact, {100});
  read_all(session, {tokens.data(), 10});
  const std::vector<TokenId> many((1u << 20) - 10, 1);
  {
    const MemoryLimit limit(32u << 20);  // the cache of a million tokens takes 384 MiB
    if (!limit.holds()) {
      WARN("skipped: address space cannot be limited here");
      return;
    }
    const auto failed = session.forward(many);
    REQUIRE_FALSE(failed);
    CHECK(failed.failure().status == elrt::Status::kInternal);
    CHECK(failed.failure().message.find("out of memory") != std::string::npos);
  }
  CHECK(session.tokens().size() == 10);
  read_all(fresh, {tokens.data(), 10});
  const std::span<const TokenId> tail(tokens.data() + 10, 10);
  CHECK(equal_bits(read_all(session, tail), read_all(fresh, tail)));
}

// Above all not in a thread of the pool, where nothing could catch it.
TEST_CASE("wherever in a pass memory ends, the pass fails and the next one succeeds", "[runtime][unit]") {
  TinyElasticShape shape;
  shape.blocks = 2, shape.f16 = true, shape.hidden = 640, shape.ffn = 2048;
  shape.levels = {50, 100}, shape.kv_groups = {1, 1, 2, 2}, shape.neurons = {480, 480, 2048, 2048};
  const TinyElastic model(shape);
  const auto artifact = open_tiny(model);
  const auto tokens = model.text(60);  // enough for the kernels that lay weights out again
  auto fresh = open_session(artifact, {100, 2});
  const auto expected = read_all(fresh, tokens);
  const int failures = attempts_until_success([&](std::uint64_t more) -> std::optional<bool> {
    auto session = open_session(artifact, {100, 2});
    bool failed = false;
    {
      const MemoryLimit limit(more);
      if (!limit.holds()) return std::nullopt;
      const auto logits = session.forward(tokens);
      failed = !logits;
      if (failed) CHECK(logits.failure().message.find("out of memory") != std::string::npos);
    }
    CHECK(session.tokens().size() == (failed ? 0 : tokens.size()));
    session.reset();
    CHECK(equal_bits(read_all(session, tokens), expected));
    return !failed;
  });
  if (failures >= 0) CHECK(failures >= 3);
}

TEST_CASE("nor does a tiny language model that meets the limit take the process with it", "[runtime][tlm][unit]") {
  GgufBuilder builder = tiny_artifact_with_tokenizer();
  add_tiny_tlm(builder);
  const TemporaryFile file(builder.build());
  const auto artifact = elrt::Artifact::open(file.path());
  REQUIRE(artifact);
  std::string text;
  for (int i = 0; i < 400; ++i) text += "ab cab ";
  const auto failures = attempts_until_success([&](std::uint64_t more) -> std::optional<bool> {
    auto tlm = elrt::Tlm::create(artifact.value(), 2);
    REQUIRE(tlm);
    const auto pieces = tlm->wordpiece().encode(text);
    REQUIRE(pieces);
    bool failed = false;
    {
      const MemoryLimit limit(more);
      if (!limit.holds()) return std::nullopt;
      failed = !tlm->decide(pieces.value(), {}) || !tlm->score_words(pieces.value(), {});
    }
    CHECK(tlm->decide(pieces.value(), {}));
    CHECK(tlm->score_words(pieces.value(), {}));
    return !failed;
  });
  if (failures >= 0) CHECK(failures >= 3);
}
#endif
