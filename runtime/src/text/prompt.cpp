#include "base/guarded.hpp"
#include "elrt/generator.hpp"
#include "elrt/tokenizer.hpp"

namespace elrt {

Result<std::vector<TokenId>> prompt_tokens(const Tokenizer& tokenizer, std::string_view text,
                                           const PromptOptions& options) {
  return guarded("tokenise the text", [&]() -> Result<std::vector<TokenId>> {
    EncodeOptions plain;
    plain.add_bos = false;
    plain.parse_special = options.parse_special;
    auto tokens = tokenizer.encode(text, plain);
    if (!tokens) return tokens.take_failure();
    const TokenId bos = tokenizer.bos_id();
    const bool wanted = options.begin && tokenizer.spec().add_bos && bos >= 0;
    if (wanted && (tokens->empty() || tokens->front() != bos)) tokens->insert(tokens->begin(), bos);
    return tokens;
  });
}

}  // namespace elrt
