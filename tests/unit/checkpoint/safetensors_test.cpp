// Hostile safetensors files: each kind of damage gives one clear error.
#undef CHECK  // LibTorch's logging defines it too
#include <catch2/catch.hpp>

#include "base/torch.h"
#include "checkpoint/safetensors.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

namespace {

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::TempDir;

std::string file_bytes(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + header + std::string(data_bytes, '\1');
}

void expect_refused(const std::string& bytes, std::initializer_list<const char*> words) {
  const TempDir dir;
  const fs::path path = dir / "model.safetensors";
  elastify_test::write_bytes(path, bytes);
  expect_error(ErrorCode::kBadData, words, [&] { open_safetensors(path); });
}

// A header padded so that the data starts at a multiple of 8.
std::string aligned(std::string header) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

}  // namespace

TEST_CASE("tensors survive a round trip bit for bit", "[io][unit]") {
  const TempDir dir;
  const auto half = torch::arange(6, torch::kFloat32).view({2, 3}).to(torch::kFloat16);
  const auto brain = torch::randn({5}).to(torch::kBFloat16);
  write_safetensors(dir / "a.safetensors", {{"half", half}, {"brain", brain}, {"strided", half.t()}},
                    {{"format", "pt"}});
  const auto stored = open_safetensors(dir / "a.safetensors");
  REQUIRE(torch::equal(stored.at("half").view(), half));
  REQUIRE(torch::equal(stored.at("brain").view(), brain));
  REQUIRE(torch::equal(stored.at("strided").view(), half.t()));
}

TEST_CASE("tensors of several widths are written so that all are aligned", "[io][unit]") {
  const TempDir dir;
  const torch::Tensor odd = torch::tensor({1.f, 2.f, 3.f}), half = torch::ones({3}).to(torch::kFloat16),
                      whole = torch::tensor(std::vector<std::int64_t>{7});
  write_safetensors(dir / "a.safetensors", {{"a half", half}, {"odd", odd}, {"whole", whole}});
  const auto stored = open_safetensors(dir / "a.safetensors");
  CHECK(torch::equal(stored.at("a half").view(), half));
  CHECK(torch::equal(stored.at("odd").view(), odd));
  CHECK(torch::equal(stored.at("whole").view(), whole));
}

TEST_CASE("damaged safetensors headers are refused with the reason", "[io][unit]") {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  expect_refused("", {"truncated"});
  expect_refused("1234567", {"truncated", "7"});
  expect_refused(std::string(8, '\xff'), {"header claims"});
  expect_refused(file_bytes("[1]", 0), {"not a JSON object"});
  expect_refused(file_bytes("{\"a\":", 0), {"header", "not valid JSON"});
  expect_refused(file_bytes(aligned(good), 7), {"tensor a", "outside"});
  expect_refused(file_bytes(aligned(good), 9), {"1 bytes after the last tensor"});
  expect_refused(file_bytes(aligned(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})"), 8),
                 {"needs 12 bytes", "give 8"});
  expect_refused(file_bytes(aligned(R"({"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}})"), 8), {"dtype Q4"});
  expect_refused(file_bytes(aligned(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})"), 8), {"impossible"});
  expect_refused(
      file_bytes(aligned(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})"), 8),
      {"impossible"});
  expect_refused(file_bytes(aligned(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})"), 8), {"outside"});
  expect_refused(file_bytes(aligned(R"({"a":{"dtype":"F32","shape":[2]}})"), 8), {"expected dtype, shape"});
  expect_refused(
      file_bytes(
          aligned(
              R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})"),
          12),
      {"overlaps"});
  expect_refused(file_bytes(aligned(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})"), 12),
                 {"belong to no tensor"});
}

TEST_CASE("a header that names a tensor twice, or whose metadata is no set of strings, is refused", "[io][unit]") {
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  expect_refused(file_bytes(aligned("{" + a + "," + a + "}"), 8), {"model.safetensors", "\"a\"", "stands twice"});
  expect_refused(file_bytes(aligned(R"({"a":{"dtype":"F32","shape":[2],"shape":[1,2],"data_offsets":[0,8]}})"), 8),
                 {"\"shape\"", "stands twice"});
  expect_refused(file_bytes(aligned(R"({"__metadata__":7,)" + a + "}"), 8), {"__metadata__", "found number"});
  expect_refused(file_bytes(aligned(R"({"__metadata__":{"format":1},)" + a + "}"), 8),
                 {"__metadata__", "format is number"});
  expect_refused(file_bytes(aligned(" {" + a + "}"), 8), {"not a JSON object"});
}

TEST_CASE("misaligned data is refused", "[io][unit]") {
  std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  while (header.size() % 4 != 1) header += ' ';
  expect_refused(file_bytes(header, 8), {"misaligned", "save the file again"});
}

TEST_CASE("every truncation of a good file is refused", "[io][unit]") {
  const TempDir dir;
  write_safetensors(dir / "a.safetensors", {{"x", torch::ones({3, 4})}, {"y", torch::ones({2}).to(torch::kFloat16)}});
  const std::string whole = elastify_test::read_bytes(dir / "a.safetensors");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    elastify_test::write_bytes(dir / "cut.safetensors", whole.substr(0, size));
    REQUIRE_THROWS_AS(open_safetensors(dir / "cut.safetensors"), Error);
  }
}
