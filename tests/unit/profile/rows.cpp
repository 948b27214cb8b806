#include "rows.h"

#include <ATen/CPUGeneratorImpl.h>

namespace elastify_test {

using namespace elastify;

TokenRows self_rows(const Decoder& decoder, std::int64_t rows, std::int64_t seq, std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  auto generator = at::detail::createCPUGenerator(seed);
  TokenRows made;
  made.inputs = torch::randint(0, decoder.config().vocab_size, {rows, seq}, generator, torch::kInt64);
  const torch::Tensor chances =
      torch::softmax(decoder.logits(made.inputs).to(torch::kFloat64), -1).reshape({rows * seq, -1});
  made.targets = torch::multinomial(chances, 1, false, generator).reshape({rows, seq});
  made.targets.select(1, seq - 1).fill_(kIgnore);
  return made;
}

TokenRows sampled_rows(const Decoder& decoder, std::int64_t rows, std::int64_t seq, std::int64_t first,
                       std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  auto generator = at::detail::createCPUGenerator(seed);
  KvCache cache;
  ForwardOptions options;
  options.cache = &cache;
  std::vector<torch::Tensor> columns = {torch::full({rows, 1}, first, torch::kInt64)};
  for (std::int64_t i = 0; i < seq; ++i) {
    const torch::Tensor chances =
        torch::softmax(decoder.logits(columns.back(), options).squeeze(1).to(torch::kFloat64), -1);
    columns.push_back(torch::multinomial(chances, 1, false, generator));
  }
  const torch::Tensor ids = torch::cat(columns, 1);
  return {ids.narrow(1, 0, seq).contiguous(), ids.narrow(1, 1, seq).contiguous()};
}

}  // namespace elastify_test
