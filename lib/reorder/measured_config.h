// Settings of plans by measurement.
#pragma once

#include <string>

#include "base/config.h"

namespace elastify {

struct MeasuredConfig {
  std::int64_t tokens = 4096;  // calibration tokens
  std::int64_t batch_rows = 8;
  std::int64_t neuron_block = 0;       // neurons a cut takes; 0: a quarter of the width
  double slack = 0.1;                  // of a cut's price: see RemovalRule
  std::string per = "weights";         // or latency
  std::int64_t context = 512;          // tokens whose keys and values a step reads, where per is latency
  double half_bytes = 1e6;             // that are read in the time of what a half costs whatever its width
  std::string measure = "next_token";  // or divergence
  std::string products = "auto";       // as finetune.products

  template <typename V>
  void visit(V& v) {
    v.integer("tokens", tokens, 2, std::int64_t{1} << 40, "calibration tokens");
    v.integer("batch_rows", batch_rows, 1, 1 << 20, "rows a batch: memory grows with it");
    v.integer("neuron_block", neuron_block, 0, 1 << 20,
              "neurons that a cut takes, rounded to neuron_multiple; 0: a quarter of the width");
    v.number(
        "slack", slack, 0, 10,
        "a cut is taken without measuring others again that were at most this share of its price cheaper when they "
        "were measured last: fewer measurements");
    v.choice("per", per, {"weights", "latency"},
             "the loss is set against the weights that a cut saves, or against the bytes that a decode step then need "
             "not read: weights as pack.dtype holds them, keys and values of context tokens, half_bytes for a half "
             "that is gone");
    v.integer("context", context, 0, 1 << 20, "tokens whose keys and values count, where per is latency");
    v.number("half_bytes", half_bytes, 0, 1e12,
             "bytes that are read in the time that a half takes whatever its width (norms, waiting for threads), where "
             "per is latency");
    v.choice("measure", measure, {"next_token", "divergence"},
             "what is measured: the loss of the next token, or the divergence from the full model's distribution");
    v.choice("products", products, {"auto", "float32", "bfloat16"},
             "type in which matrices are multiplied; auto: bfloat16 where the device is fast at it");
  }
};

}  // namespace elastify
