#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <set>

#include "checkpoint/safetensors.h"
#include "gguf/dequantise.h"
#include "gguf/gguf_file.h"

using namespace elastify;

namespace {

const fs::path kGoldens = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/gguf";

std::vector<float> values_of(const GgufEntry& tensor) {
  std::vector<float> values(tensor.bytes / tensor.layout->bytes * tensor.layout->weights);
  dequantise(*tensor.layout, tensor.file->data() + tensor.offset, tensor.bytes / tensor.layout->bytes, values.data());
  return values;
}

}  // namespace

TEST_CASE("every type gives the floats of the gguf package, bit for bit, on blocks that are not ours",
          "[gguf][golden]") {
  const GgufFile file = open_gguf(kGoldens / "types.gguf");
  const StoredTensors expected = open_safetensors(kGoldens / "types.safetensors");
  std::set<std::string> seen;
  for (const auto& [name, tensor] : file.tensors) {
    INFO(name);
    CHECK(tensor.layout->name == name);  // an id that stands for another type would show here
    CHECK(tensor.shape == std::vector<std::int64_t>{2, 256});
    const std::vector<float> found = values_of(tensor);
    REQUIRE(found.size() == 512);
    const torch::Tensor reference = expected.at(name).view().contiguous();
    CHECK(std::memcmp(found.data(), reference.data_ptr<float>(), 512 * sizeof(float)) == 0);
    seen.insert(name);
  }
  CHECK(seen == std::set<std::string>{"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K",
                                      "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"});
}

TEST_CASE("spoilt scales stay NaN and infinite", "[gguf][unit]") {
  const auto* layout = elrt::gguf::type_layout(8);  // Q8_0
  std::vector<std::byte> block(layout->bytes, std::byte{1});
  float values[32];
  const auto with_scale = [&](std::uint16_t half) {
    std::memcpy(block.data(), &half, sizeof(half));
    dequantise(*layout, block.data(), 1, values);
    return values[0];
  };
  CHECK(std::isnan(with_scale(0x7E00)));
  CHECK(std::isinf(with_scale(0x7C00)));
  CHECK(with_scale(0x8001) == -0x1p-24f);
  CHECK(with_scale(0x7BFF) == 65504.0f);
  CHECK(with_scale(0x3C00) == 1.0f);
}

TEST_CASE("types that are known by name only are told apart from those that are read", "[gguf][unit]") {
  CHECK_FALSE(can_dequantise(16));  // IQ2_XXS
  CHECK_FALSE(can_dequantise(26));  // I32
  CHECK_FALSE(can_dequantise(4));   // removed from the format
  CHECK(elrt::gguf::type_layout(4) == nullptr);
  CHECK(std::string(elrt::gguf::type_layout(16)->name) == "IQ2_XXS");
  CHECK(dequantisable_types().find("IQ4_XS") != std::string::npos);
}
