#include <ATen/Parallel.h>

#include <algorithm>

#include "checkpoint/safetensors.h"
#include "gguf/dequantise.h"

namespace elastify {
namespace {

torch::Tensor from_blocks(const StoredTensor& tensor, const std::vector<std::int64_t>& shape) {
  torch::Tensor values = torch::empty(shape, torch::kFloat32);
  const elrt::gguf::TypeLayout& layout = *tensor.blocks;
  const auto count = static_cast<std::int64_t>(tensor.bytes / layout.bytes);
  constexpr std::int64_t kGrain = 1024;  // blocks, at the least, for a thread
  at::parallel_for(0, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    dequantise(layout, tensor.file->data() + tensor.offset + static_cast<std::size_t>(begin) * layout.bytes,
               static_cast<std::size_t>(end - begin), values.data_ptr<float>() + begin * layout.weights);
  });
  return values;
}

// Zeros after the last unit that the file has.
torch::Tensor fill_up(const torch::Tensor& values, const std::vector<std::int64_t>& shape) {
  torch::Tensor full = torch::zeros(shape, values.options());
  torch::Tensor own = full;
  for (std::int64_t d = 0; d < values.dim(); ++d) own = own.narrow(d, 0, values.size(d));
  own.copy_(values);
  return full;
}

}  // namespace

std::string StoredTensor::type_name() const {
  if (blocks != nullptr) return blocks->name;
  return file == nullptr ? "nothing" : safetensors_dtype(less_one.value_or(dtype));
}

torch::Tensor StoredTensor::view() const {
  const auto options = torch::TensorOptions().dtype(less_one.value_or(dtype));
  if (file == nullptr) return torch::zeros(shape, options);
  const std::vector<std::int64_t>& own = stored_shape.empty() ? shape : stored_shape;
  torch::Tensor values;
  if (blocks != nullptr) {
    values = from_blocks(*this, own);
  } else {
    auto keep = file;
    void* data = const_cast<std::byte*>(file->data()) + offset;
    values = torch::from_blob(
        data, own, [keep](void*) {}, options);
  }
  if (less_one) values = values.to(torch::kFloat32) + 1;
  return stored_shape.empty() ? values : fill_up(values, shape);
}

}  // namespace elastify
