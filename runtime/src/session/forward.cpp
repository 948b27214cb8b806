#include "session/forward.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/cache_size.hpp"
#include "kernels/fetch.hpp"

namespace elrt {
namespace {

// A multiple of this many rows goes to a thread at once: whole panels, or groups or blocks of rows of the float
// kernels.
std::uint32_t row_granule(const kernels::Matmul& job) {
  if (kernels::groups_rows(job)) return kernels::kGroupedRows;
  return job.weights->quantised() || job.tokens > kernels::kStreamedTokens ? kernels::kPanelRows : 8;
}

// Few tokens are bound by the memory, which is fastest on long stretches; at least two of them for each thread balance.
std::uint32_t stretch_rows(const kernels::Matmul& job, std::size_t threads) {
  if (job.tokens > kernels::kStreamedTokens) return 0;
  const std::uint32_t most =
      job.weights->quantised() ? kernels::kStreamedPanels * kernels::kPanelRows : kernels::kStreamedRows;
  return std::min(most, static_cast<std::uint32_t>(job.outputs / (2 * threads)));
}

std::uint32_t piece_rows(const kernels::Matmul& job, std::size_t threads) {
  constexpr std::uint64_t kPieceWork =
      1u << 16;  // about so many multiplications: long against the cost of handing one out, short enough to balance
  const std::uint64_t row_work = std::max<std::uint64_t>(1, std::uint64_t{job.inputs} * job.tokens);
  const auto rows = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(kPieceWork / row_work, 1, 1u << 20));
  const std::uint32_t granule = row_granule(job);
  return (std::max(rows, stretch_rows(job, threads)) + granule - 1) / granule * granule;
}

// The same for an adapter's first matrix, for which the rest of the loop waits: what streams from memory at once, or a
// share of the products for each thread, of as many rows at most as the float kernels take at once. A tile's rows lie
// together: a thread takes as many as there are for it.
std::uint32_t low_piece_rows(const kernels::Matmul& job, std::size_t threads) {
  if (job.weights->quantised()) return job.weights->panel_outputs;
  if (job.tokens <= kernels::kStreamedTokens) {
    const auto share = static_cast<std::uint32_t>((job.outputs + threads - 1) / threads);
    return job.weights->tiled ? (share + 7) / 8 * 8 : 8;
  }
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(job.outputs / threads, 1, 4));
}

// A piece's part of an adapter's second matrix, on its way while the base is multiplied: it is over before the hardware
// would have begun to fetch ahead.
void fetch_added(const kernels::ColumnProduct& job, std::uint32_t begin, std::uint32_t end) {
  if (job.weights == nullptr || job.tokens > kernels::kStreamedTokens) return;
  constexpr std::uint32_t kSide = format::kColumnOutputs;
  const std::size_t panel = Columns{job.weights, job.type, job.outputs, job.inputs}.panel_bytes();
  fetch(job.weights + begin / kSide * panel, ((end + kSide - 1) / kSide - begin / kSide) * panel);
}

// The outputs of several jobs, cut into pieces, job after job.
class Pieces {
 public:
  struct Piece {
    std::size_t job;
    std::uint32_t begin, end;
  };
  void add(std::uint32_t outputs, std::uint32_t rows) {
    const std::uint32_t count = (outputs + rows - 1) / rows;
    jobs_[used_++] = {outputs, rows, count};
    count_ += count;
  }
  std::size_t count() const { return count_; }
  Piece at(std::size_t index) const {
    std::size_t job = 0;
    while (index >= jobs_[job].pieces) index -= jobs_[job++].pieces;
    const auto begin = static_cast<std::uint32_t>(index * jobs_[job].rows);
    return {job, begin, std::min(jobs_[job].outputs, begin + jobs_[job].rows)};
  }

 private:
  struct Cut {
    std::uint32_t outputs, rows, pieces;
  };
  std::array<Cut, 6> jobs_{};
  std::size_t used_ = 0, count_ = 0;
};

}  // namespace

// Other programs have their share of a cache, and so does what is not weights: a level counts as cached where it fills
// a quarter at most.
Forward::Forward(const Model& model, ThreadPool& pool)
    : model_(model),
      pool_(pool),
      cached_bytes_(last_level_cache_bytes() / 4),
      scores_(pool.threads()),
      scratch_(pool.threads()) {}

// Room for so many tokens. It grows with the batches that come: all of a long batch's would be many megabytes to clear
// before a first token.
void Forward::reserve(std::size_t batch) {
  if (batch <= reserved_) return;
  const ModelShape& shape = model_.shape;
  const std::size_t q_width = std::size_t{shape.heads} * shape.head_dim,
                    kv_width = std::size_t{shape.kv_heads} * shape.head_dim;
  for (Activations* a : {&x_, &h_, &head_in_}) a->allocate(batch, shape.hidden);
  for (Activations* a : {&q_, &attended_}) a->allocate(batch, q_width);
  for (Activations* a : {&k_, &v_}) a->allocate(batch, kv_width);
  for (Activations* a : {&gate_, &up_}) a->allocate(batch, shape.ffn);
  std::size_t rank = 0;
  for (const LevelData& level : model_.levels) rank = std::max<std::size_t>(rank, level.adapter_rank);
  for (Activations& a : low_rank_) a.allocate(batch, rank);
  const std::size_t widest = std::max({std::size_t{shape.hidden}, std::size_t{shape.ffn}, q_width});
  if (model_.quantised) quantised_.allocate(batch, widest);
  if (model_.bf16) rounded_.allocate(batch, widest);
  for (Angles* angles : {&angles_, &local_angles_}) {
    angles->cosines.resize(batch * (shape.rotary_dim / 2));
    angles->sines.resize(batch * (shape.rotary_dim / 2));
  }
  reserved_ = batch;
}

void Forward::choose_inputs(kernels::Matmul& product) {
  if (product.weights->quantised()) product.quantised = &quantised_;
  if (kernels::rounds_inputs(*product.weights)) product.rounded = &rounded_;
}

void Forward::run(const LevelView& view, KvCache& cache, std::span<const std::int32_t> tokens, std::size_t first,
                  std::size_t answers) {
  reserve(tokens.size());
  tokens_ = tokens.size();
  answers_ = answers;
  dropped_ = 0;
  for (std::size_t t = 0; t < tokens_; ++t) embed(static_cast<std::size_t>(tokens[t]), x_.row(t));
  const bool far = long_text_ && !model_.long_frequencies.empty();
  prepare_rotation(far ? model_.long_frequencies : model_.pair_frequencies, first, angles_);
  if (!model_.local_frequencies.empty()) prepare_rotation(model_.local_frequencies, first, local_angles_);
  for (std::size_t layer = 0; layer < model_.layers.size(); ++layer) {
    attention_block(view, cache, layer, first);
    if (tokens_ > 0) mlp_block(view, layer);
  }
}

void Forward::embed(std::size_t token, float* out) const {
  kernels::load_row(model_.embedding, token, out);
  const float scale = model_.shape.embedding_scale;
  if (scale == 1) return;
  for (std::uint32_t i = 0; i < model_.shape.hidden; ++i) out[i] *= scale;
}

void Forward::logits(const LevelView& view, std::span<const std::uint32_t> rows, float* out) {
  const ModelShape& shape = view.model().shape;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    kernels::rms_norm(x_.row(rows[i] - dropped_), model_.output_norm, shape.rms_epsilon, shape.hidden, head_in_.row(i));
  }
  Job job{{&model_.output, shape.vocab, shape.hidden, head_in_.row(0), head_in_.stride, out, shape.vocab,
           static_cast<std::uint32_t>(rows.size())},
          {}};
  job.product.cached = in_cache(view);
  choose_inputs(job.product);
  multiply({&job, 1}, 0);
}

void Forward::multiply(std::span<const Job> jobs, std::size_t low) {
  constexpr std::uint64_t kAloneWork = 1u << 14;  // below it, waking the other threads costs more than they save
  Pieces pieces;
  std::size_t low_pieces = 0, scratch = 0;
  std::uint64_t work = 0;
  for (std::size_t j = 0; j < jobs.size(); ++j) {
    const kernels::Matmul& product = jobs[j].product;
    pieces.add(product.outputs,
               j < low ? low_piece_rows(product, pool_.threads()) : piece_rows(product, pool_.threads()));
    if (j < low) low_pieces = pieces.count();
    work += std::uint64_t{product.inputs} * product.tokens * product.outputs;
    scratch = std::max(scratch, kernels::scratch_floats(product));
  }
  for (AlignedFloats& floats : scratch_) floats.resize(std::max(floats.size(), scratch));
  const auto multiply_piece = [&](std::size_t index, std::size_t thread) {
    const auto [j, begin, end] = pieces.at(index);
    fetch_added(jobs[j].added, begin, end);
    kernels::matmul(jobs[j].product, begin, end, scratch_[thread].data());
  };
  const auto add_to_piece = [&](std::size_t index, std::size_t) {
    const auto [j, begin, end] = pieces.at(index);
    if (jobs[j].added.weights != nullptr) kernels::multiply_columns(jobs[j].added, begin, end);
  };
  const kernels::Matmul& any = jobs.front().product;  // all read the same x
  const auto any_reads = [&](const auto& wants) { return std::any_of(jobs.begin(), jobs.end(), wants); };
  const bool in_bytes = any_reads([](const Job&job) { return job.product.quantised != nullptr; }),
             in_bf16 = any_reads([](const Job&job) { return job.product.rounded != nullptr; });
  const std::size_t rows = in_bytes || in_bf16 ? any.tokens : 0;
  const auto quantise = [&](std::size_t row, std::size_t) {
    const float* x = any.x + row * any.x_stride;
    if (in_bytes) kernels::quantise_row(x, any.inputs, quantised_, row);
    if (in_bf16) kernels::round_row(x, any.inputs, rounded_, row);
  };
  if (work <= kAloneWork) {
    for (std::size_t row = 0; row < rows; ++row) quantise(row, 0);
    for (std::size_t piece = 0; piece < pieces.count(); ++piece) {
      multiply_piece(piece, 0);
      add_to_piece(piece, 0);
    }
    return;
  }
  pool_.for_each(rows, quantise);  // one row is done before another thread would have begun
  pool_.for_each(low_pieces, pieces.count(), multiply_piece, add_to_piece);
}

void Forward::project(const LevelView& view, std::size_t layer, Activations& x,
                      std::span<const Projection> projections) {
  std::array<Job, 6> jobs;  // what reads x: adapters' first matrices, then the base's, to which the second ones add
  const auto tokens = static_cast<std::uint32_t>(tokens_);
  const LayerAdapter* adapter = view.adapter(layer);
  const auto adapted = [&](const Projection& p) { return adapter != nullptr && (*adapter)[p.target].a; };
  const auto low = static_cast<std::size_t>(std::count_if(projections.begin(), projections.end(), adapted));
  std::size_t made = 0;
  for (std::size_t i = 0; i < projections.size(); ++i) {
    const Projection& p = projections[i];
    Job& job = jobs[low + i];
    job.product = {p.weights,   p.outputs, p.inputs, x.row(0),     x.stride, p.y->row(0),
                   p.y->stride, tokens,    1,        p.accumulate, p.bias};
    choose_inputs(job.product);
    if (!adapted(p)) continue;
    const AdapterPair& pair = (*adapter)[p.target];
    Activations& values = low_rank_[made];
    jobs[made++].product = {&pair.a, pair.a.outputs,      p.inputs, x.row(0), x.stride, values.row(0), values.stride,
                            tokens,  view.adapter_scale()};
    choose_inputs(jobs[made - 1].product);
    job.added = {pair.b.data,   pair.b.type, p.outputs,   pair.b.inputs, values.row(0),
                 values.stride, p.y->row(0), p.y->stride, tokens,        true};
  }
  for (std::size_t i = low; i < jobs.size(); ++i) jobs[i].product.cached = in_cache(view);
  multiply({jobs.data(), low + projections.size()}, low);
}

void Forward::normalise(Activations& from, const float* weight, Activations& to) {
  const ModelShape& shape = model_.shape;
  pool_.for_each(tokens_, [&](std::size_t t, std::size_t) {
    kernels::rms_norm(from.row(t), weight, shape.rms_epsilon, shape.hidden, to.row(t));
  });
}

// x += norm(added).
void Forward::add_normalised(Activations& added, const float* weight) {
  normalise(added, weight, added);
  pool_.for_each(tokens_, [&](std::size_t t, std::size_t) {
    const float* from = added.row(t);
    float* to = x_.row(t);
    for (std::uint32_t i = 0; i < model_.shape.hidden; ++i) to[i] += from[i];
  });
}

void Forward::prepare_rotation(std::span<const float> frequencies, std::size_t first, Angles& angles) const {
  const std::size_t half = frequencies.size();
  const double magnitude = model_.shape.rope_magnitude;
  for (std::size_t t = 0; t < tokens_; ++t) {
    for (std::size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(first + t) * frequencies[i];
      angles.cosines[t * half + i] = static_cast<float>(magnitude * std::cos(angle));
      angles.sines[t * half + i] = static_cast<float>(magnitude * std::sin(angle));
    }
  }
}

void Forward::rotate(std::size_t layer, std::size_t t, float* head) const {
  const ModelShape& shape = model_.shape;
  if (!shape.turns(layer)) return;
  const std::size_t half = shape.rotary_dim / 2;
  const bool local = !model_.local_frequencies.empty() && shape.windowed(layer);
  const Angles& angles = local ? local_angles_ : angles_;
  kernels::rotate_halves(head, angles.cosines.data() + t * half, angles.sines.data() + t * half, half);
}

void Forward::keep_last(std::size_t answers) {
  const std::size_t half = model_.shape.rotary_dim / 2, hidden = kernels::padded(model_.shape.hidden);
  dropped_ = tokens_ - answers;
  for (std::size_t t = 0; t < answers; ++t) {
    for (Activations* a : {&x_, &h_}) std::copy_n(a->row(dropped_ + t), hidden, a->row(t));
  }
  for (auto* angles : {&angles_.cosines, &angles_.sines, &local_angles_.cosines, &local_angles_.sines})
    std::copy_n(angles->begin() + static_cast<std::ptrdiff_t>(dropped_ * half), answers * half, angles->begin());
  tokens_ = answers;
}

void Forward::attention_block(const LevelView& view, KvCache& cache, std::size_t layer, std::size_t first) {
  const LayerWeights& w = model_.layers[layer];
  const std::uint32_t hidden = model_.shape.hidden, q_width = view.q_width(layer), kv_width = view.kv_width(layer);
  const bool shrinks = layer + 1 == model_.layers.size() && answers_ < tokens_;
  if (kv_width == 0) {  // nothing to attend to, and nothing is added
    if (shrinks) keep_last(answers_);
    return;
  }
  normalise(x_, w.attn_norm, h_);
  const Projection inputs[] = {{kK, &w.k, kv_width, hidden, &k_, w.k_bias, false},
                               {kV, &w.v, kv_width, hidden, &v_, w.v_bias, false},
                               {kQ, &w.q, q_width, hidden, &q_, w.q_bias, false}};
  const std::span<const Projection> all(inputs);
  project(view, layer, h_, shrinks ? all.first(2) : all);
  store_keys_values(view, cache, layer, first);
  if (shrinks) {
    keep_last(answers_);
    if (tokens_ == 0) return;
    project(view, layer, h_, all.last(1));
  }
  attend(view, cache, layer, first + dropped_);
  attended_.clear_padding(tokens_, q_width);
  const bool normed = w.attn_post_norm != nullptr;
  const Projection output[] = {{kO, &w.o, hidden, q_width, normed ? &h_ : &x_, w.o_bias, !normed}};
  project(view, layer, attended_, output);
  if (normed) add_normalised(h_, w.attn_post_norm);
}

void Forward::store_keys_values(const LevelView& view, KvCache& cache, std::size_t layer, std::size_t first) {
  const LayerWeights& w = model_.layers[layer];
  const std::size_t dim = model_.shape.head_dim, groups = view.kv_groups(layer);
  const auto store = [&](std::size_t t, std::size_t group) {
    const std::size_t position = first + t;
    float* key = k_.row(t) + group * dim;
    if (w.k_norm != nullptr) kernels::rms_norm(key, w.k_norm, model_.shape.rms_epsilon, dim, key);
    rotate(layer, t, key);
    kernels::store_key(cache.type(), key, dim, cache.key_tile(layer, group, position), position % kKvTile);
    kernels::store_value(cache.type(), v_.row(t) + group * dim, dim, cache.value(layer, group, position));
  };
  // A tile goes to one thread: its positions lie within the same cache lines.
  const std::size_t first_tile = first / kKvTile, tiles = kv_tiles(first + tokens_) - first_tile;
  pool_.for_each(tiles, [&](std::size_t tile, std::size_t) {
    const std::size_t begin = std::max(first, (first_tile + tile) * kKvTile),
                      end = std::min(first + tokens_, (first_tile + tile + 1) * kKvTile);
    for (std::size_t position = begin; position < end; ++position) {
      for (std::size_t group = 0; group < groups; ++group) store(position - first, group);
    }
  });
}

void Forward::attend(const LevelView& view, KvCache& cache, std::size_t layer, std::size_t first) {
  const LayerWeights& w = model_.layers[layer];
  const ModelShape& shape = model_.shape;
  const std::size_t dim = shape.head_dim, heads = view.q_width(layer) / dim;
  const std::size_t blocks = (tokens_ + kernels::kQueriesAtOnce - 1) / kernels::kQueriesAtOnce,
                    stride = kernels::attention_scores(first + tokens_);
  for (auto& scores : scores_)
    scores.resize(std::max(scores.size(), std::min(tokens_, kernels::kQueriesAtOnce) * stride));
  pool_.for_each(blocks * heads, [&](std::size_t item, std::size_t thread) {
    const std::size_t block = blocks - 1 - item / heads;  // the longest first
    const std::size_t head = item % heads, group = head / shape.heads_per_group();
    const std::size_t begin = block * kernels::kQueriesAtOnce, end = std::min(tokens_, begin + kernels::kQueriesAtOnce);
    for (std::size_t t = begin; t < end; ++t) {
      float* query = q_.row(t) + head * dim;
      if (w.q_norm != nullptr) kernels::rms_norm(query, w.q_norm, shape.rms_epsilon, dim, query);
      rotate(layer, t, query);
    }
    kernels::Attention job;
    job.queries = q_.row(begin) + head * dim, job.query_stride = q_.stride, job.count = end - begin;
    job.first = first + begin, job.window = shape.window(layer);
    job.type = cache.type(), job.keys = cache.keys(layer, group), job.values = cache.values(layer, group),
    job.row_bytes = cache.row_bytes();
    job.head_dim = dim, job.scale = shape.attention_scale;
    job.scores = scores_[thread].data(), job.score_stride = stride;
    job.out = attended_.row(begin) + head * dim, job.out_stride = attended_.stride;
    kernels::attend(job);
  });
}

void Forward::mlp_block(const LevelView& view, std::size_t layer) {
  const LayerWeights& w = model_.layers[layer];
  const std::uint32_t hidden = model_.shape.hidden, neurons = view.neurons(layer);
  if (neurons == 0) return;
  normalise(x_, w.ffn_norm, h_);
  const Projection inputs[] = {{kGate, &w.gate, neurons, hidden, &gate_, nullptr, false},
                               {kUp, &w.up, neurons, hidden, &up_, nullptr, false}};
  project(view, layer, h_, inputs);
  gate_.clear_padding(tokens_, neurons);
  up_.clear_padding(tokens_, neurons);
  const bool gelu = model_.shape.activation == Activation::kGeluTanh;
  pool_.for_each(tokens_, [&](std::size_t t, std::size_t) {
    (gelu ? kernels::gelu_multiply : kernels::silu_multiply)(gate_.row(t), up_.row(t), kernels::padded(neurons));
  });
  const bool normed = w.ffn_post_norm != nullptr;
  const Projection output[] = {{kDown, &w.down, hidden, neurons, normed ? &h_ : &x_, nullptr, !normed}};
  project(view, layer, gate_, output);
  if (normed) add_normalised(h_, w.ffn_post_norm);
}

}  // namespace elrt
