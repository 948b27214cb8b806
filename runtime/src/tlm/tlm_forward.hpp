// MobileBERT's and BERT's forward pass over one row of tokens (lib/tlm/encoder.h has it in formulas). A layer is two
// parallel loops over blocks of tokens: what every token computes alone stays in one core's cache, only keys and values
// are exchanged between them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.hpp"
#include "model/tlm_weights.hpp"
#include "session/activations.hpp"

namespace elrt {

class TlmForward {
 public:
  TlmForward(const TlmModel& model, ThreadPool& pool);

  // The embedding layer of `row`, whose ids are below vocabulary plus SLO tokens and whose length is at most the
  // positions: x becomes [row.size()][hidden].
  void embed(const TlmRow& row, Activations& x);

  // Replaces x, [tokens][hidden], by what the layers make of it. With `first_only` the last layer computes the first
  // token alone; the others' states are then undefined.
  void run(const std::vector<TlmLayer>& layers, Activations& x, std::size_t tokens, bool first_only = false);

  // out[t][classes] for the first `tokens` of x.
  void classify(const TlmDense& classifier, Activations& x, std::size_t tokens, float* out);

 private:
  struct Sources {
    Activations *inner, *query, *value;  // what the residual, queries and keys, and values come from
  };
  Sources sources(Activations& x);
  void reserve(std::size_t tokens);
  std::size_t block_tokens(std::size_t tokens) const;
  template <typename Body>
  void for_blocks(std::size_t tokens, const Body& body);
  void run_layer(const TlmLayer& layer, Activations& x, std::size_t tokens, std::size_t outputs);
  void project(const TlmLayer& layer, Activations& x, std::size_t begin, std::size_t count, std::size_t outputs,
               std::size_t tokens);
  void store_key_and_value(std::size_t token, std::size_t tokens);
  void attend(std::size_t begin, std::size_t count, std::size_t tokens, std::size_t thread);
  void finish(const TlmLayer& layer, Activations& x, std::size_t begin, std::size_t count);
  void normalise(const TlmNorm& norm, float epsilon, Activations& x, std::size_t begin, std::size_t count,
                 std::size_t width) const;

  const TlmModel& model_;
  ThreadPool& pool_;
  float inner_epsilon_;  // of the norms of the embeddings and after a layer's last feed-forward network
  void (*activate_)(float*, std::size_t);  // of a feed-forward network's neurons
  std::size_t reserved_ = 0;               // tokens that the buffers below hold
  Activations words_, inner_, query_in_, q_, k_, v_, attended_, y_, neurons_;
  std::vector<float> keys_, values_;  // per head, in columns: a token's key is a column, a token's value a row
  std::vector<std::vector<float>> scores_, position_;  // per thread; here, since a pool's threads cannot fail
  std::vector<float> segments_;                        // of the embedding layer, [segments][hidden]
};

}  // namespace elrt
