// The tensors of a block: the one list from which the toolchain writes an artifact, and readers bind it. Names follow
// "blk.N."; the order is that of the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "elrt/format.h"

namespace elrt::format {

// What a dimension of a tensor counts.
enum class Extent : std::uint8_t {
  kOne,      // the inputs of a vector
  kHidden,   // the residual stream
  kHeadDim,  // one head
  kQueries,  // head_dim of every query head; a KV group owns those of its query heads
  kKeys,     // head_dim of every key (or value) head; a KV group owns one head
  kNeurons,  // of the MLP
};

// Whose units lie along a dimension: a level keeps a prefix of it.
enum class Unit : std::uint8_t { kNone, kGroup, kNeuron };
constexpr Unit unit_of(Extent extent) {
  if (extent == Extent::kQueries || extent == Extent::kKeys) return Unit::kGroup;
  return extent == Extent::kNeurons ? Unit::kNeuron : Unit::kNone;
}

enum class TensorKind : std::uint8_t { kMatrix, kBias, kNorm };

struct BlockTensor {
  const char* name;  // after "blk.N."
  TensorKind kind;
  Extent outputs, inputs;  // a matrix is [outputs, inputs]; a vector has `outputs` entries, its inputs are kOne
  bool optional;           // an artifact may lack it; else every block has it

  constexpr bool matrix() const { return kind == TensorKind::kMatrix; }
  // Its units are inputs, so a level is a prefix of the columns: stored in tiles (format.h, LAYOUT).
  constexpr bool by_input() const { return unit_of(inputs) != Unit::kNone; }
  constexpr Unit unit() const { return unit_of(by_input() ? inputs : outputs); }
  // Whose units the half of the block is made of that reads it: a level without them does not read it.
  constexpr Unit half() const {
    const std::string_view whole = name;
    return whole.starts_with("ffn") || whole == tensor::kFfnPostNorm ? Unit::kNeuron : Unit::kGroup;
  }
};

// How wide the model, or one of its levels in a layer, is.
struct BlockWidths {
  std::uint64_t hidden, head_dim, queries, keys, neurons;

  // Whether anything is kept of the half of the block that these units make.
  constexpr bool keeps(Unit half) const { return (half == Unit::kNeuron ? neurons : keys) > 0; }

  constexpr std::uint64_t of(Extent extent) const {
    switch (extent) {
      case Extent::kOne:
        return 1;
      case Extent::kHidden:
        return hidden;
      case Extent::kHeadDim:
        return head_dim;
      case Extent::kQueries:
        return queries;
      case Extent::kKeys:
        return keys;
      case Extent::kNeurons:
        return neurons;
    }
    return 0;
  }
};

inline constexpr BlockTensor kBlockTensors[] = {
    {tensor::kAttnNorm, TensorKind::kNorm, Extent::kHidden, Extent::kOne, false},
    {tensor::kAttnQ, TensorKind::kMatrix, Extent::kQueries, Extent::kHidden, false},
    {tensor::kAttnK, TensorKind::kMatrix, Extent::kKeys, Extent::kHidden, false},
    {tensor::kAttnV, TensorKind::kMatrix, Extent::kKeys, Extent::kHidden, false},
    {tensor::kAttnQBias, TensorKind::kBias, Extent::kQueries, Extent::kOne, true},
    {tensor::kAttnKBias, TensorKind::kBias, Extent::kKeys, Extent::kOne, true},
    {tensor::kAttnVBias, TensorKind::kBias, Extent::kKeys, Extent::kOne, true},
    {tensor::kAttnQNorm, TensorKind::kNorm, Extent::kHeadDim, Extent::kOne, true},
    {tensor::kAttnKNorm, TensorKind::kNorm, Extent::kHeadDim, Extent::kOne, true},
    {tensor::kAttnOutput, TensorKind::kMatrix, Extent::kHidden, Extent::kQueries, false},
    {tensor::kAttnOutputBias, TensorKind::kBias, Extent::kHidden, Extent::kOne, true},
    {tensor::kAttnPostNorm, TensorKind::kNorm, Extent::kHidden, Extent::kOne, true},
    {tensor::kFfnNorm, TensorKind::kNorm, Extent::kHidden, Extent::kOne, false},
    {tensor::kFfnGate, TensorKind::kMatrix, Extent::kNeurons, Extent::kHidden, false},
    {tensor::kFfnUp, TensorKind::kMatrix, Extent::kNeurons, Extent::kHidden, false},
    {tensor::kFfnDown, TensorKind::kMatrix, Extent::kHidden, Extent::kNeurons, false},
    {tensor::kFfnPostNorm, TensorKind::kNorm, Extent::kHidden, Extent::kOne, true},
};

// The entry of that name; a name that is in no entry does not compile.
consteval BlockTensor block_tensor(std::string_view name) {
  for (const BlockTensor& entry : kBlockTensors) {
    if (entry.name == name) return entry;
  }
  throw "no such tensor in a block";
}

// Matrices come in the order of kAdapterTargets: an adapter's targets are the matrices of a block.
constexpr bool targets_are_the_matrices() {
  std::size_t target = 0;
  for (const BlockTensor& entry : kBlockTensors) {
    if (!entry.matrix()) continue;
    const std::string_view name = entry.name;
    if (target == std::size(tensor::kAdapterTargets) ||
        name.substr(0, name.rfind('.')) != tensor::kAdapterTargets[target++])
      return false;
  }
  return target == std::size(tensor::kAdapterTargets);
}
static_assert(targets_are_the_matrices());

constexpr bool tiles_are_listed() {
  std::size_t tiled = 0;
  for (const BlockTensor& entry : kBlockTensors) {
    if (entry.matrix() && entry.by_input() &&
        (tiled == std::size(kTiledSuffixes) || std::string_view(entry.name) != kTiledSuffixes[tiled++]))
      return false;
  }
  return tiled == std::size(kTiledSuffixes);
}
static_assert(tiles_are_listed());

}  // namespace elrt::format
