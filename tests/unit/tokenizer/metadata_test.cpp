// A spec survives as key-values, and damaged key-values are refused.
#include <catch2/catch.hpp>

#include "tiny_tokenizers.h"

using namespace elastify_test;
using elrt::TokenizerSpec;
namespace gguf = elrt::gguf;

namespace {

TokenizerSpec full_spec() {
  TokenizerSpec spec = byte_level_spec();
  spec.pad_id = 3;
  spec.stop_ids = {4, 5};
  spec.fuse_unk = spec.ignore_merges = spec.add_eos = true;
  spec.unk_surface = " ? ";
  using Normal = elrt::NormalizerStep::Kind;
  for (const auto kind : {Normal::kPrepend, Normal::kReplace, Normal::kReplaceRegex, Normal::kNfc, Normal::kNfd,
                          Normal::kNfkc, Normal::kNfkd, Normal::kLowercase, Normal::kStripLeft, Normal::kStripRight}) {
    spec.normalizer.push_back({kind, "p", "c"});
  }
  using Pre = elrt::PreTokenizerStep::Kind;
  using Split = elrt::SplitBehavior;
  spec.pre_tokenizer.push_back({Pre::kSplit, "x", "", Split::kRemoved, true});
  spec.pre_tokenizer.push_back({Pre::kReplace, "x", "y", Split::kMergedWithNext, false});
  spec.pre_tokenizer.push_back({Pre::kPrefix, "", "y", Split::kMergedWithPrevious, false});
  spec.pre_tokenizer.push_back({Pre::kPrefixFirst, "", "y", Split::kContiguous, false});
  spec.decoder.push_back({elrt::DecoderStep::Kind::kStrip, "", "z", 2, 0});
  spec.added = {{1, true, false, true, false, true}, {2, false, true, false, true, false}};
  return spec;
}

// What reading `metadata` complains about; empty if nothing.
std::string complaint(const gguf::Metadata& metadata) {
  const elrt::Result<TokenizerSpec> spec = elrt::tokenizer_spec_from_metadata(metadata);
  if (!spec) CHECK(spec.failure().status == elrt::Status::kBadData);
  return spec ? "" : spec.failure().message;
}

}  // namespace

TEST_CASE("a spec comes back from its key-values unchanged", "[tokenizer][unit]") {
  for (const TokenizerSpec& spec : {score_spec(), byte_level_spec(), full_spec()}) {
    const elrt::Result<TokenizerSpec> back = elrt::tokenizer_spec_from_metadata(elrt::tokenizer_metadata(spec));
    REQUIRE(back.ok());
    CHECK(back.value() == spec);
  }
}

TEST_CASE("merges that text cannot tell apart are kept as ids", "[tokenizer][unit]") {
  TokenizerSpec spec = byte_level_spec();
  add_token(spec, "a b");
  add_token(spec, "a bb");
  spec.merges.push_back({261, 'b'});
  CHECK(elrt::tokenizer_metadata(spec).count("tokenizer.ggml.merges") == 0);
  const elrt::Result<TokenizerSpec> back = elrt::tokenizer_spec_from_metadata(elrt::tokenizer_metadata(spec));
  REQUIRE(back.ok());
  CHECK(back.value() == spec);
}

TEST_CASE("standard keys say what other readers expect", "[tokenizer][unit]") {
  const gguf::Metadata scores = elrt::tokenizer_metadata(score_spec());
  CHECK(*gguf::find<std::string>(scores, "tokenizer.ggml.model") == "llama");
  CHECK(*gguf::find<std::uint32_t>(scores, "tokenizer.ggml.bos_token_id") == 1);
  CHECK(gguf::find<std::uint32_t>(scores, "tokenizer.ggml.padding_token_id") == nullptr);
  CHECK(*gguf::find<bool>(scores, "tokenizer.ggml.add_space_prefix"));
  CHECK(gguf::find<std::vector<float>>(scores, "tokenizer.ggml.scores")->size() == 267);
  const gguf::Metadata merges = elrt::tokenizer_metadata(byte_level_spec());
  CHECK(*gguf::find<std::string>(merges, "tokenizer.ggml.model") == "gpt2");
  CHECK(gguf::find<std::vector<std::string>>(merges, "tokenizer.ggml.merges")->at(0) == "a b");
}

TEST_CASE("every missing or mistyped key is an error", "[tokenizer][unit]") {
  const gguf::Metadata good = elrt::tokenizer_metadata(full_spec());
  REQUIRE(complaint(good).empty());
  for (const auto& [key, value] : good) {
    if (key == "tokenizer.ggml.add_space_prefix") continue;  // written for other readers only
    gguf::Metadata bad = good;
    bad[key] = std::int16_t{7};
    INFO(key);
    CHECK_THAT(complaint(bad), Catch::Matchers::Contains(key));
  }
  for (const char* key :
       {"elastic.tokenizer.version", "tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type",
        "tokenizer.ggml.add_bos_token", "elastic.tokenizer.byte_level"}) {
    gguf::Metadata bad = good;
    bad.erase(key);
    CHECK_THAT(complaint(bad), Catch::Matchers::Contains(key));
  }
}

TEST_CASE("values that no writer gives are errors", "[tokenizer][unit]") {
  const auto with = [](const char* key, gguf::Value value) {
    gguf::Metadata metadata = elrt::tokenizer_metadata(full_spec());
    metadata[key] = std::move(value);
    return complaint(metadata);
  };
  using Strings = std::vector<std::string>;
  CHECK_FALSE(with("elastic.tokenizer.version", std::uint32_t{2}).empty());
  CHECK_FALSE(with("tokenizer.ggml.model", std::string("bert")).empty());
  CHECK_FALSE(with("tokenizer.ggml.bos_token_id", std::uint32_t{0xFFFFFFFF}).empty());
  CHECK_FALSE(with("tokenizer.ggml.merges", Strings{"ab"}).empty());
  CHECK_FALSE(with("tokenizer.ggml.merges", Strings{"a nothing"}).empty());
  CHECK_FALSE(with("elastic.tokenizer.merge_ids", std::vector<std::int32_t>{1, 2, 3}).empty());
  CHECK_FALSE(with("elastic.tokenizer.normalizer", Strings{"prepend", "x"}).empty());
  CHECK_FALSE(with("elastic.tokenizer.normalizer", Strings{"dance", "", ""}).empty());
  CHECK_FALSE(with("elastic.tokenizer.pre_tokenizer", Strings{"split", "x", "", "isolated", "maybe"}).empty());
  CHECK_FALSE(with("elastic.tokenizer.decoder", Strings{"strip", "", " ", "one", "0"}).empty());
  CHECK_FALSE(with("elastic.tokenizer.decoder", Strings(5 * 1000, "fuse")).empty());
  CHECK_FALSE(with("elastic.tokenizer.added_flags", std::vector<std::uint8_t>{1}).empty());
  CHECK_FALSE(with("elastic.tokenizer.added_flags", std::vector<std::uint8_t>{1, 64}).empty());
}
