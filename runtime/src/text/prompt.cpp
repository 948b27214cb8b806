#include "base/guarded.hpp"
#include "elrt/generator.hpp"
#include "elrt/tokenizer.hpp"

namespace elrt {

Result<std::vector<TokenId>> prompt_tokens(const Tokenizer& tokenizer, std::string_view text) {
  return guarded("tokenise the text", [&]() -> Result<std::vector<TokenId>> {
    EncodeOptions plain;
    plain.add_bos = false;
    auto tokens = tokenizer.encode(text, plain);
    if (!tokens) return tokens.take_failure();
    if (tokenizer.spec().add_bos && tokenizer.bos_id() >= 0) tokens->insert(tokens->begin(), tokenizer.bos_id());
    return tokens;
  });
}

}  // namespace elrt
