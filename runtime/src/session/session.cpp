#include "elrt/session.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "base/guarded.hpp"
#include "base/thread_pool.hpp"
#include "model/level_view.hpp"
#include "model/reclaim.hpp"
#include "session/forward.hpp"
#include "session/kv_cache.hpp"

namespace elrt {
namespace {

constexpr std::uint32_t kMaxBatch = 4096;

Result<std::size_t> level_index(const Artifact& artifact, std::uint32_t percent) {
  if (auto found = artifact.level(percent); !found) return found.take_failure();
  const auto& levels = artifact.levels();
  return static_cast<std::size_t>(
      std::find_if(levels.begin(), levels.end(), [&](auto& l) { return l.level == percent; }) - levels.begin());
}

Result<void> check_options(const Artifact& artifact, const SessionOptions& options) {
  const std::uint32_t limit = artifact.shape().context;
  if (options.context_tokens > limit) {
    return invalid_argument("a context of " + std::to_string(options.context_tokens) +
                            " tokens was asked for, the model has " + std::to_string(limit));
  }
  if (options.threads > kMaxThreads) {
    return invalid_argument(std::to_string(options.threads) + " threads were asked for, expected at most " +
                            std::to_string(kMaxThreads));
  }
  if (options.batch_tokens > kMaxBatch) {
    return invalid_argument("a batch of " + std::to_string(options.batch_tokens) +
                            " tokens was asked for, expected at most " + std::to_string(kMaxBatch));
  }
  return {};
}

// A wide model's weights come from memory for every batch and are laid out again: more tokens share that. A narrow
// one's activations would no longer fit the second-level cache.
std::uint32_t resolve_batch(std::uint32_t asked, const ModelShape& shape) {
  constexpr std::uint32_t kWide = 1024;
  if (asked != 0) return asked;
  return shape.hidden < kWide ? 128 : 256;
}

}  // namespace

struct Session::Impl {
  std::shared_ptr<const Model> model;
  LevelView view;
  std::uint32_t context, batch;
  ThreadPool pool;
  KvCache cache;
  Forward pass;
  std::vector<TokenId> tokens;  // the text
  std::size_t cached = 0;       // of them, in the cache
  bool mixed = false;           // the cache was begun at a larger level
  bool long_text = false;       // the cache is that of a text beyond the model's original context
  std::size_t drafted = 0;      // guesses after the text, in the cache too
  std::vector<float> logits, draft_logits;

  bool use_adapter;

  Impl(std::shared_ptr<const Model> m, std::size_t level, std::uint32_t context_tokens, const SessionOptions& options)
      : model(std::move(m)),
        view(*model, level, options.use_adapter),
        context(context_tokens),
        batch(std::min(resolve_batch(options.batch_tokens, model->shape), context_tokens)),
        pool(resolve_threads(options.threads)),
        cache(model->shape, options.kv_type),
        pass(*model, pool),
        use_adapter(options.use_adapter) {}

  Result<void> check(std::span<const TokenId> added, std::span<const std::uint32_t> rows) const;
  Result<LevelView> view_of(std::uint32_t level) const;
  void follow_length();
  void read_batch(std::size_t count, std::size_t first_row_token, std::span<const std::uint32_t> rows, float* out);
};

Result<void> Session::Impl::check(std::span<const TokenId> added, std::span<const std::uint32_t> rows) const {
  if (added.size() > context - tokens.size()) {
    return invalid_argument("the text has " + std::to_string(tokens.size() + added.size()) +
                            " tokens, the context holds " + std::to_string(context));
  }
  for (const TokenId token : added) {
    if (token < 0 || static_cast<std::uint32_t>(token) >= model->shape.vocab) {
      return invalid_argument("token " + std::to_string(token) + " is not in the vocabulary of " +
                              std::to_string(model->shape.vocab));
    }
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] >= added.size() || (i > 0 && rows[i] <= rows[i - 1])) {
      return invalid_argument("logits are asked for row " + std::to_string(rows[i]) +
                              ", expected ascending rows below " + std::to_string(added.size()));
    }
  }
  return {};
}

Result<LevelView> Session::Impl::view_of(std::uint32_t level) const {
  const auto& levels = model->levels;
  const auto found = std::find_if(levels.begin(), levels.end(), [&](auto& l) { return l.percent == level; });
  if (found == levels.end()) return invalid_argument("the artifact has no level " + std::to_string(level));
  return LevelView(*model, static_cast<std::size_t>(found - levels.begin()), use_adapter);
}

// A text that outgrows the original context, or shrinks to it, is read again: all of it turns by other frequencies.
void Session::Impl::follow_length() {
  const std::uint32_t original = model->shape.original_context;
  const bool is_long = original > 0 && tokens.size() > original;
  if (is_long == long_text) return;
  long_text = is_long;
  pass.set_long_text(is_long);
  cached = 0;
  mixed = false;
}

// `rows` are those of this batch, counted from the token `first_row_token` of the text.
void Session::Impl::read_batch(std::size_t count, std::size_t first_row_token, std::span<const std::uint32_t> rows,
                               float* out) {
  std::vector<std::uint32_t> local(rows.begin(), rows.end());
  for (std::uint32_t& row : local) row = static_cast<std::uint32_t>(row + first_row_token - cached);
  pass.run(view, cache, std::span(tokens).subspan(cached, count), cached, local.empty() ? 0 : count - local.front());
  if (!local.empty()) pass.logits(view, local, out);
  cached += count;
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::create(const Artifact& artifact, const SessionOptions& options) {
  return guarded("create a session", [&]() -> Result<Session> {
    if (auto done = check_options(artifact, options); !done) return done.take_failure();
    auto index = level_index(artifact, options.level);
    if (!index) return index.take_failure();
    const std::uint32_t context = options.context_tokens != 0 ? options.context_tokens : artifact.shape().context;
    return Session(std::make_unique<Impl>(artifact.model(), index.value(), context, options));
  });
}

Result<std::span<const float>> Session::forward(std::span<const TokenId> added, std::span<const std::uint32_t> rows,
                                                const ReadProgress& progress) {
  using Logits = std::span<const float>;
  Impl& s = *impl_;
  const std::size_t before = s.tokens.size(), cached_before = s.cached;
  const bool long_before = s.long_text;
  s.drafted = 0;
  auto result = guarded("run the model", [&]() -> Result<Logits> {
    if (auto done = s.check(added, rows); !done) return done.take_failure();
    const std::size_t vocab = s.model->shape.vocab;
    s.tokens.insert(s.tokens.end(), added.begin(), added.end());
    s.follow_length();
    s.logits.resize(rows.size() * vocab);
    s.cache.reserve(s.view, s.tokens.size());
    std::size_t answered = 0;
    const std::size_t start = s.cached;
    while (s.cached < s.tokens.size()) {
      if (progress && !progress(s.cached - start, s.tokens.size() - start))
        return cancelled("reading the text was stopped");
      const std::size_t count = std::min<std::size_t>(s.batch, s.tokens.size() - s.cached), end = s.cached + count;
      std::size_t last = answered;
      while (last < rows.size() && before + rows[last] < end) ++last;
      s.read_batch(count, before, rows.subspan(answered, last - answered), s.logits.data() + answered * vocab);
      answered = last;
    }
    return Logits(s.logits);
  });
  if (!result) {
    s.tokens.resize(before);
    s.cached = s.long_text == long_before ? std::min(cached_before, before) : 0;
  }
  return result;
}

Result<std::span<const float>> Session::forward(std::span<const TokenId> tokens) {
  if (tokens.empty()) return invalid_argument("no tokens were given");
  const auto last = static_cast<std::uint32_t>(tokens.size() - 1);
  return forward(tokens, {&last, 1});
}

Result<void> Session::append(std::span<const TokenId> added) {
  return guarded("add to the text", [&]() -> Result<void> {
    Impl& s = *impl_;
    if (auto done = s.check(added, {}); !done) return done;
    s.tokens.insert(s.tokens.end(), added.begin(), added.end());
    s.drafted = 0;
    return {};
  });
}

Result<void> Session::set_level(std::uint32_t level, CachePolicy policy) {
  Impl& s = *impl_;
  auto view = s.view_of(level);
  if (!view) return view.take_failure();
  if (policy == CachePolicy::kReuse && level > s.view.percent() && s.cached > 0) {
    return invalid_argument("the cache of level " + std::to_string(s.view.percent()) +
                            " cannot serve the larger level " + std::to_string(level) + "; recompute instead");
  }
  const bool changes = level != s.view.percent();
  if (policy == CachePolicy::kRecompute && (changes || s.mixed)) {
    s.cached = 0;
    s.mixed = false;
  }
  if (policy == CachePolicy::kReuse && changes) s.mixed = s.cached > 0;
  s.view = view.value();
  s.drafted = 0;
  return {};
}

Result<void> Session::can_draft(std::uint32_t level) const {
  if (auto view = impl_->view_of(level); !view) return view.take_failure();
  if (level < impl_->view.percent()) return {};
  return invalid_argument("level " + std::to_string(level) + " cannot draft for level " +
                          std::to_string(impl_->view.percent()) + "; expected a smaller one");
}

// The kept groups are a prefix, so the smaller level finds the larger one's keys and values where it looks for its own.
// Its guesses' own lie after them, until the larger level reads the same positions.
Result<std::span<const float>> Session::draft(TokenId token, std::uint32_t level) {
  using Logits = std::span<const float>;
  Impl& s = *impl_;
  return guarded("draft", [&]() -> Result<Logits> {
    if (auto done = can_draft(level); !done) return done.take_failure();
    if (s.cached < s.tokens.size()) {
      if (auto done = forward({}, {}); !done) return done.take_failure();
    }
    const std::size_t position = s.cached + s.drafted;
    if (position >= s.context)
      return invalid_argument("the context of " + std::to_string(s.context) + " tokens is full");
    if (auto done = s.check({&token, 1}, {}); !done) return done.take_failure();
    s.draft_logits.resize(s.model->shape.vocab);
    s.cache.reserve(s.view, position + 1);
    const LevelView view = s.view_of(level).value();
    const std::uint32_t row = 0;
    s.pass.run(view, s.cache, {&token, 1}, position, 1);
    s.pass.logits(view, {&row, 1}, s.draft_logits.data());
    ++s.drafted;
    return Logits(s.draft_logits);
  });
}

std::uint64_t Session::reclaim() {
  impl_->cache.release_beyond(impl_->view);
  return elrt::reclaim(*impl_->model, impl_->view);
}

// Positions of the cache are the text's, so that what stays is a prefix of it; what is after is written over.
void Session::truncate(std::size_t count) {
  Impl& s = *impl_;
  s.drafted = 0;
  s.tokens.resize(std::min(count, s.tokens.size()));
  s.cached = std::min(s.cached, s.tokens.size());
  if (s.cached == 0) s.mixed = false;
}

void Session::reset() { truncate(0); }

std::uint32_t Session::level() const { return impl_->view.percent(); }
std::span<const TokenId> Session::tokens() const { return impl_->tokens; }
std::uint32_t Session::context_tokens() const { return impl_->context; }
std::uint32_t Session::batch_tokens() const { return impl_->batch; }
std::uint32_t Session::vocab() const { return impl_->model->shape.vocab; }
std::uint32_t Session::threads() const { return static_cast<std::uint32_t>(impl_->pool.threads()); }
KvType Session::kv_type() const { return impl_->cache.type(); }
std::uint64_t Session::cache_bytes_per_token() const { return impl_->cache.bytes_per_token(impl_->view); }

}  // namespace elrt
