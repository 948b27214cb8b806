// What every TokenizerSpec must fulfil before anything is built from it.
#pragma once

#include "elrt/tokenizer.hpp"

namespace elrt {

Result<void> check_tokenizer_spec(const TokenizerSpec& spec);

}  // namespace elrt
