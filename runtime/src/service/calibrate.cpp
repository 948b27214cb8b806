#include "elrt/calibrate.hpp"

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/guarded.hpp"
#include "base/isotonic.hpp"
#include "base/medians.hpp"
#include "elrt/sampler.hpp"
#include "elrt/session.hpp"
#include "service/calibrate_tlm.hpp"

namespace elrt {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint32_t kFirstLength = 16;
constexpr std::size_t kDecoded = 8;  // tokens per measurement of TPOT: enough against the clock's grain

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Result<std::vector<std::uint32_t>> choose_lengths(const CalibrateOptions& options, std::uint32_t context) {
  if (options.repeats < 1 || options.repeats > 1000) {
    return invalid_argument(std::to_string(options.repeats) + " repeats were asked for, expected 1 to 1000");
  }
  if (options.lengths.empty()) {
    const std::uint32_t longest = std::min(context, options.max_tokens);
    if (longest < 2)
      return invalid_argument("there is nothing to measure below 2 tokens; the model's context is " +
                              std::to_string(context));
    std::vector<std::uint32_t> lengths;
    for (std::uint32_t n = kFirstLength; n < longest; n *= 2) lengths.push_back(n);
    lengths.push_back(longest);
    return lengths;
  }
  const auto& asked = options.lengths;
  if (asked.front() < 2 || asked.back() > context ||
      std::adjacent_find(asked.begin(), asked.end(), std::greater_equal<>()) != asked.end()) {
    return invalid_argument("lengths must ascend from 2 or more tokens to at most the model's context of " +
                            std::to_string(context));
  }
  if (asked.size() > kMaxLatencyLengths)
    return invalid_argument("more than " + std::to_string(kMaxLatencyLengths) + " lengths were asked for");
  return asked;
}

std::vector<TokenId> random_tokens(std::uint32_t count, std::uint32_t vocab) {
  std::vector<TokenId> tokens;
  std::uint64_t state = 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator: any tokens will do
    tokens.push_back(static_cast<TokenId>((state >> 33) % vocab));
  }
  return tokens;
}

struct Times {
  double ttft_ms = 0, tpot_ms = 0;
};

Result<Times> measure(Session& session, Sampler& sampler, std::span<const TokenId> tokens) {
  session.reset();
  Times times;
  const auto start = Clock::now();
  auto logits = session.forward(tokens);
  if (!logits) return logits.take_failure();
  if (auto chosen = sampler.sample(logits.value()); !chosen) return chosen.take_failure();
  times.ttft_ms = ms_since(start);
  const std::size_t decoded = std::min(kDecoded, tokens.size() - 1);
  session.truncate(tokens.size() - decoded);
  const auto decode_start = Clock::now();
  for (std::size_t i = tokens.size() - decoded; i < tokens.size(); ++i) {
    auto next = session.forward(tokens.subspan(i, 1));
    if (!next) return next.take_failure();
    if (auto chosen = sampler.sample(next.value()); !chosen) return chosen.take_failure();
  }
  times.tpot_ms = ms_since(decode_start) / static_cast<double>(decoded);
  return times;
}

// Everything that is measured, [level][length][repeat].
using Samples = std::vector<std::vector<std::vector<Times>>>;

class Measuring {
 public:
  Measuring(const Artifact& artifact, std::uint32_t repeats, std::vector<std::uint32_t> lengths,
            const CalibrateProgress& progress)
      : artifact_(artifact),
        repeats_(repeats),
        lengths_(std::move(lengths)),
        progress_(progress),
        tokens_(random_tokens(lengths_.back(), artifact.shape().vocab)),
        samples_(artifact.levels().size(), std::vector<std::vector<Times>>(lengths_.size())) {
    for (const LevelInfo& level : artifact.levels()) {
      for (const std::uint32_t length : lengths_)
        total_ += (repeats + (length == warm_length() ? 1 : 0)) * work(level, length);
    }
  }

  // `tlm` may be null.
  Result<void> run(Session& session, Sampler& sampler, TlmTimer* tlm) {
    if (tlm != nullptr) {
      if (auto done = tlm->warm_up(); !done) return done.take_failure();
    }
    for (std::size_t level = 0; level < samples_.size(); ++level) {  // the first run pages in; its times are dropped
      if (auto done = one(session, sampler, level, warm_length()); !done) return done.take_failure();
    }
    for (std::uint32_t repeat = 0; repeat < repeats_; ++repeat) {
      for (std::size_t length = 0; length < lengths_.size(); ++length) {
        for (std::size_t level = 0; level < samples_.size(); ++level) {
          auto times = one(session, sampler, level, lengths_[length]);
          if (!times) return times.take_failure();
          samples_[level][length].push_back(times.value());
        }
        if (tlm == nullptr) continue;
        if (auto done = tlm->measure(length); !done) return done.take_failure();
      }
    }
    return {};
  }

  std::vector<std::vector<double>> medians(double Times::*field) const {
    std::vector<std::vector<double>> rows;
    for (const auto& level : samples_) {
      std::vector<double>& row = rows.emplace_back();
      for (const auto& repeats : level) {
        std::vector<double> values;
        for (const Times& times : repeats) values.push_back(times.*field);
        row.push_back(median(std::move(values)));
      }
    }
    return rows;
  }

 private:
  std::uint32_t warm_length() const { return lengths_.front(); }
  // Decoding reads all weights for one token, so that it counts for several read at once.
  static double work(const LevelInfo& level, std::uint32_t length) { return level.level * (length + 8.0 * kDecoded); }

  Result<Times> one(Session& session, Sampler& sampler, std::size_t level, std::uint32_t length) {
    const LevelInfo& info = artifact_.levels()[level];
    if (auto done = session.set_level(info.level); !done) return done.take_failure();
    auto times = measure(session, sampler, std::span(tokens_).first(length));
    done_ += work(info, length);
    if (progress_ && !progress_(std::min(1.0, done_ / total_))) return cancelled("calibration was stopped");
    return times;
  }

  const Artifact& artifact_;
  std::uint32_t repeats_;
  std::vector<std::uint32_t> lengths_;
  const CalibrateProgress& progress_;
  std::vector<TokenId> tokens_;
  Samples samples_;
  double done_ = 0, total_ = 0;
};

Result<LatencyTable> build_table(const Artifact& artifact, const Measuring& measured, LatencyData data) {
  std::vector<int> chain;
  for (const LevelInfo& level : artifact.levels()) chain.push_back(level.adapter_rank > 0 ? 1 : 0);
  auto ttft = measured.medians(&Times::ttft_ms), tpot = measured.medians(&Times::tpot_ms);
  fit_rows_and_chains(ttft, chain);
  fit_rows_and_chains(tpot, chain);
  for (std::size_t i = 0; i < chain.size(); ++i) {
    data.levels.push_back({artifact.levels()[i].level, std::move(ttft[i]), std::move(tpot[i])});
  }
  return LatencyTable::create(std::move(data));
}

}  // namespace

Result<LatencyTable> calibrate(const Artifact& artifact, const CalibrateOptions& options,
                               const CalibrateProgress& progress) {
  return guarded("calibrate", [&]() -> Result<LatencyTable> {
    auto lengths = choose_lengths(options, artifact.shape().context);
    if (!lengths) return lengths.take_failure();
    SessionOptions session_options;
    session_options.threads = options.threads;
    session_options.context_tokens = lengths->back();
    session_options.kv_type = options.kv_type;
    auto session = Session::create(artifact, session_options);
    if (!session) return session.take_failure();
    auto sampler = Sampler::create({});
    if (!sampler) return sampler.take_failure();
    std::optional<TlmTimer> tlm;
    if (artifact.tlm() != nullptr) {
      auto made = TlmTimer::create(artifact, options.threads, lengths.value());
      if (!made) return made.take_failure();
      tlm.emplace(std::move(made).value());
    }
    Measuring measuring(artifact, options.repeats, lengths.value(), progress);
    if (auto done = measuring.run(session.value(), sampler.value(), tlm ? &*tlm : nullptr); !done)
      return done.take_failure();
    auto device = device_description();
    if (!device) return device.take_failure();
    LatencyData data;
    data.artifact = artifact.identity();
    data.device = std::move(device).value();
    data.threads = session->threads();
    data.repeats = options.repeats;
    data.kv_type = options.kv_type;
    data.tokens = std::move(lengths).value();
    if (tlm) data.tlm = tlm->medians();
    return build_table(artifact, measuring, std::move(data));
  });
}

}  // namespace elrt
