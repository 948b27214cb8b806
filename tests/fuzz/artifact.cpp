// A file as hostile as can be: opened, its checksums compared, and where it is sound used for a few tokens.
#include "elrt/elrt.hpp"
#include "fuzz/memory_file.h"

namespace {

using elastify_fuzz::require;

constexpr std::uint32_t kTokens = 6;

void read_tokens(elrt::Session& session) {
  std::vector<elrt::TokenId> tokens;
  for (std::uint32_t i = 0; i < std::min(kTokens, session.context_tokens()); ++i)
    tokens.push_back(static_cast<elrt::TokenId>(i * 7 % session.vocab()));
  if (auto logits = session.forward(tokens)) require(logits->size() == session.vocab());
}

void use_levels(const elrt::Artifact& artifact) {
  elrt::SessionOptions options;
  options.threads = 1;
  options.context_tokens = std::min(artifact.shape().context, 8u);
  auto session = elrt::Session::create(artifact, options);
  if (!session) return;
  read_tokens(session.value());
  for (auto level = artifact.levels().rbegin(); level != artifact.levels().rend(); ++level) {
    if (session->set_level(level->level, elrt::CachePolicy::kRecompute)) read_tokens(session.value());
    session->reset();
  }
}

void use_tokenizer(const elrt::Artifact& artifact) {
  auto tokenizer = artifact.tokenizer();
  if (!tokenizer) return;
  auto ids = tokenizer.value()->encode("ab cab c\n\xC3\xA9");
  if (!ids) return;
  for (const std::int32_t id : ids.value()) require(id >= 0 && id < tokenizer.value()->vocab_size());
  (void)tokenizer.value()->decode(ids.value());
}

void use_tlm(const elrt::Artifact& artifact) {
  auto tlm = elrt::Tlm::create(artifact, 1);
  if (!tlm) return;
  auto pieces = tlm->wordpiece().encode("ab cab c, abc?");
  if (!pieces) return;
  if (auto scores = tlm->score_words(pieces.value(), {})) require(scores->size() == pieces->words.size());
  (void)tlm->decide(pieces.value(), {});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const elastify_fuzz::MemoryFile file(bytes, size);
  auto artifact = elrt::Artifact::open(file.path());
  if (!artifact) {
    require(!artifact.failure().message.empty() && artifact.failure().message.find('\n') == std::string::npos);
    return 0;
  }
  (void)artifact->verify_checksums();
  use_tokenizer(artifact.value());
  use_levels(artifact.value());
  if (artifact->tlm() != nullptr) use_tlm(artifact.value());
  return 0;
}
