#include "pack/gguf_writer.h"

#include <elrt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "pack/gguf_header.h"
#include "quantise/quantise.h"

namespace elastify {
namespace {

namespace gguf = elrt::gguf;

std::uint64_t aligned(std::uint64_t offset) { return gguf_aligned(offset, elrt::format::kAlignment); }

std::string make_header(const gguf::Metadata& metadata, const std::vector<WrittenTensor>& tensors) {
  std::vector<GgufInfo> infos;
  for (const auto& tensor : tensors) {
    infos.push_back({tensor.name, static_cast<std::uint32_t>(tensor.type), tensor.shape,
                     static_cast<std::uint64_t>(stored_bytes(tensor))});
  }
  return gguf_header(metadata, infos, elrt::format::kAlignment);
}

bool quantised(const WrittenTensor& tensor) { return elrt::is_quantised(tensor.type); }

bool as_announced(const WrittenTensor& tensor, const torch::Tensor& made) {
  const bool bytes_fit = static_cast<std::int64_t>(made.nbytes()) == stored_bytes(tensor);
  if (quantised(tensor)) return made.is_cpu() && made.scalar_type() == torch::kUInt8 && bytes_fit;
  return made.is_cpu() && made.scalar_type() == float_type_of(tensor.type) && made.sizes().vec() == tensor.shape &&
         bytes_fit;
}

}  // namespace

std::int64_t stored_bytes(const WrittenTensor& tensor) {
  std::int64_t weights = 1;
  for (const std::int64_t extent : tensor.shape) weights *= extent;
  switch (tensor.type) {
    case elrt::TensorType::kF32:
      return weights * 4;
    case elrt::TensorType::kF16:
    case elrt::TensorType::kBF16:
      return weights * 2;
    case elrt::TensorType::kQ8_0:
      return weights / 32 * 34;
    case elrt::TensorType::kQ4_0:
    case elrt::TensorType::kIq4Nl:
      return weights / 32 * 18;
  }
  throw Error(ErrorCode::kInternal, "unknown tensor type");
}

std::vector<float> write_gguf(const fs::path& path, gguf::Metadata metadata, const std::vector<WrittenTensor>& tensors,
                              const std::function<void(std::int64_t)>& progress) {
  metadata[elrt::format::key::kAlignmentBytes] = static_cast<std::uint32_t>(elrt::format::kAlignment);
  std::vector<std::uint64_t> checksums(tensors.size(), 0);
  metadata[elrt::format::key::kChecksumValues] = checksums;  // holds the place: filled in once the tensors are known
  std::vector<float> errors(tensors.size(), NAN);
  const bool any_quantised = std::any_of(tensors.begin(), tensors.end(), quantised);
  if (any_quantised) metadata[elrt::format::key::kQuantisationError] = errors;  // likewise

  AtomicFile file(path);
  const std::size_t header_bytes = make_header(metadata, tensors).size();
  std::uint64_t offset = header_bytes;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    MadeTensor result = tensors[i].make();
    const torch::Tensor made = result.values.contiguous();
    result.values.reset();
    require(as_announced(tensors[i], made), "artifact writer: tensor {} differs from what was announced",
            tensors[i].name);
    errors[i] = result.quantisation_error;
    checksums[i] = checksum64(made.data_ptr(), made.nbytes());
    file.write_at(offset, made.data_ptr(), made.nbytes());
    const std::uint64_t end = offset + made.nbytes();
    offset = aligned(end);
    const std::string padding(offset - end, '\0');
    file.write_at(end, padding.data(), padding.size());
    if (progress) progress(static_cast<std::int64_t>(offset - header_bytes));
  }
  metadata[elrt::format::key::kChecksumValues] = checksums;
  if (any_quantised) metadata[elrt::format::key::kQuantisationError] = errors;
  const std::string header = make_header(metadata, tensors);
  file.write_at(0, header.data(), header.size());
  file.commit();
  return errors;
}

}  // namespace elastify
