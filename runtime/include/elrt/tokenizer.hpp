// Text to token ids and back. A TokenizerSpec says in plain data what a tokenizer does; a Tokenizer does it.
//
// Encoding: added tokens are cut out of the text -> normalizer -> pre-tokenizer -> byte pair encoding of each piece.
// Decoding: decoder steps turn token texts into one text; a TextStream does the same token by token.
//
// Bytes that are not valid UTF-8: an invalid byte passes all steps as one unknown symbol and becomes its byte token
// (byte level or byte fallback); where the model has neither, it is encoded as U+FFFD is. Decoding gives U+FFFD for
// every maximal invalid run (the Unicode standard's "maximal subpart" practice), or the raw bytes where DecodeOptions
// asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/export.h"
#include "elrt/gguf.hpp"
#include "elrt/result.hpp"

namespace elrt {

enum class TokenizerModel {
  kBpeMerges,  // merge rules in rank order (Hugging Face, GPT-2)
  kBpeScores,  // any two neighbours whose joined text is a token may merge, best score first (SentencePiece, llama2.c)
};

// GGUF's tokenizer.ggml.token_type.
enum class TokenType : std::int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Steps are applied in order, each to the whole text between added tokens.
struct NormalizerStep {
  enum class Kind { kPrepend, kReplace, kReplaceRegex, kNfc, kNfd, kNfkc, kNfkd, kLowercase, kStripLeft, kStripRight };
  Kind kind = Kind::kPrepend;
  std::string pattern{};  // kReplace: literal; kReplaceRegex: in the dialect of tokenizer.json
  std::string content{};  // kPrepend, and what replaces a match (always literal)
  bool operator==(const NormalizerStep&) const = default;
};

// What becomes of a split's matches.
enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct PreTokenizerStep {
  enum class Kind {
    kSplit,        // cut at every match of the literal `pattern`
    kSplitRegex,   // the same with a regular expression in the dialect of tokenizer.json
    kReplace,      // in every piece, literal `pattern` by `content`
    kPrefix,       // `content` before every piece that does not begin with it
    kPrefixFirst,  // the same, only for the piece at the very start of the text
  };
  Kind kind = Kind::kSplit;
  std::string pattern{};
  std::string content{};
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // matches and the text between them change places
  bool operator==(const PreTokenizerStep&) const = default;
};

// Steps are applied in order to the list of token texts.
struct DecoderStep {
  enum class Kind {
    kReplace,       // literal `pattern` by `content`
    kByteFallback,  // tokens written <0xXX> become that byte
    kByteLevel,     // GPT-2's characters become bytes again; joins
    kFuse,          // joins all tokens
    kStrip,         // removes up to `start` times `content` (one character) at the start: of the text after a joining
                    // step, of each token before one; `stop` likewise at the end, only before a joining step
    kMetaspace,     // `pattern` (one character) becomes a space; the first token loses it where `start` is not 0
    kJoinSpaces,    // joins with a space between tokens
  };
  Kind kind = Kind::kFuse;
  std::string pattern{};
  std::string content{};
  std::int32_t start = 0;
  std::int32_t stop = 0;
  bool operator==(const DecoderStep&) const = default;
};

// A token that is found in the text before anything else happens; its text is tokens[id].
struct AddedToken {
  std::int32_t id = 0;
  bool special = false;  // left out by decode, and matched only where EncodeOptions::parse_special
  bool lstrip = false;   // takes the whitespace on its left with it
  bool rstrip = false;
  bool single_word = false;  // not next to a word character
  bool normalized = false;   // its normalized text is looked for in the normalized text
  bool operator==(const AddedToken&) const = default;
};

struct TokenMerge {
  std::int32_t left = 0;
  std::int32_t right = 0;
  bool operator==(const TokenMerge&) const = default;
};

struct TokenizerSpec {
  TokenizerModel model = TokenizerModel::kBpeMerges;
  std::vector<std::string> tokens;  // as written in the source: byte-level tokens stay in GPT-2's characters
  std::vector<float> scores;        // kBpeScores: one per token; else empty
  std::vector<TokenType> types;     // one per token
  std::vector<TokenMerge> merges;   // kBpeMerges, best first; the joined text is a token
  bool byte_level = false;          // symbols are bytes, written in GPT-2's characters
  bool byte_fallback = false;       // a character without token becomes its bytes' <0xXX> tokens
  bool fuse_unk = false;            // a run of unknown characters becomes one unknown token
  bool ignore_merges = false;       // a piece that is a token is taken whole
  std::int32_t unk_id = -1;         // -1: none
  std::int32_t bos_id = -1;
  std::int32_t eos_id = -1;
  std::int32_t pad_id = -1;
  std::vector<std::int32_t> stop_ids;  // further tokens that end a generation
  bool add_bos = false;
  bool add_eos = false;
  std::string unk_surface;  // what an unknown token decodes to; empty: its own text
  std::vector<NormalizerStep> normalizer;
  std::vector<PreTokenizerStep> pre_tokenizer;
  std::vector<DecoderStep> decoder;
  std::vector<AddedToken> added;
  std::string chat_template;  // Jinja, see chat.hpp; empty: none
  bool operator==(const TokenizerSpec&) const = default;
};

// The spec as key-values: tokenizer.ggml.* as other readers know them, elastic.tokenizer.* for the rest.
ELRT_API gguf::Metadata tokenizer_metadata(const TokenizerSpec& spec);

// The inverse; other keys are ignored. kBadData for anything missing, mistyped or out of bounds. The result is well
// formed but only Tokenizer::create checks that it makes sense.
ELRT_API Result<TokenizerSpec> tokenizer_spec_from_metadata(const gguf::Metadata& metadata);

struct EncodeOptions {
  bool add_bos = true;         // add what the spec adds (bos, eos); false: neither
  bool parse_special = false;  // special tokens' text in the input becomes those tokens
  // With parse_special: one byte per byte of the text, not 0 where a stranger wrote it. No special token is found that
  // has such a byte; there its name is text like any other. Empty: nothing is a stranger's.
  std::string_view foreign{};
};

struct DecodeOptions {
  bool skip_special = true;  // control and special tokens give no text
  bool continues = false;    // the ids continue an earlier text: nothing is stripped at the start
  bool raw_bytes = false;    // invalid UTF-8 as it is, instead of U+FFFD
};

class ELRT_API Tokenizer {
 public:
  // kBadData with what is wrong where `spec` contradicts itself or exceeds a bound. Regexes are compiled here.
  static Result<Tokenizer> create(TokenizerSpec spec);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // All methods are const and may be called from several threads at once.

  // Fails for texts above 1 GiB, for a normalizer that inflates its text without bound and for a regex that exceeds its
  // match limit. O(n log n) in the bytes of the text.
  Result<std::vector<std::int32_t>> encode(std::string_view text, EncodeOptions options = {}) const;

  // Ids out of range give no text.
  std::string decode(std::span<const std::int32_t> ids, DecodeOptions options = {}) const;

  // What the token adds in the middle of a text, special tokens included; empty for an id out of range.
  std::string_view token_bytes(std::int32_t id) const;

  std::int32_t vocab_size() const;
  std::int32_t bos_id() const;  // -1: none; likewise below
  std::int32_t eos_id() const;
  std::int32_t unk_id() const;
  bool is_special(std::int32_t id) const;  // control, or added as special
  bool ends_text(std::int32_t id) const;   // eos or one of stop_ids
  const TokenizerSpec& spec() const;

 private:
  friend class TextStream;
  struct ELRT_HIDDEN Impl;
  ELRT_HIDDEN explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

// Decodes token by token: what all calls returned, joined, is what Tokenizer::decode returns for all ids. Every
// returned piece is whole characters, so an unfinished character waits for its last byte. The tokenizer must outlive
// it.
class ELRT_API TextStream {
 public:
  explicit TextStream(const Tokenizer& tokenizer, DecodeOptions options = {});
  std::string push(std::int32_t id);
  std::string finish();  // what was held back; the stream then starts again

 private:
  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  bool first_ = true;          // no token with text yet
  bool stripping_ = true;      // still at the start of the text
  std::int32_t stripped_ = 0;  // characters stripped there
  std::string pending_;        // bytes of an unfinished character
  void reset();
};

}  // namespace elrt
