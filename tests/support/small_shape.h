// The shape of a random checkpoint that whole pipelines run on in seconds.
#pragma once

#include "checkpoint/random_checkpoint.h"

namespace elastify_test {

inline elastify::ModelConfig small_shape() {
  return elastify::model_config_from_hf({{"model_type", "llama"},
                                         {"vocab_size", 260},
                                         {"hidden_size", 32},
                                         {"intermediate_size", 44},
                                         {"num_hidden_layers", 4},
                                         {"num_attention_heads", 8},
                                         {"num_key_value_heads", 4},
                                         {"max_position_embeddings", 64},
                                         {"rms_norm_eps", 1e-5},
                                         {"hidden_act", "silu"},
                                         {"tie_word_embeddings", true},
                                         {"torch_dtype", "float32"}},
                                        "shape");
}

}  // namespace elastify_test
