// The vocabulary of a checkpoint's folder, as Hugging Face keeps it for BERT's kin.
#pragma once

#include <string>

#include "base/files.h"

namespace elastify {

// The contents of a vocab.txt: the folder's own, or made of the vocabulary of its tokenizer.json. Where both are there
// they must agree. Throws Error(kBadData) where neither is there, and where tokenizer.json or tokenizer_config.json ask
// for other rules than elrt::WordPiece's, those of uncased BERT: a vocabulary of cased words, kept accents, another
// model than WordPiece, ...
std::string body_vocabulary_text(const fs::path& folder);

}  // namespace elastify
