// Looks tensors of a hostile file up and checks their types and dimensions.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "elrt/format.h"
#include "model/model.hpp"

namespace elrt {

// Looks up by name and remembers the first problem.
class TensorBinder {
 public:
  explicit TensorBinder(const std::vector<TensorInfo>& tensors) {
    for (const TensorInfo& tensor : tensors) by_name_.emplace(tensor.name, &tensor);
  }

  bool has(const std::string& name) const { return by_name_.contains(name); }
  const std::string& first_problem() const { return problem_; }

  void fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }

  const float* vector(const std::string& name, std::uint64_t length) {
    const TensorInfo* tensor = find(name, {length});
    if (tensor == nullptr) return nullptr;
    if (tensor->type != TensorType::kF32) return fail("tensor '" + name + "' is not F32"), nullptr;
    return reinterpret_cast<const float*>(tensor->data);
  }

  const float* optional_vector(const std::string& name, std::uint64_t length) {
    return has(name) ? vector(name, length) : nullptr;
  }

  Matrix rows(const std::string& name, std::uint32_t inputs, std::uint32_t outputs) {
    if (quantised(name)) return row_panels(name, inputs, outputs);
    const TensorInfo* tensor = find(name, {inputs, outputs});
    if (tensor == nullptr) return {};
    return {tensor->data, tensor->type, outputs, inputs, format::kTileInputs, inputs, false};
  }

  // F32 or F16.
  Columns columns(const std::string& name, std::uint32_t inputs, std::uint32_t outputs) {
    if (!plain(name)) return Columns{};
    return any_columns(name, inputs, outputs);
  }

  // F32 or F16.
  Matrix plain_rows(const std::string& name, std::uint32_t inputs, std::uint32_t outputs) {
    return plain(name) ? rows(name, inputs, outputs) : Matrix{};
  }

  Matrix tiles(const std::string& name, std::uint32_t inputs, std::uint32_t outputs) {
    const std::uint64_t tile_count = count_of(format::kTileInputs, inputs);
    if (quantised(name)) return tile_panels(name, inputs, outputs);
    const TensorInfo* tensor = find(name, {format::kTileInputs, outputs, tile_count});
    if (tensor == nullptr) return {};
    return {tensor->data,        tensor->type, outputs, inputs, std::size_t{format::kTileInputs} * outputs,
            format::kTileInputs, true};
  }

  // Both matrices or neither, each F16 or Q8_0; `by_input`: of a matrix whose units are its inputs.
  AdapterPair adapter(const std::string& name, std::uint32_t inputs, std::uint32_t rank, std::uint32_t outputs,
                      bool by_input) {
    const bool a = has(name + format::tensor::kLoraA), b = has(name + format::tensor::kLoraB);
    if (!a && !b) return {};
    if (a != b) return fail("adapter '" + name + "' has only one of lora_a and lora_b"), AdapterPair{};
    const std::string name_a = name + format::tensor::kLoraA;
    const std::string name_b = name + format::tensor::kLoraB;
    for (const std::string& half : {name_a, name_b}) {
      const TensorType type = by_name_.at(half)->type;
      if (type != TensorType::kF16 && type != TensorType::kQ8_0)
        return fail("tensor '" + half + "' is " + type_name(type) + ", expected F16 or Q8_0"), AdapterPair{};
    }
    const auto rows_or_tiles = [&] { return by_input ? tiles(name_a, inputs, rank) : rows(name_a, inputs, rank); };
    return {quantised(name_a) ? adapter_panels(name_a, inputs, rank) : rows_or_tiles(),
            any_columns(name_b, rank, outputs)};
  }

 private:
  static std::string text_of(const std::vector<std::uint64_t>& dims) {
    std::string out = "[";
    for (std::size_t i = 0; i < dims.size(); ++i) out += (i == 0 ? "" : ", ") + std::to_string(dims[i]);
    return out + "]";
  }

  static std::uint64_t count_of(std::uint32_t size, std::uint32_t total) {
    return (std::uint64_t{total} + size - 1) / size;
  }

  // A tensor that is missing is another's to report.
  bool plain(const std::string& name) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return true;
    const TensorType type = found->second->type;
    if (type == TensorType::kF32 || type == TensorType::kF16) return true;
    return fail("tensor '" + name + "' is " + type_name(type) + ", expected F16 or F32"), false;
  }

  bool quantised(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found != by_name_.end() && Matrix{nullptr, found->second->type}.quantised();
  }

  Matrix row_panels(const std::string& name, std::uint32_t inputs, std::uint32_t outputs) {
    const std::uint64_t across = count_of(format::kTileInputs, inputs), down = count_of(format::kPanelOutputs, outputs);
    const TensorInfo* tensor = find(name, {format::kTileInputs, format::kPanelOutputs, across, down});
    if (tensor == nullptr) return {};
    Matrix matrix{tensor->data, tensor->type, outputs, inputs};
    matrix.tile_stride = matrix.panel_bytes();
    matrix.row_stride = across * matrix.panel_bytes();
    return matrix;
  }

  Matrix tile_panels(const std::string& name, std::uint32_t inputs, std::uint32_t outputs) {
    const std::uint64_t across = count_of(format::kTileInputs, inputs), down = count_of(format::kPanelOutputs, outputs);
    const TensorInfo* tensor = find(name, {format::kTileInputs, format::kPanelOutputs, down, across});
    if (tensor == nullptr) return {};
    Matrix matrix{tensor->data, tensor->type, outputs, inputs};
    matrix.tile_stride = down * matrix.panel_bytes();
    matrix.row_stride = matrix.panel_bytes();
    matrix.tiled = true;
    return matrix;
  }

  Matrix adapter_panels(const std::string& name, std::uint32_t inputs, std::uint32_t rank) {
    constexpr std::uint32_t kSide = format::kAdapterPanelOutputs;
    const std::uint64_t across = count_of(format::kTileInputs, inputs), down = count_of(kSide, rank);
    const TensorInfo* tensor = find(name, {format::kTileInputs, kSide, down, across});
    if (tensor == nullptr) return {};
    Matrix matrix{tensor->data, tensor->type, rank, inputs};
    matrix.panel_outputs = kSide;
    matrix.tile_stride = down * matrix.panel_bytes();
    matrix.row_stride = matrix.panel_bytes();
    matrix.tiled = true;
    return matrix;
  }

  Columns any_columns(const std::string& name, std::uint32_t inputs, std::uint32_t outputs) {
    const TensorInfo* tensor = find(name, {format::kColumnOutputs, inputs, count_of(format::kColumnOutputs, outputs)});
    if (tensor == nullptr) return {};
    return {tensor->data, tensor->type, outputs, inputs};
  }

  const TensorInfo* find(const std::string& name, const std::vector<std::uint64_t>& dims) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return fail("tensor '" + name + "' is missing"), nullptr;
    if (found->second->dims == dims) return found->second;
    fail("tensor '" + name + "' has dimensions " + text_of(found->second->dims) + ", expected " + text_of(dims));
    return nullptr;
  }

  std::unordered_map<std::string, const TensorInfo*> by_name_;
  std::string problem_;
};

}  // namespace elrt
