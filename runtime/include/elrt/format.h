// The elastic artifact: what elastify adds to GGUF v3. This comment is the contract between writer and readers.
//
// CONTAINER. GGUF version 3, little endian: header, typed key-values, tensor infos, then tensor data. Every tensor's
// data starts at a multiple of kAlignment (64) bytes, counted both from the file's start and from the data section's
// start. GGUF lists a tensor's dimensions contiguous one first: ne0 is the fastest.
//
// KEYS. `general.architecture` = "elastic-llama", `general.alignment` u32 = 64. Shape of the full model, u32:
// `elastic-llama.block_count`, `.context_length`, `.embedding_length`, `.feed_forward_length`, `.vocab_size`,
// `.attention.head_count`, `.attention.head_count_kv`, `.attention.key_length`, `.attention.value_length` (equal,
// even),
// `.attention.sliding_window` (0 or missing: none; else position i attends to j with i - window < j <= i); f32:
// `.attention.layer_norm_rms_epsilon`, `.rope.freq_base`. What only some families have, each key missing elsewhere:
// `.rope.dimension_count` u32 (even; the first so many dimensions of a head turn; missing: all),
// `.rope.freq_base_swa` f32 (base of the layers with a window; missing: freq_base),
// `.rope.scaling.original_context_length` u32 (texts of more tokens turn by rope_factors_long, others by
// rope_factors_short, which are then both there), `.rope.scaling.attn_factor` f32 (cosines and sines times this),
// `.attention.scale` f32 (of scores; missing: 1/sqrt(head_dim)), `.embedding_scale` f32 (of a token's embedding before
// the first block; missing: 1), `.feed_forward_activation` string ("silu" or "gelu_tanh"; missing: silu),
// `.attention.window_layers`, `.rope.layers` [u32] (by layer, 0 or 1: has the window, turns; missing: all 1).
// The `tokenizer.*` keys: tokenizer and chat template. Then:
//   elastic.format_version    u32       kPlainFormatVersion; kFamilyFormatVersion where any of the above is needed;
//                                       kFormatVersion where elastic.tlm.body is
//   elastic.rope_pairing      string    "halves": dimension i turns with i + head_dim/2 (Hugging Face), not with i + 1
//   elastic.tile_inputs       u32       32, inputs per tile
//   elastic.tiled_tensors     [string]  suffixes of the tensors whose bytes are permuted (see LAYOUT):
//   attn_output.weight
//                                       and ffn_down.weight, then those of the other tensors that are quantised
//   elastic.levels            [u32]     ascending percentages, the last is 100
//   elastic.plan.kv_groups    [u32]     levels x layers, level-major: KV groups kept, 0..head_count_kv
//   elastic.plan.neurons      [u32]     levels x layers, level-major: MLP neurons kept, 0..feed_forward_length
//                                       both never shrink as the level grows; level 100 keeps everything. A half of a
//                                       block that keeps nothing is left out: no norm, no bias, nothing is added
//   elastic.anchors           [u32]     layers kept whole where a level permits; may be missing
//   elastic.block_ratio, elastic.total_ratio   [f32] per level: share of block weights, of all weights
//   elastic.loss.before, elastic.loss.after    [f32] per level, nats per token around recovery; NaN: not measured;
//                                       optional
//   elastic.adapter.levels    [u32]     levels that have an adapter of their own; may be missing or empty
//   elastic.adapter.rank      [u32], elastic.adapter.scale [f32]   per adapter level
//   elastic.adapter.shared.levels [u32] levels under 100 that use the shared adapter, cut to their widths, instead; may
//                                       be missing or empty
//   elastic.adapter.shared.rank u32, elastic.adapter.shared.scale [f32]   one rank; a scale per level that uses it
//   elastic.checksum.algorithm string   "xxh3-64"
//   elastic.checksum.values   [u64]     per tensor, in tensor-info order, over the tensor's bytes without padding
//   elastic.quantisation_error [f32]    per tensor, in tensor-info order: RMS of what quantising changed over the RMS
//   of the
//                                       weights; NaN: not quantised; optional
//   elastic.source.*          string    where the weights came from
//
// TINY LANGUAGE MODEL, optional: a MobileBERT or BERT encoder with two heads (elrt/tlm.hpp). It is there where
// elastic.tlm.hidden_size is. Keys after `elastic.tlm.`:
//   body                      string    "bert"; missing: MobileBERT. BERT is a MobileBERT without bottleneck, trigrams
//                                       and embd, with embedding_size = hidden_size, feed_forward_count 1, layer_norm
//                                       true, neurons that go through GELU, x/2 (1 + erf(x/sqrt(2))), instead of ReLU,
//                                       and layer_norm_epsilon in every norm
//   embedding_size, hidden_size, inner_size, feed_forward_size, head_count, feed_forward_count, positions   u32
//   bottom_layers, score_layers, decision_layers   u32, all at least 1
//   bottleneck, shared_key_query, bottleneck_attention, trigram_input, layer_norm   bool, as in MobileBERT's
//   configuration;
//                             without a bottleneck inner_size = hidden_size
//   layer_norm_epsilon        f32       MobileBERT's norms of the embeddings and after a layer's last feed-forward
//                                       network have 1e-5
//   model_levels, prompt_levels         [u32] what the decision-head's classes stand for; percent, ascending
//   ttft_levels, tpot_levels  [u32]     what the SLO tokens stand for; percent, ascending
//   vocabulary                [string]  WordPiece tokens by id; the SLO tokens' ids follow, TTFT first
//   accuracy                  [f32]     model_levels x prompt_levels, model-level-major: share of right answers to
//   expect of a
//                                       decision; NaN: unknown; optional
//   head_weight               f32       0 or more, with accuracy all between 0 and 1: the feasible decision with the
//                                       largest log(a/(1-a)) + head_weight (model logit + prompt logit) is taken, a
//                                       being its accuracy; missing: the logits alone count
//
// TENSORS (ne0, ne1, ...). Matrices are F32, F16, BF16, Q8_0, Q4_0 or IQ4_NL, each as it likes; norms, biases and
// rope_freqs are F32. Dimensions are those of floats; quantised matrices are stored in panels (see LAYOUT).
//   token_embd.weight   [hidden, vocab]          output_norm.weight [hidden]
//   output.weight       [hidden, vocab]          missing: the head is token_embd
//   rope_freqs.weight   [turned/2]               optional: pair i's frequency base^(-2i/turned) is divided by it,
//   turned
//                                                being the dimensions of a head that turn; not of freq_base_swa
//   rope_factors_short.weight, rope_factors_long.weight [turned/2]   the same, by the text's length
//   per block `blk.N.`: attn_norm, ffn_norm [hidden] · attn_q [hidden, heads*head_dim] · attn_k, attn_v
//   [hidden, kv*head_dim] · attn_output tiled (inputs heads*head_dim) · ffn_gate, ffn_up [hidden, ffn] · ffn_down tiled
//   (inputs ffn) · optional attn_q.bias, attn_k.bias, attn_v.bias, attn_output.bias · optional attn_q_norm, attn_k_norm
//   [head_dim]: each head's query and key are RMS-normalised before RoPE · optional post_attention_norm, post_ffw_norm
//   [hidden]: what a half adds is RMS-normalised first. Names end in `.weight` unless said otherwise.
//   adapter.LL.blk.N.TARGET.lora_a [in, rank], of attn_output and ffn_down tiled, .lora_b [rank, out] in columns, each
//   F16 or Q8_0 (see LAYOUT), both or neither; LL is the level in decimal (`adapter.20`, `adapter.100`), in and out are
//   that level's widths; none for a half that it leaves out: y = W x + scale * B (A x).
//   adapter.shared.blk.N.TARGET.lora_a, .lora_b: the same of the full model's widths. A level's adapter is a prefix of
//   each, as of the weights: of lora_b for q, k, v, gate and up, of lora_a's inputs for attn_output and ffn_down.
//   tlm.: token_embd, slo_embd [embedding, vocabulary], [embedding, SLO tokens] · position_embd [hidden, positions] ·
//   type_embd [hidden, 2 segments] · embd [embedding, 3 of them with trigrams; hidden], missing where neither widths
//   nor trigrams ask for it · embd_norm · score [hidden, 2: discard, retain] · model_level, prompt_level [hidden,
//   levels] · per layer of PART bottom, score and decision `tlm.PART.N.`: with a bottleneck in [hidden, inner] and out
//   [inner, hidden], with shared_key_query attn_in [hidden, inner] · attn_q, attn_k, attn_output [inner, inner] ·
//   attn_v [inner, or hidden unless bottleneck_attention; inner] · M = 0.. ffn_up.M [inner, feed_forward], ffn_down.M
//   [feed_forward, inner]. Matrices are named
//   `.weight` and F16 or F32: the four ending in token_embd, slo_embd, position_embd and type_embd rows, all others
//   columns (see LAYOUT) with a `.bias`, F32; in, out, attn_in, attn_output and ffn_down.M have a norm, `_norm.weight`
//   and `_norm.bias` after their names, F32.
//
// LAYOUT. A level is a contiguous prefix of each tensor. q, k, v, gate and up hold their units as rows: KV group g owns
// key/value rows g*head_dim.. and query heads g*n_rep..(g+1)*n_rep-1. attn_output and ffn_down, whose units are inputs,
// are tiled: ne = [32, hidden, ceil(inputs/32)]; output o, input i lies in tile i/32, row o, column i%32; the tail of
// the last tile is zero. A level that ends inside a tile treats the activations beyond its last input as zero.
//
// Quantised matrices, both kinds, are sequences of panels of 32 outputs x 32 inputs, so that a kernel holds a vector of
// outputs in registers and never sums across lanes. An output's 32 weights in a panel are one quantisation block:
// weight = scale * q with a float16 scale. Panels have the bytes that GGUF counts for 1024 weights of their type, at
// multiples of 64:
//   0..63      32 scales, output 0 first
//   64..1087   Q8_0: for g = 0..7, for each output: four bytes q + 128 of inputs 4g..4g+3, q in -127..127
//   64..575    Q4_0: for g = 0..3, for each output: four bytes, whose low halves are q + 8 of inputs 4g..4g+3 and whose
//   high
//              halves are q + 8 of inputs 16+4g..16+4g+3, q in -8..7
//   64..575    IQ4_NL: as Q4_0, the halves being indices into kIq4Codebook, which holds q: steps are finer where
//              weights are dense. It holds no zero: where the scale is 0, index 8 stands
// Rows are ne = [32, 32, ceil(inputs/32), ceil(outputs/32)], tiles ne = [32, 32, ceil(outputs/32), ceil(inputs/32)]:
// the panels of 32 outputs (of 32 inputs) follow each other, and a level is still a prefix, in whole panels. Weights
// beyond the last input or output are zero (of IQ4_NL index 8: they meet no input). A level that ends inside a panel
// drops the outputs, zeroes the activations beyond its end.
//
// Adapters' first matrices in Q8_0, whatever the target, are panels of 16 outputs (ranks) x 32 inputs, each at a
// multiple of 32 bytes, those of 32 inputs after those of the inputs before:
// ne = [32, 16, ceil(rank/16), ceil(inputs/32)]. A level is whole panels.
//   0..31      16 scales, output 0 first
//   32..543    for g = 0..7, for each output: four bytes q + 128 of inputs 4g..4g+3, q in -127..127
//
// Columns, of adapters' second matrices and of the tiny language model: ne = [32, inputs, ceil(outputs/32)]; output o,
// input i lies in panel o/32, row i, column o%32; columns beyond the last output are zero. In Q8_0, which adapters'
// second matrices may be, a row of 32 columns is a block of GGUF's own: a float16 scale and 32 signed bytes.
//
// LIMITS. Readers refuse what exceeds the constants below; a file is hostile until it is proven consistent.
//
// COMPATIBILITY. A reader opens files whose format_version is kPlainFormatVersion to kFormatVersion and refuses others
// by name; a writer takes the lowest that holds the model, so that older readers open what they can run. Unknown keys
// and unknown tensors are ignored, so additions that old readers may skip do not raise the version. Nor do types of a
// tensor that they refuse by its name: readers of version 4 that want adapters in F16, or that do not know BF16, say
// so.
#pragma once

#include <cstddef>
#include <cstdint>

namespace elrt::format {

inline constexpr std::uint32_t kGgufMagic = 0x46554747;  // "GGUF" read as little endian
inline constexpr std::uint32_t kGgufVersion = 3;
inline constexpr std::uint32_t kPlainFormatVersion = 4;
inline constexpr std::uint32_t kFamilyFormatVersion = 5;  // keys and tensors that change what a model computes
inline constexpr std::uint32_t kFormatVersion = 6;        // another body of the tiny language model
inline constexpr std::size_t kAlignment = 64;
inline constexpr std::uint32_t kTileInputs = 32;
inline constexpr std::uint32_t kColumnOutputs = 32;  // side by side in a matrix of columns, see LAYOUT
inline constexpr std::uint32_t kFullLevel = 100;

inline constexpr char kArchitecture[] = "elastic-llama";
inline constexpr char kRopePairingHalves[] = "halves";
inline constexpr char kActivationSilu[] = "silu";
inline constexpr char kActivationGeluTanh[] = "gelu_tanh";
inline constexpr char kChecksumXxh3[] = "xxh3-64";
inline constexpr char kTlmBodyBert[] = "bert";

// Tensor type ids of the GGUF specification that this version stores.
inline constexpr std::uint32_t kTypeF32 = 0;
inline constexpr std::uint32_t kTypeF16 = 1;
inline constexpr std::uint32_t kTypeQ4_0 = 2;
inline constexpr std::uint32_t kTypeQ8_0 = 8;
inline constexpr std::uint32_t kTypeIq4Nl = 20;
inline constexpr std::uint32_t kTypeBF16 = 30;

// Panels of quantised matrices, see LAYOUT.
inline constexpr std::uint32_t kPanelOutputs = 32;
inline constexpr std::size_t kPanelScaleBytes = kPanelOutputs * 2;
inline constexpr std::size_t kQ8PanelBytes = kPanelScaleBytes + kPanelOutputs * kTileInputs;
inline constexpr std::uint32_t kAdapterPanelOutputs = 16;          // of adapters' first matrices
inline constexpr std::size_t kQ8ColumnBytes = 2 + kColumnOutputs;  // of an input's 32 outputs in a matrix of columns
inline constexpr std::size_t kQ4PanelBytes = kPanelScaleBytes + kPanelOutputs * kTileInputs / 2;  // of Q4_0 and IQ4_NL

// GGUF's table of IQ4_NL (ggml-common.h, kvalues_iq4nl), ascending.
inline constexpr std::int8_t kIq4Codebook[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                 1,    13,   25,  38,  53,  69,  89,  113};

namespace key {
inline constexpr char kArchitectureName[] = "general.architecture";
inline constexpr char kAlignmentBytes[] = "general.alignment";
inline constexpr char kBlockCount[] = "elastic-llama.block_count";
inline constexpr char kContextLength[] = "elastic-llama.context_length";
inline constexpr char kEmbeddingLength[] = "elastic-llama.embedding_length";
inline constexpr char kFeedForwardLength[] = "elastic-llama.feed_forward_length";
inline constexpr char kVocabSize[] = "elastic-llama.vocab_size";
inline constexpr char kHeadCount[] = "elastic-llama.attention.head_count";
inline constexpr char kHeadCountKv[] = "elastic-llama.attention.head_count_kv";
inline constexpr char kKeyLength[] = "elastic-llama.attention.key_length";
inline constexpr char kValueLength[] = "elastic-llama.attention.value_length";
inline constexpr char kRmsEpsilon[] = "elastic-llama.attention.layer_norm_rms_epsilon";
inline constexpr char kSlidingWindow[] = "elastic-llama.attention.sliding_window";
inline constexpr char kRopeFreqBase[] = "elastic-llama.rope.freq_base";
inline constexpr char kRopeDimensions[] = "elastic-llama.rope.dimension_count";
inline constexpr char kRopeFreqBaseLocal[] = "elastic-llama.rope.freq_base_swa";
inline constexpr char kRopeOriginalContext[] = "elastic-llama.rope.scaling.original_context_length";
inline constexpr char kRopeMagnitude[] = "elastic-llama.rope.scaling.attn_factor";
inline constexpr char kRopeLayers[] = "elastic-llama.rope.layers";
inline constexpr char kWindowLayers[] = "elastic-llama.attention.window_layers";
inline constexpr char kAttentionScale[] = "elastic-llama.attention.scale";
inline constexpr char kEmbeddingScale[] = "elastic-llama.embedding_scale";
inline constexpr char kActivation[] = "elastic-llama.feed_forward_activation";
inline constexpr char kFormatVersionNumber[] = "elastic.format_version";
inline constexpr char kRopePairing[] = "elastic.rope_pairing";
inline constexpr char kTileInputCount[] = "elastic.tile_inputs";
inline constexpr char kTiledTensors[] = "elastic.tiled_tensors";
inline constexpr char kLevels[] = "elastic.levels";
inline constexpr char kPlanKvGroups[] = "elastic.plan.kv_groups";
inline constexpr char kPlanNeurons[] = "elastic.plan.neurons";
inline constexpr char kAnchors[] = "elastic.anchors";
inline constexpr char kBlockRatio[] = "elastic.block_ratio";
inline constexpr char kTotalRatio[] = "elastic.total_ratio";
inline constexpr char kLossBefore[] = "elastic.loss.before";
inline constexpr char kLossAfter[] = "elastic.loss.after";
inline constexpr char kAdapterLevels[] = "elastic.adapter.levels";
inline constexpr char kAdapterRank[] = "elastic.adapter.rank";
inline constexpr char kAdapterScale[] = "elastic.adapter.scale";
inline constexpr char kSharedAdapterLevels[] = "elastic.adapter.shared.levels";
inline constexpr char kSharedAdapterRank[] = "elastic.adapter.shared.rank";
inline constexpr char kSharedAdapterScale[] = "elastic.adapter.shared.scale";
inline constexpr char kChecksumAlgorithm[] = "elastic.checksum.algorithm";
inline constexpr char kChecksumValues[] = "elastic.checksum.values";
inline constexpr char kQuantisationError[] = "elastic.quantisation_error";
inline constexpr char kTlmBody[] = "elastic.tlm.body";
inline constexpr char kTlmEmbeddingSize[] = "elastic.tlm.embedding_size";
inline constexpr char kTlmHiddenSize[] = "elastic.tlm.hidden_size";
inline constexpr char kTlmInnerSize[] = "elastic.tlm.inner_size";
inline constexpr char kTlmFeedForwardSize[] = "elastic.tlm.feed_forward_size";
inline constexpr char kTlmHeadCount[] = "elastic.tlm.head_count";
inline constexpr char kTlmFeedForwardCount[] = "elastic.tlm.feed_forward_count";
inline constexpr char kTlmPositions[] = "elastic.tlm.positions";
inline constexpr char kTlmBottomLayers[] = "elastic.tlm.bottom_layers";
inline constexpr char kTlmScoreLayers[] = "elastic.tlm.score_layers";
inline constexpr char kTlmDecisionLayers[] = "elastic.tlm.decision_layers";
inline constexpr char kTlmBottleneck[] = "elastic.tlm.bottleneck";
inline constexpr char kTlmSharedKeyQuery[] = "elastic.tlm.shared_key_query";
inline constexpr char kTlmBottleneckAttention[] = "elastic.tlm.bottleneck_attention";
inline constexpr char kTlmTrigramInput[] = "elastic.tlm.trigram_input";
inline constexpr char kTlmLayerNorm[] = "elastic.tlm.layer_norm";
inline constexpr char kTlmNormEpsilon[] = "elastic.tlm.layer_norm_epsilon";
inline constexpr char kTlmModelLevels[] = "elastic.tlm.model_levels";
inline constexpr char kTlmPromptLevels[] = "elastic.tlm.prompt_levels";
inline constexpr char kTlmTtftLevels[] = "elastic.tlm.ttft_levels";
inline constexpr char kTlmTpotLevels[] = "elastic.tlm.tpot_levels";
inline constexpr char kTlmVocabulary[] = "elastic.tlm.vocabulary";
inline constexpr char kTlmAccuracy[] = "elastic.tlm.accuracy";
inline constexpr char kTlmHeadWeight[] = "elastic.tlm.head_weight";
}  // namespace key

namespace tensor {
inline constexpr char kTokenEmbedding[] = "token_embd.weight";
inline constexpr char kOutputNorm[] = "output_norm.weight";
inline constexpr char kOutput[] = "output.weight";
inline constexpr char kRopeFreqs[] = "rope_freqs.weight";
inline constexpr char kRopeFactorsShort[] = "rope_factors_short.weight";
inline constexpr char kRopeFactorsLong[] = "rope_factors_long.weight";
// Within a block, after "blk.N.":
inline constexpr char kAttnNorm[] = "attn_norm.weight";
inline constexpr char kAttnQ[] = "attn_q.weight";
inline constexpr char kAttnK[] = "attn_k.weight";
inline constexpr char kAttnV[] = "attn_v.weight";
inline constexpr char kAttnOutput[] = "attn_output.weight";
inline constexpr char kAttnQkv[] = "attn_qkv.weight";  // of other engines' files: queries, keys and values
inline constexpr char kAttnQBias[] = "attn_q.bias";
inline constexpr char kAttnKBias[] = "attn_k.bias";
inline constexpr char kAttnVBias[] = "attn_v.bias";
inline constexpr char kAttnOutputBias[] = "attn_output.bias";
inline constexpr char kAttnQNorm[] = "attn_q_norm.weight";
inline constexpr char kAttnKNorm[] = "attn_k_norm.weight";
inline constexpr char kAttnPostNorm[] = "post_attention_norm.weight";
inline constexpr char kFfnNorm[] = "ffn_norm.weight";
inline constexpr char kFfnGate[] = "ffn_gate.weight";
inline constexpr char kFfnUp[] = "ffn_up.weight";
inline constexpr char kFfnDown[] = "ffn_down.weight";
inline constexpr char kFfnPostNorm[] = "post_ffw_norm.weight";
// Adapter targets, in "adapter.LL.blk.N.TARGET.lora_a" and ".lora_b"; LL is a level or kSharedAdapter:
inline constexpr char kSharedAdapter[] = "shared";
inline constexpr const char* kAdapterTargets[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                                  "ffn_gate", "ffn_up", "ffn_down"};
inline constexpr char kLoraA[] = ".lora_a";
inline constexpr char kLoraB[] = ".lora_b";
// The tiny language model, after "tlm.":
inline constexpr char kTlm[] = "tlm.";
inline constexpr char kTlmToken[] = "tlm.token_embd";
inline constexpr char kTlmSlo[] = "tlm.slo_embd";
inline constexpr char kTlmPosition[] = "tlm.position_embd";
inline constexpr char kTlmType[] = "tlm.type_embd";
inline constexpr char kTlmEmbedding[] = "tlm.embd";
inline constexpr char kTlmScore[] = "tlm.score";
inline constexpr char kTlmModelLevel[] = "tlm.model_level";
inline constexpr char kTlmPromptLevel[] = "tlm.prompt_level";
inline constexpr const char* kTlmParts[] = {"bottom", "score", "decision"};
// Within a layer, after "tlm.PART.N.":
inline constexpr char kTlmIn[] = "in";
inline constexpr char kTlmAttnIn[] = "attn_in";
inline constexpr char kTlmQ[] = "attn_q";
inline constexpr char kTlmK[] = "attn_k";
inline constexpr char kTlmV[] = "attn_v";
inline constexpr char kTlmAttnOutput[] = "attn_output";
inline constexpr char kTlmFfnUp[] = "ffn_up.";
inline constexpr char kTlmFfnDown[] = "ffn_down.";
inline constexpr char kTlmOut[] = "out";
inline constexpr char kWeight[] = ".weight";
inline constexpr char kBias[] = ".bias";
inline constexpr char kNormWeight[] = "_norm.weight";
inline constexpr char kNormBias[] = "_norm.bias";
}  // namespace tensor

// The tensors whose bytes are tiled whatever their type, by name suffix: the first values of elastic.tiled_tensors.
inline constexpr const char* kTiledSuffixes[] = {tensor::kAttnOutput, tensor::kFfnDown};

// Reader limits: far above any real model, low enough that sizes and products stay inside 64 bits.
inline constexpr std::uint64_t kMaxKeyValues = 1u << 16;
inline constexpr std::uint64_t kMaxTensors = 1u << 20;
inline constexpr std::uint64_t kMaxNameBytes = 256;
inline constexpr std::uint64_t kMaxStringBytes = 16u << 20;
inline constexpr std::uint64_t kMaxArrayLength = 1u << 24;
inline constexpr std::uint32_t kMaxDims = 4;
inline constexpr std::uint32_t kMaxBlocks = 1024;
inline constexpr std::uint32_t kMaxWidth = 1u << 20;  // hidden, ffn, heads * head_dim
inline constexpr std::uint32_t kMaxVocab = 1u << 24;
inline constexpr std::uint32_t kMaxContext = 1u << 24;
inline constexpr std::uint32_t kMaxLevels = 100;
inline constexpr std::uint32_t kMaxAdapterRank = 4096;
inline constexpr std::uint32_t kMaxTlmPositions = 1u << 20;
inline constexpr std::uint32_t kMaxFeedForwards = 256;
inline constexpr float kTlmInnerNormEpsilon = 1e-5f;  // of MobileBERT's norms that do not follow layer_norm_epsilon

}  // namespace elrt::format
