// Held-out texts, each with a name: what losses are measured on.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "model/decoder.h"

namespace elrt {
class Tokenizer;
}

namespace elastify {

struct NamedText {
  std::string name;
  TokenRows rows;
  std::string hash;  // of the rows
};

// "NAME=FILE" read into rows of `seq` tokens, at most `max_tokens` of them. `documents` gets every document that was
// read. Throws Error(kUsage) on another form, on a name given twice and on one that a file name cannot hold.
std::vector<NamedText> read_named_texts(const std::vector<std::string>& arguments, const elrt::Tokenizer& tokenizer,
                                        std::int64_t seq, std::int64_t max_tokens,
                                        std::vector<TokenDocument>& documents);

NamedText named_text(const std::string& name, const TokenRows& rows);

std::string rows_hash(const TokenRows& rows);

// Mean next-token loss in nats. `adapter` may be null, `tap` empty. The head is taken some positions at a time, so that
// no logits of a whole batch exist.
double text_loss(const Decoder& decoder, const Adapter* adapter, const UnitTap& tap, const TokenRows& rows);

}  // namespace elastify
