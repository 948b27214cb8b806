#include "profile/probe_head.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "data/targets.h"
#include "model/logit_kernels.h"
#include "model/loss_head.h"
#include "model/typed_rows.h"
#include "profile/probe_kernels.h"

namespace elastify {
namespace {

using torch::Tensor;

// Logits at once: smaller pieces read the head too often, larger ones leave the caches.
constexpr std::int64_t kPieceLogits = std::int64_t{1} << 24;

std::int64_t piece_rows(std::int64_t vocab) { return std::clamp<std::int64_t>(kPieceLogits / vocab, 16, 1024); }

Tensor sign_rows(const Tensor& places, std::int64_t vocab, std::uint64_t seed) {
  const Tensor rows = places.to(torch::kCPU);
  Tensor signs = torch::empty({rows.numel(), vocab}, torch::kFloat32);
  for (std::int64_t i = 0; i < rows.numel(); ++i) {
    kernels::random_signs(seed, static_cast<std::uint64_t>(rows.data_ptr<std::int64_t>()[i]), vocab,
                          signs.data_ptr<float>() + i * vocab);
  }
  return signs;
}

// Of a piece of rows, whose logits become the error p - onehot(label).
struct Piece {
  Tensor losses, probe;
};

// Any type and device, step by step.
Piece by_operations(Tensor& logits, const Tensor& labels, const Tensor& places, std::optional<std::uint64_t> seed) {
  const auto wide = logits.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const Tensor log_p = torch::log_softmax(logits.to(wide), -1), p = log_p.exp(), column = labels.unsqueeze(-1);
  Piece found{log_p.gather(-1, column).squeeze(-1).neg().to(torch::kFloat64), {}};
  if (seed.has_value()) {
    const Tensor r = p.sqrt().mul_(sign_rows(places, logits.size(1), *seed).to(p.options()));
    found.probe = (r - p * r.sum(-1, true)).to(logits.scalar_type());
  }
  logits = p.scatter_add(-1, column, torch::full_like(column, -1, p.options())).to(logits.scalar_type());
  return found;
}

// float32 or bfloat16 rows on the CPU, each read once.
Piece by_rows(Tensor& logits, const Tensor& labels, const Tensor& places, std::optional<std::uint64_t> seed) {
  const std::int64_t vocab = logits.size(1);
  Piece found{torch::empty({logits.size(0)}, torch::kFloat64), seed.has_value() ? torch::empty_like(logits) : Tensor()};
  at::parallel_for(0, logits.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    RowBuffer buffer, p(static_cast<std::size_t>(vocab)), probe(seed.has_value() ? p.size() : 0);
    for (std::int64_t row = begin; row < end; ++row) {
      const float* x = read_row(logits, row, buffer);
      const std::int64_t label = labels.data_ptr<std::int64_t>()[row];
      const float log_sum = kernels::log_sum_exp(x, vocab, 1);
      found.losses.data_ptr<double>()[row] = static_cast<double>(log_sum) - static_cast<double>(x[label]);
      kernels::scaled_softmax(x, vocab, 1, log_sum, 1, false, p.data());
      if (seed.has_value()) {
        const auto place = static_cast<std::uint64_t>(places.data_ptr<std::int64_t>()[row]);
        kernels::random_signs(*seed, place, vocab, probe.data());
        kernels::probe(p.data(), vocab, probe.data());
        write_row(found.probe, row, probe.data());
      }
      p[static_cast<std::size_t>(label)] -= 1;
      write_row(logits, row, p.data());
    }
  });
  return found;
}

Tensor in_product_type(const Tensor& head, ProductType products) {
  const bool half =
      products == ProductType::kBfloat16 && head.scalar_type() == torch::kFloat32 && multiplies_bfloat16(head.device());
  return half ? head.detach().to(torch::kBFloat16) : head.detach();
}

// Rows that count: places in x, inputs of the head, labels.
struct Counted {
  Tensor places, inputs, labels;
};
Counted counted_rows(const Tensor& x, const Tensor& targets, torch::ScalarType type) {
  const Tensor flat = targets.reshape({-1}), places = flat.ne(kIgnore).nonzero().squeeze(-1);
  return {places, x.detach().reshape({-1, x.size(-1)}).index_select(0, places).to(type), flat.index_select(0, places)};
}

Tensor zero_losses(const Tensor& targets) {
  return torch::zeros({targets.numel()}, torch::TensorOptions().dtype(torch::kFloat64).device(targets.device()));
}

}  // namespace

ProbeHead::ProbeHead(const Tensor& head, ProductType products) : head_(in_product_type(head, products)) {}

Tensor ProbeHead::losses(const Tensor& x, const Tensor& targets) const {
  const torch::NoGradGuard no_grad;
  const Counted rows = counted_rows(x, targets, head_.scalar_type());
  const HeadLoss found = head_loss(rows.inputs, head_, rows.labels, {}, {0, 1, 1}, false);
  return zero_losses(targets).index_copy_(0, rows.places, found.losses.to(torch::kFloat64)).view(targets.sizes());
}

HeadGradients ProbeHead::gradients(const Tensor& x, const Tensor& targets, std::optional<std::uint64_t> seed) const {
  const torch::NoGradGuard no_grad;
  const auto type = head_.scalar_type();
  const Counted rows = counted_rows(x, targets, type);
  const bool kernels = x.device().is_cpu() && (type == torch::kFloat32 || type == torch::kBFloat16);
  Tensor losses = zero_losses(targets), error = torch::zeros({targets.numel(), x.size(-1)}, x.options()),
         probe = seed.has_value() ? torch::zeros_like(error) : Tensor();
  for (std::int64_t begin = 0, count = 0; begin < rows.places.numel(); begin += count) {
    count = std::min(piece_rows(head_.size(0)), rows.places.numel() - begin);
    const Tensor places = rows.places.narrow(0, begin, count);
    Tensor logits = torch::mm(rows.inputs.narrow(0, begin, count), head_.t());
    const Piece piece = (kernels ? by_rows : by_operations)(logits, rows.labels.narrow(0, begin, count), places, seed);
    losses.index_copy_(0, places, piece.losses);
    error.index_copy_(0, places, torch::mm(logits, head_).to(x.scalar_type()));
    if (seed.has_value()) probe.index_copy_(0, places, torch::mm(piece.probe, head_).to(x.scalar_type()));
  }
  return {losses.view(targets.sizes()), error.view(x.sizes()), seed.has_value() ? probe.view(x.sizes()) : Tensor()};
}

double probe_head_bytes(std::int64_t vocab_size) {
  return 2 * 4 * static_cast<double>(piece_rows(vocab_size) * vocab_size);
}

}  // namespace elastify
