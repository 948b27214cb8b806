#include "eval/text_loss.h"

#include <elrt/artifact.hpp>
#include <elrt/scorer.hpp>
#include <elrt/tokenizer.hpp>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/runtime_result.h"
#include "data/dataset.h"

namespace elastify {
namespace {

using nlohmann::json;

std::vector<TokenDocument> read_texts(const TextLossRequest& request, const elrt::Tokenizer& tokenizer) {
  std::vector<TokenDocument> documents;
  std::int64_t tokens = 0;
  for (const auto& path : request.texts) {
    for (auto& document : tokenize_documents(read_documents(path), tokenizer)) {
      if (request.max_tokens > 0 && tokens >= request.max_tokens) return documents;
      tokens += std::accumulate(document.counts.begin(), document.counts.end(), std::int64_t{0});
      documents.push_back(std::move(document));
    }
  }
  if (tokens == 0) fail_data("the text predicts nothing: expected documents of at least two tokens");
  return documents;
}

struct Sum {
  double nll = 0;
  std::int64_t tokens = 0;
};

Sum measure(elrt::Session& session, const std::vector<TokenDocument>& documents, Progress& progress,
            std::int64_t& done) {
  Sum sum;
  for (const auto& document : documents) {
    const std::vector<elrt::TokenId> ids(document.ids.begin(), document.ids.end());
    const auto count = [&](std::size_t index, double nll) {
      if (document.counts[index] == 0) return;
      sum.nll += nll;
      ++sum.tokens;
    };
    take(elrt::score(session, ids, 0, count));
    progress.update(++done);
  }
  return sum;
}

}  // namespace

json measure_text_loss(const TextLossRequest& request) {
  const elrt::Artifact artifact = take(elrt::Artifact::open(request.artifact));
  const auto tokenizer = take(artifact.tokenizer());
  const auto documents = read_texts(request, *tokenizer);
  std::vector<std::uint32_t> levels(request.levels.begin(), request.levels.end());
  if (levels.empty()) {
    for (const auto& level : artifact.levels()) levels.push_back(level.level);
  }
  Progress progress("eval", static_cast<std::int64_t>(2 * levels.size() * documents.size()), "documents");
  std::int64_t done = 0;
  json result = {{"documents", documents.size()}, {"levels", json::array()}};
  for (const std::uint32_t level : levels) {
    const bool adapted = take(artifact.level(level)).adapter_rank > 0;
    elrt::SessionOptions options;
    options.level = level;
    options.threads = static_cast<std::uint32_t>(request.threads);
    elrt::Session session = take(elrt::Session::create(artifact, options));
    const Sum with = measure(session, documents, progress, done);
    Sum without = with;
    if (adapted) {
      options.use_adapter = false;
      elrt::Session plain = take(elrt::Session::create(artifact, options));
      without = measure(plain, documents, progress, done);
    }
    const auto tokens = static_cast<double>(with.tokens);
    result["tokens"] = with.tokens;
    result["levels"].push_back({{"level", level},
                                {"loss", with.nll / tokens},
                                {"loss_without_adapter", without.nll / tokens},
                                {"adapter", adapted},
                                {"perplexity", std::exp(with.nll / tokens)}});
  }
  return result;
}

std::string format_text_loss(const json& result) {
  std::string text =
      fmt::format("{} documents, {} predictions; nats per token\n\nlevel  without adapter    loss  perplexity\n",
                  result.at("documents").get<std::int64_t>(), result.at("tokens").get<std::int64_t>());
  for (const auto& level : result.at("levels")) {
    text += fmt::format("{:>5}  {:>15.4f}  {:>6.4f}  {:>10.3f}\n", level.at("level").get<int>(),
                        level.at("loss_without_adapter").get<double>(), level.at("loss").get<double>(),
                        level.at("perplexity").get<double>());
  }
  return text;
}

}  // namespace elastify
