// The latency table's file: JSON text to LatencyData and back.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "base/decimal.hpp"
#include "base/guarded.hpp"
#include "base/json_text.hpp"
#include "base/read_whole.hpp"
#include "elrt/latency_table.hpp"

namespace elrt {
namespace {

constexpr char kFormatName[] = "elastic-latency";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kMaxFileBytes = 1u << 20;  // far above 100 levels of 64 lengths
constexpr std::size_t kMaxItems = 1024;

using json::Value;

// Reads fields of one object; the first thing that is wrong stays.
class Fields {
 public:
  Fields(const Value& object, std::string where) : object_(object), where_(std::move(where)) {
    if (object.as<std::vector<json::Member>>() == nullptr) fail("is no object");
  }
  const Result<void>& done() const { return done_; }

  void text(const char* key, std::string& out) {
    const auto* value = get<std::string>(key, "text");
    if (value != nullptr && value->size() > 256) return fail(std::string(key) + " is too long");
    if (value != nullptr) out = *value;
  }
  void count(const char* key, std::uint32_t& out) {
    if (const auto* value = get<double>(key, "a number")) to_count(*value, key, out);
  }
  void counts(const char* key, std::vector<std::uint32_t>& out) {
    each(key, out, [&](double value, std::uint32_t& item) { to_count(value, key, item); });
  }
  void times(const char* key, std::vector<double>& out) {
    each(key, out, [](double value, double& item) { item = value; });
  }
  const std::vector<Value>* items(const char* key) {
    const auto* value = get<std::vector<Value>>(key, "a list");
    if (value != nullptr && value->size() > kMaxItems) fail(std::string(key) + " is too long");
    return done_ ? value : nullptr;
  }
  void fail(const std::string& what) {
    if (done_) done_ = bad_data(where_ + " " + what);
  }

 private:
  template <typename T>
  const T* get(const char* key, const char* kind) {
    const Value* value = object_.find(key);
    const T* typed = value == nullptr ? nullptr : value->as<T>();
    if (typed == nullptr)
      fail(std::string(key) + (value == nullptr ? " is missing" : " is not ") + (value == nullptr ? "" : kind));
    return typed;
  }
  void to_count(double value, const char* key, std::uint32_t& out) {
    if (!(value >= 0 && value <= 4294967295.0) || value != std::floor(value))
      return fail(std::string(key) + " is no whole number");
    out = static_cast<std::uint32_t>(value);
  }
  template <typename T, typename Convert>
  void each(const char* key, std::vector<T>& out, Convert convert) {
    const std::vector<Value>* values = items(key);
    for (std::size_t i = 0; values != nullptr && i < values->size(); ++i) {
      const auto* number = (*values)[i].as<double>();
      if (number == nullptr) return fail(std::string(key) + " holds something that is no number");
      convert(*number, out.emplace_back());
    }
  }

  const Value& object_;
  std::string where_;
  Result<void> done_;
};

Result<void> read_identity(const std::string& text, std::uint64_t& identity) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), identity, 16);
  if (text.size() != 16 || error != std::errc{} || end != text.data() + text.size())
    return bad_data("artifact is '" + text + "', expected 16 hex digits");
  return {};
}

Result<void> read_levels(const std::vector<Value>& items, std::vector<LevelLatency>& levels) {
  for (const Value& item : items) {
    LevelLatency& level = levels.emplace_back();
    Fields fields(item, "levels[" + std::to_string(levels.size() - 1) + "]");
    fields.count("level", level.level);
    fields.times("ttft_ms", level.ttft_ms);
    fields.times("tpot_ms", level.tpot_ms);
    if (!fields.done()) return fields.done();
  }
  return {};
}

Result<LatencyData> read_data(const Value& root) {
  LatencyData data;
  Fields fields(root, "the table:");
  std::string format, artifact;
  std::uint32_t version = 0;
  fields.text("format", format);
  if (fields.done() && format != kFormatName) fields.fail("format is '" + format + "', expected '" + kFormatName + "'");
  fields.count("version", version);
  if (fields.done() && version != kVersion)
    fields.fail("version is " + std::to_string(version) + ", expected " + std::to_string(kVersion));
  fields.text("artifact", artifact);
  fields.text("device", data.device);
  fields.count("threads", data.threads);
  fields.count("repeats", data.repeats);
  fields.counts("tokens", data.tokens);
  std::string kv_type = kv_type_name(data.kv_type);
  if (root.find("kv_type") != nullptr) fields.text("kv_type", kv_type);
  const std::vector<Value>* levels = fields.items("levels");
  if (!fields.done()) return fields.done().failure();
  if (auto done = read_identity(artifact, data.artifact); !done) return done.take_failure();
  auto cache = parse_kv_type(kv_type);
  if (!cache) return bad_data(cache.failure().message);
  data.kv_type = cache.value();
  if (auto done = read_levels(*levels, data.levels); !done) return done.take_failure();
  if (const Value* tlm = root.find("tlm")) {
    Fields costs(*tlm, "tlm");
    costs.times("decision_ms", data.tlm.decision_ms);
    costs.times("score_ms", data.tlm.score_ms);
    if (!costs.done()) return costs.done().failure();
  }
  return data;
}

// Six significant digits: below what a clock resolves, and rounding keeps the order.
std::string number(double value) { return format_decimal(value, 6); }

template <typename T>
std::string list(const std::vector<T>& values) {
  std::string text;
  for (const T value : values) {
    text += text.empty() ? "" : ", ";
    if constexpr (std::is_integral_v<T>)
      text += std::to_string(value);
    else
      text += number(value);
  }
  return "[" + text + "]";
}

std::string to_text(const LatencyData& data) {
  std::array<char, 17> identity;
  std::snprintf(identity.data(), identity.size(), "%016llx", static_cast<unsigned long long>(data.artifact));
  std::string text =
      "{\n \"format\": " + json::quoted(kFormatName) + ",\n \"version\": " + std::to_string(kVersion) +
      ",\n \"artifact\": " + json::quoted(identity.data()) + ",\n \"device\": " + json::quoted(data.device) +
      ",\n \"threads\": " + std::to_string(data.threads) + ",\n \"repeats\": " + std::to_string(data.repeats) +
      ",\n \"kv_type\": " + json::quoted(kv_type_name(data.kv_type)) + ",\n \"tokens\": " + list(data.tokens) +
      ",\n \"levels\": [";
  for (const LevelLatency& level : data.levels) {
    text += (&level == &data.levels.front() ? "\n" : ",\n");
    text += "  {\"level\": " + std::to_string(level.level) + ",\n   \"ttft_ms\": " + list(level.ttft_ms) +
            ",\n   \"tpot_ms\": " + list(level.tpot_ms) + "}";
  }
  text += "\n ]";
  if (!data.tlm.decision_ms.empty() || !data.tlm.score_ms.empty()) {
    text += ",\n \"tlm\": {\"decision_ms\": " + list(data.tlm.decision_ms) +
            ",\n  \"score_ms\": " + list(data.tlm.score_ms) + "}";
  }
  return text + "\n}\n";
}

Result<std::string> read_text(const std::filesystem::path& path) {
  std::string text;
  const int reason = read_whole(path.c_str(), kMaxFileBytes, text);
  const std::string table = "the latency table '" + path.string() + "'";
  if (reason == 0) return text;
  if (reason == EFBIG) return bad_data(table + " is larger than " + std::to_string(kMaxFileBytes) + " bytes");
  if (reason != ENOENT && reason != ENOTDIR)
    return internal_error("cannot read " + table + ": " + std::strerror(reason));
  return invalid_argument("there is no latency table '" + path.string() + "': " + std::strerror(reason) +
                          "; measure this device with elrt_calibrate, or elastic-run calibrate FILE");
}

bool write_whole(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(descriptor) == 0;
}

// A name is on the disk once its folder is. EINVAL: a file system that has nothing to flush.
bool sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor file(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return file.value >= 0 && (::fsync(file.value) == 0 || errno == EINVAL);
}

}  // namespace

Result<LatencyTable> LatencyTable::read(const std::filesystem::path& path) {
  return guarded("read the latency table", [&]() -> Result<LatencyTable> {
    auto text = read_text(path);
    if (!text) return text.take_failure();
    const auto refuse = [&](const Failure& failure) {
      return bad_data("cannot use the latency table '" + path.string() + "': " + failure.message +
                      "; measure again with elrt_calibrate, or elastic-run calibrate FILE");
    };
    auto root = json::parse(text.value());
    if (!root) return refuse(root.failure());
    auto data = read_data(root.value());
    if (!data) return refuse(data.failure());
    auto table = create(std::move(data).value());
    if (!table) return refuse(table.failure());
    return table;
  });
}

Result<void> LatencyTable::write(const std::filesystem::path& path) const {
  return guarded("write the latency table", [&]() -> Result<void> {
    const std::string partial = path.string() + ".partial." + std::to_string(::getpid());
    const auto refuse = [&] {
      const int reason = errno;
      ::unlink(partial.c_str());  // first: the words may need memory that is not there
      return internal_error("cannot write the latency table '" + path.string() + "': " + std::strerror(reason));
    };
    const std::string text = to_text(data_);
    const FileDescriptor file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.value < 0 || !write_whole(file.value, text)) return refuse();
    if (::rename(partial.c_str(), path.c_str()) != 0 || !sync_folder(path.parent_path())) return refuse();
    return {};
  });
}

}  // namespace elrt
