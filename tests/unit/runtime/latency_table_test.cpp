#include "elrt/latency_table.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "elrt/calibrate.hpp"
#include "unit/runtime/latency_tables.h"
#include "unit/runtime/tiny_tokenizer.h"

using elastify_test::random_table;
using elastify_test::small_table;
using elastify_test::TemporaryFile;
using elrt::KvType;
using elrt::LatencyData;
using elrt::LatencyTable;
using elrt::Status;

namespace {

struct TableFile {
  TemporaryFile file{std::vector<unsigned char>{'{', '}'}};
  const std::filesystem::path& path() const { return file.path(); }
  void put(const std::string& text) const { std::ofstream(path(), std::ios::binary) << text; }
  std::string text() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

// With a stand-in for the checksums that a packed artifact has.
elrt::Artifact tiny_artifact(std::uint64_t seed) {
  auto builder = elastify_test::tiny_artifact_with_tokenizer(seed);
  builder.metadata["elastic.checksum.values"] = std::vector<std::uint64_t>{seed};
  const TemporaryFile file(builder.build());
  return std::move(elrt::Artifact::open(file.path())).value();
}

std::string why_refused(const TableFile& file) {
  const auto table = LatencyTable::read(file.path());
  if (table) return "";
  CHECK(table.failure().status == Status::kBadData);
  CHECK(table.failure().message.find('\n') == std::string::npos);
  return table.failure().message;
}

}  // namespace

TEST_CASE("predictions are linear between lengths and upper bounds outside", "[runtime][unit]") {
  const auto table = LatencyTable::create(small_table()).value();
  CHECK(table.ttft_ms(50, 10) == 5);
  CHECK(table.ttft_ms(50, 15) == 7.5);
  CHECK(table.ttft_ms(100, 20) == 20);
  CHECK(table.ttft_ms(100, 25) == 30);
  CHECK(table.ttft_ms(100, 40) == 60);
  CHECK(table.tpot_ms(100, 30) == 3.5);
  CHECK(table.ttft_ms(50, 1) == 5);         // below: the shortest's time
  CHECK(table.ttft_ms(100, 80) == 60 * 4);  // beyond: quadratic
  CHECK(table.tpot_ms(100, 80) == 4 * 2);   // beyond: linear
  CHECK(std::isinf(table.ttft_ms(60, 10)));
  CHECK(std::isinf(table.tpot_ms(60, 10)));
  CHECK(table.decision_ms(30) == 0);
  CHECK(table.score_ms(30) == 0);
  LatencyData with_tlm = small_table();
  with_tlm.tlm = {{0, 1, 2}, {3, 3, 5}};
  const auto second = LatencyTable::create(with_tlm).value();
  CHECK(second.decision_ms(30) == 1.5);
  CHECK(second.score_ms(25) == 3.5);
}

TEST_CASE("predictions never fall with the length and bound every quadratic cost beyond the table", "[runtime][unit]") {
  std::mt19937 random(3);
  for (int trial = 0; trial < 50; ++trial) {
    const auto table = LatencyTable::create(random_table(random)).value();
    const std::uint32_t last = table.data().tokens.back();
    for (std::uint32_t n = 1; n < last + 50; ++n) {
      CHECK(table.ttft_ms(100, n) <= table.ttft_ms(100, n + 1));
      CHECK(table.tpot_ms(100, n) <= table.tpot_ms(100, n + 1));
    }
  }
  LatencyData data = small_table();
  for (std::size_t i = 0; i < 3; ++i)
    data.levels[1].ttft_ms[i] = 3 + 0.5 * data.tokens[i] + 0.01 * data.tokens[i] * data.tokens[i];
  const auto table = LatencyTable::create(data).value();
  for (double n = 41; n < 1000; n += 7)
    CHECK(table.ttft_ms(100, static_cast<std::uint32_t>(n)) >= 3 + 0.5 * n + 0.01 * n * n);
}

TEST_CASE("a written table is read back, and is JSON to others", "[runtime][unit]") {
  const TableFile file;
  std::mt19937 random(4);
  for (int trial = 0; trial < 20; ++trial) {
    LatencyData data = random_table(random);
    data.device = "quotes \" \\ and \t tabs, \xC3\xA9";
    data.artifact = random() * 0x100000001ull;
    REQUIRE(LatencyTable::create(data)->write(file.path()));
    const auto table = LatencyTable::read(file.path());
    REQUIRE(table);
    const LatencyData& back = table->data();
    CHECK(back.artifact == data.artifact);
    CHECK(back.device == data.device);
    CHECK(back.threads == data.threads);
    CHECK(back.repeats == data.repeats);
    CHECK(back.tokens == data.tokens);
    REQUIRE(back.levels.size() == data.levels.size());
    const auto json = nlohmann::json::parse(file.text());
    for (std::size_t i = 0; i < data.levels.size(); ++i) {
      CHECK(back.levels[i].level == data.levels[i].level);
      CHECK(json["levels"][i]["ttft_ms"].get<std::vector<double>>() == back.levels[i].ttft_ms);
      for (std::size_t j = 0; j < data.tokens.size(); ++j) {
        CHECK(back.levels[i].ttft_ms[j] == Approx(data.levels[i].ttft_ms[j]).epsilon(1e-5));
        CHECK(back.levels[i].tpot_ms[j] == Approx(data.levels[i].tpot_ms[j]).epsilon(1e-5));
        CHECK(back.tlm.score_ms[j] == Approx(data.tlm.score_ms[j]).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("every truncation of a table file is refused", "[runtime][unit]") {
  const TableFile file;
  REQUIRE(LatencyTable::create(small_table())->write(file.path()));
  std::string whole = file.text();
  whole.erase(whole.find_last_of('}') + 1);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    file.put(whole.substr(0, size));
    INFO(size);
    CHECK_FALSE(why_refused(file).empty());
  }
  file.put(whole);
  CHECK(why_refused(file).empty());
}

TEST_CASE("a damaged table file is refused by what is wrong with it", "[runtime][unit]") {
  const TableFile file;
  REQUIRE(LatencyTable::create(small_table())->write(file.path()));
  const std::string whole = file.text();
  const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"elastic-latency", "other", "format is 'other'"},
      {"\"version\": 1", "\"version\": 2", "version is 2, expected 1"},
      {"0123456789abcdef", "0123", "16 hex digits"},
      {"0123456789abcdef", "0123456789abcdeg", "16 hex digits"},
      {"\"threads\": 2", "\"threads\": 0", "threads is 0"},
      {"\"threads\": 2", "\"threads\": -1", "threads is no whole number"},
      {"\"threads\": 2", "\"threads\": 1.5", "threads is no whole number"},
      {"\"threads\": 2", "\"threads\": \"2\"", "threads is not a number"},
      {"\"threads\": 2,", "", "threads is missing"},
      {"\"threads\": 2", "\"threads\": 1e99", "threads is no whole number"},
      {"\"threads\": 2", "\"threads\": 2, \"threads\": 3", "a repeated key"},
      {"[10, 20, 40]", "[10, 20]", "3 values, expected one for each of 2"},
      {"[10, 20, 40]", "[10, 40, 20]", "ascending"},
      {"[10, 20, 40]", "[0, 20, 40]", "ascending"},
      {"[10, 20, 40]", "[]", "0 lengths"},
      {"[10, 20, 40]", "[10, 20, 4294967295]", "ascending"},
      {"[10, 20, 60]", "[10, 20, 15]", "latency cannot fall"},
      {"[10, 20, 60]", "[-1, 20, 60]", "-1.0"},
      {"[10, 20, 60]", "[0, 20, 60]", "level 100 ttft_ms[0]"},
      {"[10, 20, 60]", "[10, 20, NaN]", "not valid JSON"},
      {"[10, 20, 60]", "[10, 20, nan]", "not valid JSON"},
      {"[10, 20, 60]", "[10, 20, Infinity]", "not valid JSON"},
      {"[10, 20, 60]", "[10, 20, 1e999]", "out of range"},
      {"[10, 20, 60]", "[10, 20, 1e10]", "expected a time of at most"},
      {"[10, 20, 60]", "[10, 20, null]", "no number"},
      {"[10, 20, 60]", "[10, 20, 060]", "not valid JSON"},
      {"[10, 20, 60]", "[10, 20, 60.]", "not valid JSON"},
      {"[2, 3, 4]", "{}", "tpot_ms is not a list"},
      {"\"level\": 50", "\"level\": 100", "ascending percentages"},
      {"\"level\": 100", "\"level\": 90", "the last is 100"},
      {"\"level\": 50", "\"level\": 0", "ascending percentages"},
      {"\"a device\"", "\"a\ndevice\"", "control character"},
      {"\"a device\"", "\"a \xFF device\"", "invalid UTF-8"},
      {"\"a device\"", "\"\\ud800\"", "bad \\u escape"},
      {"\"repeats\"", "\"tlm\": {\"decision_ms\": [0, -1, 2], \"score_ms\": []}, \"repeats\"", "tlm decision_ms[1]"},
      {"\"repeats\"", "\"tlm\": 3, \"repeats\"", "tlm is no object"},
  };
  for (const auto& [from, to, message] : cases) {
    std::string text = whole;
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    file.put(text.replace(at, std::string(from).size(), to));
    INFO(from << " -> " << to);
    CHECK(why_refused(file).find(message) != std::string::npos);
  }
}

TEST_CASE("table files beyond every limit are refused before they cost anything", "[runtime][unit]") {
  const TableFile file;
  file.put(std::string(2u << 20, ' '));
  CHECK(why_refused(file).find("larger than") != std::string::npos);
  file.put(std::string(1000000, '['));
  CHECK(why_refused(file).find("nesting") != std::string::npos);
  std::string keys = "{";
  for (int i = 0; i < 50000; ++i) keys += "\"" + std::to_string(i) + "\":0,";
  file.put(keys + "\"x\":0}");
  CHECK(why_refused(file).find("too many keys") != std::string::npos);
  std::string items =
      "{\"format\":\"elastic-latency\",\"version\":1,\"artifact\":\"0123456789abcdef\",\"device\":\"\",\"threads\":1,"
      "\"repeats\":1,\"tokens\":[0";
  for (int i = 0; i < 5000; ++i) items += ",1";
  file.put(items + "],\"levels\":[]}");
  CHECK(why_refused(file).find("tokens is too long") != std::string::npos);
}

TEST_CASE("a missing table says how to make it", "[runtime][unit]") {
  const auto table = LatencyTable::read("/nonexistent/model.gguf.latency.json");
  REQUIRE_FALSE(table);
  CHECK(table.failure().status == Status::kInvalidArgument);
  CHECK(table.failure().message.find("elastic-run calibrate") != std::string::npos);
  CHECK_FALSE(LatencyTable::create(small_table())->write("/nonexistent/folder/table.json"));
}

TEST_CASE("a table holds for its artifact, device and threads alone", "[runtime][unit]") {
  const auto artifact = tiny_artifact(1), copy = tiny_artifact(1), other = tiny_artifact(2);
  CHECK(artifact.identity() == copy.identity());
  CHECK(artifact.identity() != other.identity());
  LatencyData data = small_table();
  data.artifact = artifact.identity();
  data.device = elrt::device_description().value();
  const auto levels = LatencyTable::create(data)->check(artifact, 2, KvType::kF32);
  REQUIRE_FALSE(levels);
  CHECK(levels.failure().message.find("levels are not those") != std::string::npos);
  data.levels.insert(data.levels.begin(), {20, {3, 4, 8}, {0.5, 0.7, 1}});
  const auto table = LatencyTable::create(data).value();
  CHECK(table.check(copy, 2, KvType::kF32));
  const auto foreign = table.check(other, 2, KvType::kF32);
  REQUIRE_FALSE(foreign);
  CHECK(foreign.failure().status == Status::kBadData);
  CHECK(foreign.failure().message.find("another artifact") != std::string::npos);
  const auto threads = table.check(artifact, 3, KvType::kF32);
  REQUIRE_FALSE(threads);
  CHECK(threads.failure().status == Status::kInvalidArgument);
  CHECK(threads.failure().message.find("set threads to 2, or measure again with 3") != std::string::npos);
  const auto cache = table.check(artifact, 2, KvType::kQ8_0);
  REQUIRE_FALSE(cache);
  CHECK(cache.failure().status == Status::kInvalidArgument);
  CHECK(cache.failure().message.find("set kv_type to f32, or measure again with q8_0") != std::string::npos);
  data.device = "another device";
  const auto device = LatencyTable::create(data)->check(artifact, 2, KvType::kF32);
  REQUIRE_FALSE(device);
  CHECK(device.failure().status == Status::kBadData);
  CHECK(device.failure().message.find("another device") != std::string::npos);
}

TEST_CASE("calibration measures every level and length, and its progress ends at one", "[runtime][unit]") {
  const auto artifact = tiny_artifact(1);
  double done = 0;
  const auto table = elrt::calibrate(artifact, {1, 2, 4096, {}}, [&](double share) {
    CHECK(share > done);
    done = share;
    return true;
  });
  REQUIRE(table);
  CHECK(done == Approx(1));
  CHECK(table->check(artifact, 1, KvType::kF32));
  CHECK(table->data().repeats == 2);
  CHECK(table->data().tokens == std::vector<std::uint32_t>{16, 32, 64});  // the context is 64
  CHECK(table->data().levels.size() == 3);
  CHECK(elrt::calibrate(artifact, {1, 1, 20, {}})->data().tokens == std::vector<std::uint32_t>{16, 20});
  CHECK(elrt::calibrate(artifact, {1, 1, 20, {2, 33}})->data().tokens == std::vector<std::uint32_t>{2, 33});
}

TEST_CASE("calibration refuses impossible options and can be stopped", "[runtime][unit]") {
  const auto artifact = tiny_artifact(1);
  CHECK_FALSE(elrt::calibrate(artifact, {1, 0, 4096, {}}));
  CHECK_FALSE(elrt::calibrate(artifact, {1, 1, 1, {}}));
  CHECK_FALSE(elrt::calibrate(artifact, {1, 1, 4096, {1, 2}}));
  CHECK_FALSE(elrt::calibrate(artifact, {1, 1, 4096, {16, 16}}));
  CHECK_FALSE(elrt::calibrate(artifact, {1, 1, 4096, {16, 65}}));
  CHECK_FALSE(elrt::calibrate(artifact, {5000, 1, 4096, {}}));
  const auto stopped = elrt::calibrate(artifact, {1, 1, 4096, {}}, [](double) { return false; });
  REQUIRE_FALSE(stopped);
  CHECK(stopped.failure().message.find("stopped") != std::string::npos);
}
