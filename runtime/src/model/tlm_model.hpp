// From the keys and tensors of a file to a TlmModel.
#pragma once

#include <optional>

#include "elrt/gguf.hpp"
#include "elrt/result.hpp"
#include "model/tensor_binder.hpp"
#include "model/tlm_weights.hpp"

namespace elrt {

// Nothing where the file has no tiny language model.
Result<void> read_tlm_shape(const gguf::Metadata& metadata, std::optional<TlmModel>* tlm);

// Needs the shape; problems stay with the binder.
void bind_tlm(TensorBinder& binder, TlmModel* tlm);

}  // namespace elrt
