// Matrices of an artifact as float32, whatever type and order its bytes have (elrt/format.h, LAYOUT).
#pragma once

#include <elrt/artifact.hpp>

#include "base/torch.h"

namespace elastify {

enum class StoredAs {
  kRows,     // q, k, v, gate, up, embedding, head, and adapters' first matrices of those
  kTiles,    // o, down, and adapters' first matrices of those
  kColumns,  // adapters' second matrices
};

// [outputs, inputs], a copy. Throws Error(kBadData) where the tensor's bytes do not make such a matrix, or hold NaN or
// infinity.
torch::Tensor read_matrix(const elrt::TensorInfo& tensor, std::int64_t outputs, std::int64_t inputs, StoredAs stored);
// The same of an adapter's first matrix, [rank, inputs], whose panels have another size where it is quantised.
torch::Tensor read_adapter_matrix(const elrt::TensorInfo& tensor, std::int64_t rank, std::int64_t inputs,
                                  StoredAs stored);
torch::Tensor read_vector(const elrt::TensorInfo& tensor, std::int64_t entries);

}  // namespace elastify
