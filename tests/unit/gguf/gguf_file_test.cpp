#include <catch2/catch.hpp>

#include <cstring>
#include <functional>

#include "base/error.h"
#include "gguf/gguf_file.h"
#include "support/expect_error.h"
#include "support/gguf_builder.h"
#include "support/temp_dir.h"

using namespace elastify;
using elastify_test::expect_error;
using elastify_test::f32_bytes;
using elastify_test::GgufBuilder;
using elastify_test::TempDir;

namespace {

void write(const fs::path& path, const std::vector<unsigned char>& bytes) {
  elastify_test::write_bytes(path, {bytes.begin(), bytes.end()});
}

// Three F32 tensors of 16 bytes each, "a", "b", "c", holding 0.., 10.., 20...
GgufBuilder three_tensors() {
  GgufBuilder file;
  file.alignment = 32;
  file.metadata["general.architecture"] = std::string("llama");
  for (int i = 0; i < 3; ++i) {
    const auto first = static_cast<float>(10 * i);
    file.tensors.push_back(
        {std::string(1, static_cast<char>('a' + i)), 0, {2, 2}, f32_bytes({first, first + 1, first + 2, first + 3})});
  }
  return file;
}

float first_value(const GgufEntry& tensor) {
  float value = 0;
  std::memcpy(&value, tensor.file->data() + tensor.offset, sizeof(value));
  return value;
}

void check_three(const GgufFile& file) {
  REQUIRE(file.tensors.size() == 3);
  CHECK(first_value(file.tensors.at("a")) == 0);
  CHECK(first_value(file.tensors.at("b")) == 10);
  CHECK(first_value(file.tensors.at("c")) == 20);
}

}  // namespace

TEST_CASE("the file's alignment is honoured whatever the header's length", "[gguf][unit]") {
  const TempDir dir;
  for (const std::uint64_t alignment :
       {std::uint64_t{8}, std::uint64_t{16}, std::uint64_t{32}, std::uint64_t{64}, std::uint64_t{4096}}) {
    for (int length = 0; length < 33; ++length) {  // headers that end on every multiple of 16 and next to it
      GgufBuilder file = three_tensors();
      file.alignment = alignment;
      file.metadata["general.alignment"] = static_cast<std::uint32_t>(alignment);
      file.metadata["general.name"] = std::string(static_cast<std::size_t>(length), 'x');
      INFO(alignment << " " << file.header_bytes());
      write(dir / "a.gguf", file.build());
      check_three(open_gguf(dir / "a.gguf"));
    }
  }
}

TEST_CASE("without a key tensors are aligned to 32 bytes, and the key may have any integer type", "[gguf][unit]") {
  const TempDir dir;
  GgufBuilder file = three_tensors();
  write(dir / "a.gguf", file.build());
  check_three(open_gguf(dir / "a.gguf"));
  file.alignment = 16;
  for (const elrt::gguf::Value& value : {elrt::gguf::Value(std::int32_t{16}), elrt::gguf::Value(std::uint64_t{16}),
                                         elrt::gguf::Value(std::uint8_t{16})}) {
    file.metadata["general.alignment"] = value;
    write(dir / "a.gguf", file.build());
    check_three(open_gguf(dir / "a.gguf"));
  }
}

TEST_CASE("version 2, unknown keys and bytes after the last tensor are no obstacle", "[gguf][unit]") {
  const TempDir dir;
  GgufBuilder file = three_tensors();
  file.version = 2;
  file.metadata["someone.else"] = std::vector<std::string>{"a", "b"};
  auto bytes = file.build();
  bytes.resize(bytes.size() + 1000);
  write(dir / "a.gguf", bytes);
  check_three(open_gguf(dir / "a.gguf"));
}

TEST_CASE("keys that hold arrays of arrays are left out", "[gguf][unit]") {
  // Two keys by hand: "k" = [[u8 7], ["ab"], [[u8 1, 2]]] and "l" = u8 5; no tensors.
  std::vector<unsigned char> bytes = {'G', 'G', 'U', 'F', 3, 0, 0, 0};
  const auto put = [&](std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<unsigned char>(value >> (8 * i)));
  };
  const auto u32 = [&](std::uint32_t value) { put(value, 4); };
  const auto u64 = [&](std::uint64_t value) { put(value, 8); };
  u64(0), u64(2);
  u64(1), put('k', 1), u32(9), u32(9), u64(3);
  u32(0), u64(1), put(7, 1);
  u32(8), u64(1), u64(2), put('a', 1), put('b', 1);
  u32(9), u64(1), u32(0), u64(2), put(1, 1), put(2, 1);
  u64(1), put('l', 1), u32(0), put(5, 1);
  const TempDir dir;
  write(dir / "a.gguf", bytes);
  const GgufFile file = open_gguf(dir / "a.gguf");
  CHECK_FALSE(file.metadata.contains("k"));
  CHECK(elrt::gguf::find_integer(file.metadata, "l") == 5);
  while (bytes.size() > 8) {
    bytes.pop_back();
    write(dir / "a.gguf", bytes);
    expect_error(ErrorCode::kBadData, {"a.gguf"}, [&] { open_gguf(dir / "a.gguf"); });
  }
}

TEST_CASE("damaged files are refused with what is wrong", "[gguf][unit]") {
  const TempDir dir;
  const fs::path path = dir / "bad.gguf";
  const auto refused = [&](std::initializer_list<const char*> words, const std::function<void(GgufBuilder&)>& spoil) {
    GgufBuilder file = three_tensors();
    spoil(file);
    write(path, file.build());
    expect_error(ErrorCode::kBadData, words, [&] { open_gguf(path); });
  };
  refused({"does not begin with 'GGUF'", "not a GGUF file"}, [](GgufBuilder& f) { f.magic = 0x46554746; });
  refused({"version 1", "expected 2 to 3"}, [](GgufBuilder& f) { f.version = 1; });
  refused({"version 4"}, [](GgufBuilder& f) { f.version = 4; });
  refused({"big endian"}, [](GgufBuilder& f) { f.version = 0x03000000; });
  refused({"tensors and"}, [](GgufBuilder& f) { f.tensor_count = 1ull << 60; });
  refused({"a key of"}, [](GgufBuilder& f) { f.key_value_count = 9; });
  refused({"a tensor's name of"}, [](GgufBuilder& f) { f.tensor_count = 4; });
  refused({"tensor 'a' appears twice"}, [](GgufBuilder& f) { f.tensors[1].name = "a"; });
  refused({"tensor 'b'", "type 5, which GGUF does not have"}, [](GgufBuilder& f) { f.tensors[1].type = 5; });
  refused({"tensor 'b'", "type 4294967295"}, [](GgufBuilder& f) { f.tensors[1].type = ~0u; });
  refused({"tensor 'b'", "no multiple of Q4_K's blocks of 256"}, [](GgufBuilder& f) { f.tensors[1].type = 12; });
  refused({"dimensions"}, [](GgufBuilder& f) { f.tensors[1].dims = {}; });
  refused({"5 dimensions"}, [](GgufBuilder& f) { f.tensors[1].dims = {1, 1, 1, 1, 4}; });
  refused({"zero or overflow"}, [](GgufBuilder& f) { f.tensors[1].dims = {2, 0}; });
  refused({"zero or overflow"}, [](GgufBuilder& f) { f.tensors[1].dims = {1ull << 40, 1ull << 40}; });
  refused({"truncated or damaged"}, [](GgufBuilder& f) { f.tensors[1].dims = {2, 1ull << 40}; });
  refused({"truncated or damaged"}, [](GgufBuilder& f) { f.tensors[2].offset = 1u << 20; });
  refused({"truncated or damaged"}, [](GgufBuilder& f) { f.tensors[2].offset = ~0ull & ~31ull; });
  refused({"multiple of 32"}, [](GgufBuilder& f) { f.tensors[2].offset = 65; });
  refused({"overlap"}, [](GgufBuilder& f) { f.tensors[2].offset = 32; });
  for (const std::uint32_t alignment : {0u, 1u, 24u, 33u, 1u << 31})
    refused({"general.alignment", "power of two"},
            [&](GgufBuilder& f) { f.metadata["general.alignment"] = alignment; });
  refused({"general.alignment"}, [](GgufBuilder& f) { f.metadata["general.alignment"] = std::string("32"); });
  refused({"general.alignment"}, [](GgufBuilder& f) { f.metadata["general.alignment"] = std::int32_t{-32}; });
  refused({"an elastic artifact"}, [](GgufBuilder& f) { f.metadata["elastic.format_version"] = std::uint32_t{4}; });
}

TEST_CASE("no prefix of a file is read as a file", "[gguf][unit]") {
  const TempDir dir;
  const auto bytes = three_tensors().build();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write(dir / "a.gguf", {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
    expect_error(ErrorCode::kBadData, {"a.gguf"}, [&] { open_gguf(dir / "a.gguf"); });
  }
}

namespace {

// The three tensors in three parts, llama.cpp's way; `spoil` may change part i before it is written.
void write_parts(const TempDir& dir, const std::function<void(GgufBuilder&, int)>& spoil = {}) {
  for (int i = 0; i < 3; ++i) {
    GgufBuilder part;
    part.alignment = 32;
    const GgufBuilder whole = three_tensors();
    if (i == 0) part.metadata = whole.metadata;
    part.metadata["split.no"] = static_cast<std::uint16_t>(i);
    part.metadata["split.count"] = std::uint16_t{3};
    part.metadata["split.tensors.count"] = std::int32_t{3};
    if (i > 0) part.tensors.push_back(whole.tensors[static_cast<std::size_t>(i)]);
    if (i == 2) part.tensors.push_back(whole.tensors[0]);  // the first part has none
    if (spoil) spoil(part, i);
    write(dir / ("m-0000" + std::to_string(i + 1) + "-of-00003.gguf"), part.build());
  }
}

}  // namespace

TEST_CASE("any part of a split model stands for all", "[gguf][unit]") {
  const TempDir dir;
  write_parts(dir);
  for (const char* name : {"m-00001-of-00003.gguf", "m-00003-of-00003.gguf"}) {
    const GgufFile file = open_gguf(dir / name);
    check_three(file);
    CHECK(file.path == dir / "m-00001-of-00003.gguf");
    CHECK(file.files.size() == 3);
    CHECK(file.architecture() == "llama");
  }
}

TEST_CASE("parts that do not belong together are refused", "[gguf][unit]") {
  const auto refused = [&](std::initializer_list<const char*> words,
                           const std::function<void(GgufBuilder&, int)>& spoil) {
    const TempDir dir;
    write_parts(dir, spoil);
    expect_error(ErrorCode::kBadData, words, [&] { open_gguf(dir / "m-00001-of-00003.gguf"); });
  };
  const auto set = [](int wanted, const char* key, elrt::gguf::Value value) {
    return [=](GgufBuilder& part, int i) {
      if (i == wanted) part.metadata[key] = value;
    };
  };
  refused({"part 3 of 3, its name part 2 of 3"}, set(1, "split.no", std::uint16_t{2}));
  refused({"of 4, its name"}, set(2, "split.count", std::uint16_t{4}));
  refused({"split.no", "missing"}, [](GgufBuilder& part, int i) {
    if (i == 1) part.metadata.erase("split.no");
  });
  refused({"different models"}, set(1, "split.tensors.count", std::int32_t{7}));
  refused({"is 4, but the parts hold 3"},
          [](GgufBuilder& part, int) { part.metadata["split.tensors.count"] = std::int32_t{4}; });
  refused({"tensor a is also in another part"}, [](GgufBuilder& part, int i) {
    if (i == 1) part.tensors[0].name = "a";
  });
  const TempDir dir;
  write_parts(dir);
  fs::rename(dir / "m-00003-of-00003.gguf", dir / "third.gguf");
  expect_error(ErrorCode::kBadData, {"m-00003-of-00003.gguf is missing", "3 parts"},
               [&] { open_gguf(dir / "m-00002-of-00003.gguf"); });
  expect_error(ErrorCode::kBadData, {"third.gguf", "one of 3 parts"}, [&] { open_gguf(dir / "third.gguf"); });
  write(dir / "m-00004-of-00003.gguf", three_tensors().build());
  expect_error(ErrorCode::kBadData, {"no part 4 of 3"}, [&] { open_gguf(dir / "m-00004-of-00003.gguf"); });
}
