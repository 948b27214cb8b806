#include "gguf/gguf_file.h"

#include <elrt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>

#include "base/error.h"

namespace elastify {
namespace {

using elrt::gguf::find_integer;

constexpr std::int64_t kMaxParts = 99'999;  // five digits in a part's name

// What a part's name says: "small-00002-of-00003.gguf" is part 2 of 3 of "small".
struct PartName {
  std::string stem;
  std::int64_t number = 0, count = 0;

  std::string of(std::int64_t part) const { return fmt::format("{}-{:05}-of-{:05}.gguf", stem, part, count); }
};

std::optional<PartName> parse_part_name(const std::string& name) {
  constexpr std::string_view kEnd = "-00001-of-00001.gguf";
  if (name.size() <= kEnd.size()) return std::nullopt;
  const std::string end = name.substr(name.size() - kEnd.size());
  for (std::size_t i = 0; i < kEnd.size(); ++i) {
    const bool digit = kEnd[i] == '0' || kEnd[i] == '1';
    if (digit ? end[i] < '0' || end[i] > '9' : end[i] != kEnd[i]) return std::nullopt;
  }
  return PartName{name.substr(0, name.size() - kEnd.size()), std::stoll(end.substr(1, 5)),
                  std::stoll(end.substr(10, 5))};
}

elrt::gguf::Header read_header(const MappedFile& file) {
  auto header = elrt::gguf::read_header({file.data(), file.size_bytes()}, {});
  if (!header) fail_data("{}: {}", file.path().string(), header.failure().message);
  if (header->metadata.contains(elrt::format::key::kFormatVersionNumber)) {
    fail_data("{} is an elastic artifact (key '{}'), not a checkpoint: give what it was made from",
              file.path().string(), elrt::format::key::kFormatVersionNumber);
  }
  return std::move(header).value();
}

void add_tensors(const std::shared_ptr<const MappedFile>& file, const elrt::gguf::Header& header, GgufFile& model) {
  for (const auto& entry : header.tensors) {
    GgufEntry tensor{file, entry.offset, entry.bytes, entry.layout, {}};
    for (const std::uint64_t extent : entry.dims) tensor.shape.push_back(static_cast<std::int64_t>(extent));
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    if (!model.tensors.emplace(entry.name, std::move(tensor)).second)
      fail_data("{}: tensor {} is also in another part", file->path().string(), entry.name);
  }
}

// What the keys of a part say must be what its name says.
void check_part(const elrt::gguf::Metadata& metadata, const fs::path& file, std::int64_t number, std::int64_t count) {
  const auto stated_number = find_integer(metadata, "split.no"), stated_count = find_integer(metadata, "split.count");
  if (!stated_number || !stated_count)
    fail_data("{}: keys split.no and split.count are missing, though its name is that of a part", file.string());
  if (*stated_count != count || *stated_number != number - 1) {
    fail_data("{}: its keys call it part {} of {}, its name part {} of {}: the parts were renamed or mixed up",
              file.string(), *stated_number + 1, *stated_count, number, count);
  }
}

GgufFile open_parts(const fs::path& given, const PartName& name) {
  if (name.count < 1 || name.count > kMaxParts || name.number < 1 || name.number > name.count)
    fail_data("{}: there is no part {} of {}", given.string(), name.number, name.count);
  GgufFile model;
  model.path = given.parent_path() / name.of(1);
  std::optional<std::int64_t> tensors;
  for (std::int64_t part = 1; part <= name.count; ++part) {
    const fs::path path = given.parent_path() / name.of(part);
    std::error_code error;
    if (!fs::is_regular_file(path, error))
      fail_data("{} is missing: the model is split into {} parts, all of which must lie in one folder", path.string(),
                name.count);
    const auto file = std::make_shared<const MappedFile>(path);
    elrt::gguf::Header header = read_header(*file);
    check_part(header.metadata, path, part, name.count);
    const auto stated = find_integer(header.metadata, "split.tensors.count");
    if (part > 1 && stated != tensors)
      fail_data("{}: split.tensors.count is not that of the first part: the parts belong to different models",
                path.string());
    tensors = stated;
    add_tensors(file, header, model);
    model.files.push_back(path);
    if (part == 1) model.metadata = std::move(header.metadata);
  }
  if (tensors && *tensors != static_cast<std::int64_t>(model.tensors.size())) {
    fail_data("{}: split.tensors.count is {}, but the parts hold {} tensors", model.path.string(), *tensors,
              model.tensors.size());
  }
  return model;
}

}  // namespace

std::string GgufFile::architecture() const {
  const auto* found = elrt::gguf::find<std::string>(metadata, elrt::format::key::kArchitectureName);
  return found == nullptr ? "" : *found;
}

GgufFile open_gguf(const fs::path& path) {
  if (const auto part = parse_part_name(path.filename().string())) return open_parts(path, *part);
  const auto file = std::make_shared<const MappedFile>(path);
  elrt::gguf::Header header = read_header(*file);
  if (const auto count = find_integer(header.metadata, "split.count"); count && *count > 1) {
    fail_data("{} is one of {} parts, but its name does not say which: expected NAME-00001-of-{:05}.gguf",
              path.string(), *count, *count);
  }
  GgufFile model{path, {path}, {}, {}};
  add_tensors(file, header, model);
  model.metadata = std::move(header.metadata);
  return model;
}

bool is_gguf(const fs::path& path) {
  char magic[4] = {};
  std::ifstream file(path, std::ios::binary);
  return file.read(magic, sizeof(magic)) && std::memcmp(magic, "GGUF", sizeof(magic)) == 0;
}

}  // namespace elastify
