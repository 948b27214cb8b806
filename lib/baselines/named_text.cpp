#include "baselines/named_text.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "finetune/batches.h"
#include "profile/resume.h"

namespace elastify {
namespace {

constexpr std::int64_t kTextTokens = 2048, kLossPositions = 512;

bool good_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(),
                                      [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

}  // namespace

std::string rows_hash(const TokenRows& rows) {
  return hash_text(tensor_hash(rows.inputs) + " " + tensor_hash(rows.targets));
}

NamedText named_text(const std::string& name, const TokenRows& rows) { return {name, rows, rows_hash(rows)}; }

std::vector<NamedText> read_named_texts(const std::vector<std::string>& arguments, const elrt::Tokenizer& tokenizer,
                                        std::int64_t seq, std::int64_t max_tokens,
                                        std::vector<TokenDocument>& documents) {
  std::vector<NamedText> texts;
  for (const auto& argument : arguments) {
    const auto equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    if (equals == std::string::npos || !good_name(name))
      fail_usage("--text {}: expected NAME=FILE, the name of letters, digits, - and _", argument);
    for (const NamedText& text : texts) {
      if (text.name == name) fail_usage("--text {}: the name {} stands for another text already", argument, name);
    }
    const auto read = tokenize_documents(read_documents(argument.substr(equals + 1)), tokenizer);
    documents.insert(documents.end(), read.begin(), read.end());
    texts.push_back(named_text(name, pack_rows(read, seq, max_tokens, 0)));
  }
  return texts;
}

double text_loss(const Decoder& decoder, const Adapter* adapter, const UnitTap& tap, const TokenRows& rows) {
  const torch::NoGradGuard no_grad;
  ForwardOptions options;
  options.adapter = adapter;
  options.tap = tap;
  const std::int64_t step = std::max<std::int64_t>(1, kTextTokens / rows.seq());
  double sum = 0;
  std::int64_t counted = 0;
  Progress progress("loss", rows.rows(), "rows");
  for (std::int64_t row = 0; row < rows.rows(); row += step) {
    const torch::Tensor picked = torch::arange(row, std::min(rows.rows(), row + step), torch::kInt64);
    const Batch batch = make_batch(rows, picked, decoder.weights().embedding.device());
    const torch::Tensor states = counted_positions(decoder.hidden(batch.inputs, options), batch);
    for (std::int64_t first = 0; first < batch.counted(); first += kLossPositions) {
      const std::int64_t here = std::min(kLossPositions, batch.counted() - first);
      sum +=
          summed_loss(decoder.head(states.narrow(0, first, here)), batch.targets.narrow(0, first, here)).item<double>();
    }
    counted += batch.counted();
    progress.update(std::min(rows.rows(), row + step));
    stop_if_interrupted();
  }
  if (counted == 0) fail_data("baselines: a text predicts no token, expected at least one");
  const double mean = sum / static_cast<double>(counted);
  return std::isfinite(mean) ? mean : std::numeric_limits<double>::infinity();
}

}  // namespace elastify
