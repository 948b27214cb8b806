// A tokenizer from hostile key-values, and hostile text for it.
//
// INPUT. Two bytes, little endian: the length of a text, which follows; the rest is a GGUF file's header.
#include "elrt/tokenizer.hpp"
#include "format/gguf_reader.hpp"
#include "fuzz/memory_file.h"

namespace {

using elastify_fuzz::require;

void use(const elrt::Tokenizer& tokenizer, std::string_view text) {
  for (const bool special : {false, true}) {
    auto ids = tokenizer.encode(text, {.add_bos = special, .parse_special = special});
    if (!ids) return;
    for (const std::int32_t id : ids.value()) require(id >= 0 && id < tokenizer.vocab_size());
    elrt::TextStream stream(tokenizer);
    std::string pieces;
    for (const std::int32_t id : ids.value()) pieces += stream.push(id);
    pieces += stream.finish();
    require(pieces == tokenizer.decode(ids.value()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t length = std::min<std::size_t>(bytes[0] | bytes[1] << 8, size - 2);
  const std::string text(reinterpret_cast<const char*>(bytes) + 2, length);
  const std::vector<std::uint8_t> rest(bytes + 2 + length, bytes + size);  // on its own, so that its ends are watched
  auto header = elrt::read_gguf_header(std::as_bytes(std::span(rest)));
  if (!header) return 0;
  auto spec = elrt::tokenizer_spec_from_metadata(header->metadata);
  if (!spec) return 0;
  auto written = elrt::tokenizer_spec_from_metadata(elrt::tokenizer_metadata(spec.value()));
  require(written.ok());
  auto tokenizer = elrt::Tokenizer::create(std::move(spec).value());
  if (tokenizer) use(tokenizer.value(), text);
  return 0;
}
