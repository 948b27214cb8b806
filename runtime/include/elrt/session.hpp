// A session reads tokens at one level of an artifact and answers with logits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "elrt/artifact.hpp"
#include "elrt/export.h"
#include "elrt/kv_type.hpp"
#include "elrt/result.hpp"

namespace elrt {

using TokenId = std::int32_t;

struct SessionOptions {
  std::uint32_t level = 100;         // percent, one of the artifact's
  std::uint32_t threads = 0;         // 0: as many as the machine has cores
  std::uint32_t context_tokens = 0;  // 0: the model's; more than the model's is refused
  std::uint32_t batch_tokens =
      0;  // tokens per pass while reading a prompt, changes speed and scratch, no result; 0: by the model's width
  bool use_adapter = true;        // false: levels run as they were cut, to measure what recovery brings
  KvType kv_type = KvType::kF32;  // of the cache
};

// What happens to the tokens read so far when the level changes.
enum class CachePolicy {
  kRecompute,  // they are read again at the new level with the next forward(): exact
  kReuse,      // their keys and values stay, as the kept groups are a prefix; only going down
};

// Asked before each batch of a text: how many tokens have been read of those that this call reads. False ends the call.
// Must not throw.
using ReadProgress = std::function<bool(std::size_t read, std::size_t total)>;

// Move-only; one thread at a time. Keeps the artifact's mapping alive. Logits do not depend on threads or batch_tokens.
class ELRT_API Session {
 public:
  static Result<Session> create(const Artifact& artifact, const SessionOptions& options = {});

  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Appends `tokens` and returns the logits after the tokens named by `rows` (ascending indices into `tokens`),
  // [rows.size()][vocab]. They are valid until the next forward(). On failure nothing has been appended; kCancelled
  // where `progress` ended it.
  Result<std::span<const float>> forward(std::span<const TokenId> tokens, std::span<const std::uint32_t> rows,
                                         const ReadProgress& progress = {});
  // The logits after the last token, [vocab].
  Result<std::span<const float>> forward(std::span<const TokenId> tokens);

  // Swaps the view; weights stay where they are. Fails for an unknown level and for kReuse going up.
  Result<void> set_level(std::uint32_t level, CachePolicy policy = CachePolicy::kRecompute);

  // Guesses ahead: reads one more token at `level`, smaller than the session's, after what the session has read and
  // what was drafted since, whose keys and values it shares; the logits after it, [vocab], until the next call.
  // Drafted tokens are no part of the text: every call but this one forgets them. Fails with kInvalidArgument where
  // can_draft() does, for a full context and for an unknown token.
  Result<std::span<const float>> draft(TokenId token, std::uint32_t level);
  // Fails for an unknown level, and for one that is not below the session's.
  Result<void> can_draft(std::uint32_t level) const;

  // Gives back to the system what the session's level does not use: the file's pages (they are read again when a larger
  // level or another session wants them) and the cache of groups that it has not. Returns the bytes of weights. Costs
  // milliseconds.
  std::uint64_t reclaim();

  // Appends `tokens` without reading them yet: the next forward() does, together with its own. Fails as forward() does.
  Result<void> append(std::span<const TokenId> tokens);

  // Goes back: keeps the first `count` of the tokens read so far (all, if they are fewer) and what was computed for
  // them.
  void truncate(std::size_t count);
  void reset();  // forgets all tokens, keeps the level

  std::uint32_t level() const;
  std::span<const TokenId> tokens() const;  // read so far
  std::uint32_t context_tokens() const;
  std::uint32_t batch_tokens() const;
  std::uint32_t vocab() const;
  std::uint32_t threads() const;
  KvType kv_type() const;
  // What one more token adds to the cache at this level: 2 x the kept groups of all layers x a head's row. Beyond the
  // weights, a session needs this per token, batch_tokens rows of activations, and the logits asked for.
  std::uint64_t cache_bytes_per_token() const;

 private:
  struct ELRT_HIDDEN Impl;
  ELRT_HIDDEN explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace elrt
