#include "eval/task_model.h"

#include <elrt/sampler.hpp>
#include <elrt/scorer.hpp>

#include <algorithm>

#include "base/runtime_result.h"

namespace elastify {
namespace {

// Reads `ids` after what the session shares with them; the logits after the last.
std::span<const float> read(elrt::Session& session, std::span<const std::int32_t> ids) {
  const auto known = session.tokens();
  const auto common =
      static_cast<std::size_t>(std::mismatch(known.begin(), known.end(), ids.begin(), ids.end()).first - known.begin());
  session.truncate(std::min(common, ids.size() - 1));
  return take(session.forward(ids.subspan(session.tokens().size())));
}

}  // namespace

std::vector<double> SessionTaskModel::losses(std::span<const std::int32_t> ids, std::size_t from) {
  return take(elrt::score_tail(session_, ids, from));
}

std::string SessionTaskModel::answer(std::span<const std::int32_t> prompt, std::size_t max_tokens) {
  elrt::Sampler greedy = take(elrt::Sampler::create({}));
  elrt::DecodeOptions continuing;
  continuing.continues = true;
  elrt::TextStream stream(tokenizer_, continuing);
  std::string text;
  std::span<const float> logits = read(session_, prompt);
  for (std::size_t count = 0; count < max_tokens; ++count) {
    const std::int32_t token = take(greedy.sample(logits));
    if (tokenizer_.ends_text(token)) break;
    text += stream.push(token);
    if (const auto end = text.find('\n'); end != std::string::npos) return text.substr(0, end);
    if (count + 1 < max_tokens) logits = take(session_.forward({&token, 1}));
  }
  text += stream.finish();
  return text.substr(0, text.find('\n'));
}

}  // namespace elastify
