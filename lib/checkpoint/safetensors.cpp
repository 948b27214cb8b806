#include "checkpoint/safetensors.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/json.h"

namespace elastify {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation

struct Dtype {
  const char* name;
  torch::ScalarType type;
};
constexpr Dtype kDtypes[] = {{"F64", torch::kFloat64},   {"F32", torch::kFloat32}, {"F16", torch::kFloat16},
                             {"BF16", torch::kBFloat16}, {"I32", torch::kInt32},   {"I64", torch::kInt64}};

torch::ScalarType parse_dtype(const std::string& name, const std::string& where) {
  for (const auto& dtype : kDtypes) {
    if (name == dtype.name) return dtype.type;
  }
  fail_data("{}: dtype {} is not supported: expected F64, F32, F16, BF16, I32 or I64", where, name);
}

// Free text by name, as the format has it; nothing here reads it.
void check_metadata(const json& header, const std::string& name) {
  const auto metadata = header.find("__metadata__");
  if (metadata == header.end()) return;
  if (!metadata->is_object())
    fail_data("{}: __metadata__ of its header must be an object of strings, found {}", name, metadata->type_name());
  for (const auto& item : metadata->items()) {
    if (!item.value().is_string()) {
      fail_data("{}: __metadata__ of its header must hold strings: {} is {}", name, item.key(),
                item.value().type_name());
    }
  }
}

json parse_header(const MappedFile& file, std::size_t& data_begin) {
  const std::string name = file.path().string();
  std::uint64_t header_bytes = 0;
  if (file.size_bytes() < sizeof(header_bytes)) {
    fail_data("{} is truncated: expected at least 8 bytes, found {}", name, file.size_bytes());
  }
  std::memcpy(&header_bytes, file.data(), sizeof(header_bytes));
  if (header_bytes > kMaxHeaderBytes || header_bytes > file.size_bytes() - sizeof(header_bytes)) {
    fail_data("{}: its header claims {} bytes, the file has {}: it is truncated or not a safetensors file", name,
              header_bytes, file.size_bytes());
  }
  data_begin = sizeof(header_bytes) + header_bytes;
  const std::string_view text = file.text().substr(sizeof(header_bytes), header_bytes);
  json header = text.starts_with('{') ? parse_json(text, name + ": its header") : json();
  if (!header.is_object()) fail_data("{}: its header is not a JSON object: the file is no safetensors file", name);
  check_metadata(header, name);
  return header;
}

bool is_count(const json& value) { return value.is_number_unsigned() && value.get<std::uint64_t>() <= INT64_MAX; }

StoredTensor parse_entry(const json& entry, const std::string& where, std::size_t data_begin, std::size_t data_bytes) {
  const bool good = entry.is_object() && entry.contains("dtype") && entry["dtype"].is_string() &&
                    entry.contains("shape") && entry["shape"].is_array() && entry.contains("data_offsets") &&
                    entry["data_offsets"].is_array() && entry["data_offsets"].size() == 2 &&
                    is_count(entry["data_offsets"][0]) && is_count(entry["data_offsets"][1]);
  if (!good) fail_data("{}: expected dtype, shape and two data_offsets in the header", where);
  StoredTensor tensor;
  tensor.dtype = parse_dtype(entry["dtype"].get<std::string>(), where);
  const std::size_t item_bytes = torch::elementSize(tensor.dtype);
  std::uint64_t expected = item_bytes;
  for (const auto& extent : entry["shape"]) {
    if (!is_count(extent) || __builtin_mul_overflow(expected, extent.get<std::uint64_t>(), &expected)) {
      fail_data("{}: shape {} is impossible", where, entry["shape"].dump());
    }
    tensor.shape.push_back(extent.get<std::int64_t>());
  }
  const auto begin = entry["data_offsets"][0].get<std::uint64_t>(), end = entry["data_offsets"][1].get<std::uint64_t>();
  if (begin > end || end > data_bytes) {
    fail_data("{}: data_offsets [{}, {}] lie outside the {} bytes of data: the file is truncated or damaged", where,
              begin, end, data_bytes);
  }
  if (end - begin != expected)
    fail_data("{}: its shape needs {} bytes, data_offsets give {}", where, expected, end - begin);
  tensor.offset = data_begin + begin;
  tensor.bytes = end - begin;
  if (tensor.offset % item_bytes != 0) {
    fail_data(
        "{}: its data is misaligned: expected a multiple of {} bytes, found offset {}; save the file again with a "
        "current safetensors library",
        where, item_bytes, tensor.offset);
  }
  return tensor;
}

// The format forbids overlaps and holes; either hides damage.
void check_coverage(const StoredTensors& tensors, const std::string& file, std::size_t data_begin,
                    std::size_t file_bytes) {
  std::vector<std::pair<std::size_t, std::string>> order;
  for (const auto& [name, tensor] : tensors) order.emplace_back(tensor.offset, name);
  std::sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
    return std::tie(a.first, tensors.at(a.second).bytes) < std::tie(b.first, tensors.at(b.second).bytes);
  });
  std::size_t at = data_begin;
  for (const auto& [offset, name] : order) {
    if (offset < at) fail_data("{}: tensor {} overlaps the tensor before it", file, name);
    if (offset > at) fail_data("{}: {} bytes before tensor {} belong to no tensor", file, offset - at, name);
    at = offset + tensors.at(name).bytes;
  }
  if (at != file_bytes) fail_data("{}: {} bytes after the last tensor belong to no tensor", file, file_bytes - at);
}

}  // namespace

StoredTensors open_safetensors(const fs::path& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  std::size_t data_begin = 0;
  const json header = parse_header(*file, data_begin);
  StoredTensors tensors;
  for (const auto& item : header.items()) {
    if (item.key() == "__metadata__") continue;
    StoredTensor tensor = parse_entry(item.value(), path.string() + ": tensor " + item.key(), data_begin,
                                      file->size_bytes() - data_begin);
    tensor.file = file;
    tensors.emplace(item.key(), std::move(tensor));
  }
  check_coverage(tensors, path.string(), data_begin, file->size_bytes());
  return tensors;
}

std::string safetensors_dtype(torch::ScalarType dtype) {
  for (const auto& known : kDtypes) {
    if (dtype == known.type) return known.name;
  }
  fail(ErrorCode::kInternal, "safetensors has no name here for dtype {}", torch::toString(dtype));
}

SafetensorsWriter::SafetensorsWriter(const fs::path& path, const std::vector<Entry>& entries,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path), entries_(entries) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& entry : entries_) {
    std::uint64_t bytes = torch::elementSize(entry.dtype);
    for (const std::int64_t extent : entry.shape) bytes *= static_cast<std::uint64_t>(extent);
    header[entry.name] = {
        {"dtype", safetensors_dtype(entry.dtype)}, {"shape", entry.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data then starts aligned for every dtype
  const std::uint64_t header_bytes = text.size();
  file_.write(&header_bytes, sizeof(header_bytes));
  file_.write(text.data(), text.size());
}

void SafetensorsWriter::write(const torch::Tensor& tensor) {
  require(next_ < entries_.size(), "safetensors writer: more tensors than announced");
  const Entry& entry = entries_[next_++];
  require(tensor.sizes().vec() == entry.shape && tensor.scalar_type() == entry.dtype,
          "safetensors writer: tensor {} differs from what was announced", entry.name);
  const torch::Tensor contiguous = tensor.to(torch::kCPU).contiguous();
  file_.write(contiguous.data_ptr(), contiguous.nbytes());
}

void SafetensorsWriter::commit() {
  require(next_ == entries_.size(), "safetensors writer: {} of {} tensors written", next_, entries_.size());
  file_.commit();
}

void write_safetensors(const fs::path& path, const std::map<std::string, torch::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsWriter::Entry> entries;
  for (const auto& [name, tensor] : tensors) entries.push_back({name, tensor.scalar_type(), tensor.sizes().vec()});
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return c10::elementSize(a.dtype) > c10::elementSize(b.dtype); });
  SafetensorsWriter writer(path, entries, metadata);
  for (const auto& entry : entries) writer.write(tensors.at(entry.name));
  writer.commit();
}

}  // namespace elastify
