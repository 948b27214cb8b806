#include "tokenizer/sentencepiece.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"

namespace elastify {
namespace {

// One field of a protocol buffer message (wire format: varint key of number << 3 | type).
struct Field {
  std::uint32_t number = 0;
  std::uint64_t value = 0;  // varint and fixed types
  std::string_view bytes;   // length-delimited type
};

class Message {
 public:
  Message(std::string_view bytes, const std::string& name) : rest_(bytes), name_(name) {}

  bool next(Field& field) {
    if (rest_.empty()) return false;
    const std::uint64_t key = varint();
    field = {static_cast<std::uint32_t>(key >> 3), 0, {}};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.value = fixed(4);
        break;
      default:
        fail_data("tokenizer: {} is not a SentencePiece model: unknown wire type {}", name_, key & 7);
    }
    return true;
  }

 private:
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size())
      fail_data("tokenizer: {} is truncated: a field of {} bytes has only {} left", name_, size, rest_.size());
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::uint64_t fixed(std::size_t size) {
    std::uint64_t value = 0;
    std::memcpy(&value, take(size).data(), size);
    return value;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail_data("tokenizer: {} is not a SentencePiece model: a number of more than 10 bytes", name_);
  }

  std::string_view rest_;
  const std::string& name_;
};

// What sentencepiece_model.proto calls TrainerSpec and NormalizerSpec, with its field numbers and defaults.
struct Settings {
  std::uint64_t model_type = 1;                      // trainer 3: 1 Unigram, 2 BPE, 3 word, 4 character
  bool whitespace_suffix = false;                    // trainer 24
  bool byte_fallback = false;                        // trainer 35
  std::int32_t unk = 0, bos = 1, eos = 2, pad = -1;  // trainer 40..43
  std::string unk_surface = " \xE2\x81\x87 ";        // trainer 44
  bool has_character_map = false;                    // normalizer 2
  bool add_dummy_prefix = true;                      // normalizer 3
  bool remove_extra_whitespaces = true;              // normalizer 4
  bool escape_whitespaces = true;                    // normalizer 5
};

void read_trainer(std::string_view bytes, const std::string& name, Settings& settings) {
  Message message(bytes, name);
  for (Field field; message.next(field);) {
    const auto id = static_cast<std::int32_t>(field.value);
    switch (field.number) {
      case 3:
        settings.model_type = field.value;
        break;
      case 24:
        settings.whitespace_suffix = field.value != 0;
        break;
      case 35:
        settings.byte_fallback = field.value != 0;
        break;
      case 40:
        settings.unk = id;
        break;
      case 41:
        settings.bos = id;
        break;
      case 42:
        settings.eos = id;
        break;
      case 43:
        settings.pad = id;
        break;
      case 44:
        settings.unk_surface = field.bytes;
        break;
      default:
        break;
    }
  }
}

void read_normalizer(std::string_view bytes, const std::string& name, Settings& settings) {
  Message message(bytes, name);
  for (Field field; message.next(field);) {
    switch (field.number) {
      case 2:
        settings.has_character_map = !field.bytes.empty();
        break;
      case 3:
        settings.add_dummy_prefix = field.value != 0;
        break;
      case 4:
        settings.remove_extra_whitespaces = field.value != 0;
        break;
      case 5:
        settings.escape_whitespaces = field.value != 0;
        break;
      default:
        break;
    }
  }
}

void read_piece(std::string_view bytes, const std::string& name, elrt::TokenizerSpec& spec) {
  std::string text;
  float score = 0.0f;
  std::uint64_t type = 1;
  Message message(bytes, name);
  for (Field field; message.next(field);) {
    if (field.number == 1) text = field.bytes;
    if (field.number == 2) score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
    if (field.number == 3) type = field.value;
  }
  const std::size_t id = spec.tokens.size();
  if (text.empty()) fail_data("tokenizer: {}: piece {} is empty", name, id);
  if (type < 1 || type > 6) fail_data("tokenizer: {}: piece {} has unknown type {}", name, id, type);
  if (type == 5)
    fail_data("tokenizer: {}: piece {} is marked unused; pieces that are split again are not supported", name, id);
  spec.tokens.push_back(std::move(text));
  spec.scores.push_back(score);
  spec.types.push_back(static_cast<elrt::TokenType>(type));
  if (type == 3) spec.added.push_back({.id = static_cast<std::int32_t>(id), .special = true});
}

void check_supported(const Settings& settings, const std::string& name) {
  static constexpr const char* kTypes[] = {"?", "Unigram", "BPE", "word", "character"};
  if (settings.model_type != 2) {
    fail_data("tokenizer: {} is a {} model; only BPE is supported", name,
              settings.model_type < 5 ? kTypes[settings.model_type] : "?");
  }
  if (settings.whitespace_suffix) fail_data("tokenizer: {} treats whitespace as suffix, which is not supported", name);
  if (settings.has_character_map)
    fail_data("tokenizer: {} normalizes by a precompiled character map, which is not supported", name);
}

void check_unique(const elrt::TokenizerSpec& spec, const std::string& name) {
  if (spec.tokens.empty()) fail_data("tokenizer: {} has no pieces; not a SentencePiece model?", name);
  std::unordered_set<std::string_view> seen;
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    if (!seen.insert(spec.tokens[id]).second) fail_data("tokenizer: {}: piece {} repeats an earlier one", name, id);
  }
}

}  // namespace

void add_sentencepiece_steps(const SentencePieceText& settings, elrt::TokenizerSpec& spec) {
  using Normal = elrt::NormalizerStep::Kind;
  using Decode = elrt::DecoderStep::Kind;
  const std::string space = settings.escape_whitespaces ? kSentencePieceSpace : " ";
  if (settings.remove_extra_whitespaces) {
    spec.normalizer.push_back({Normal::kReplaceRegex, "\\A +| +\\z", ""});
    spec.normalizer.push_back({Normal::kReplaceRegex, " {2,}", " "});
  }
  if (settings.add_dummy_prefix) spec.normalizer.push_back({Normal::kPrepend, "", space});
  if (settings.escape_whitespaces) {
    spec.normalizer.push_back({Normal::kReplace, " ", kSentencePieceSpace});
    spec.decoder.push_back({.kind = Decode::kReplace, .pattern = kSentencePieceSpace, .content = " "});
  }
  if (settings.byte_fallback) spec.decoder.push_back({.kind = Decode::kByteFallback});
  spec.decoder.push_back({.kind = Decode::kFuse});
  if (settings.add_dummy_prefix || settings.remove_extra_whitespaces) {
    spec.decoder.push_back({.kind = Decode::kStrip, .content = " ", .start = 1});
  }
}

elrt::TokenizerSpec parse_tokenizer_sentencepiece(std::string_view bytes, const std::string& name) {
  elrt::TokenizerSpec spec;
  Settings settings;
  Message message(bytes, name);
  for (Field field; message.next(field);) {
    if (field.number == 1) read_piece(field.bytes, name, spec);
    if (field.number == 2) read_trainer(field.bytes, name, settings);
    if (field.number == 3) read_normalizer(field.bytes, name, settings);
  }
  check_unique(spec, name);
  check_supported(settings, name);
  spec.model = elrt::TokenizerModel::kBpeScores;
  spec.byte_fallback = settings.byte_fallback;
  spec.fuse_unk = true;  // the library joins a run of unknown pieces
  spec.unk_id = settings.unk;
  spec.bos_id = settings.bos;
  spec.eos_id = settings.eos;
  spec.pad_id = settings.pad;
  spec.unk_surface = settings.unk_surface;
  spec.add_bos = spec.bos_id >= 0;
  add_sentencepiece_steps({settings.remove_extra_whitespaces, settings.add_dummy_prefix, settings.escape_whitespaces,
                           settings.byte_fallback},
                          spec);
  return spec;
}

elrt::TokenizerSpec read_tokenizer_sentencepiece(const fs::path& file) {
  return parse_tokenizer_sentencepiece(read_file(file), file.string());
}

}  // namespace elastify
