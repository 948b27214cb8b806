#include "tokenizer/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/utf8.hpp"
#include "tokenizer/regex_dialect.hpp"

namespace elrt {
namespace {

// Steps of one match. A sensible pre-tokenizer uses a few per character of its match; the bound is seconds, not hours.
constexpr std::uint32_t kMatchLimit = 10'000'000;
constexpr std::uint32_t kHeapLimitKib = 65536;
// All matches of one text together: failing attempts at every character must not add up.
constexpr std::size_t kMaxEmptyMatches = 1u << 24;

struct FreeCompileContext {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

struct FreeJitStack {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};

std::string error_text(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

void Regex::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Result<Regex::Code> Regex::compile_code(const std::string& translated, const std::string& pattern) {
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(pcre2_compile_context_create(nullptr));
  if (!context) return internal_error("tokenizer regex: out of memory");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                          context.get()));
  if (!code) {
    return bad_data("tokenizer regex does not compile: " + error_text(error) + ": " +
                    utf8::replace_invalid(pattern.substr(0, 200)));
  }
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where it is not to be had, matching is only slower
  return code;
}

Result<Regex> Regex::compile(const std::string& pattern) {
  if (pattern.empty()) return bad_data("tokenizer regex: empty pattern");
  if (pattern.size() > kMaxPatternBytes) {
    return bad_data("tokenizer regex: " + std::to_string(pattern.size()) + " bytes, expected at most " +
                    std::to_string(kMaxPatternBytes));
  }
  const Result<std::string> own = pcre2_from_oniguruma(pattern, RegexUnicode::kOwn);
  if (!own) return own.failure();
  const Result<std::string> library = pcre2_from_oniguruma(pattern, RegexUnicode::kLibrary);
  if (!library) return library.failure();
  Result<Code> code = compile_code(own.value(), pattern);
  if (!code) return code.take_failure();
  if (own.value() == library.value()) return Regex(std::move(code).value(), Code());
  Result<Code> exact = compile_code(library.value(), pattern);
  if (!exact) return exact.take_failure();
  return Regex(std::move(code).value(), std::move(exact).value());
}

Result<std::vector<TextRange>> Regex::find_all(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(pcre2_match_data_create(1, nullptr));
  const std::unique_ptr<pcre2_match_context, FreeMatchContext> context(pcre2_match_context_create(nullptr));
  if (!data || !context) return internal_error("tokenizer regex: out of memory");
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);
  std::unique_ptr<pcre2_jit_stack, FreeJitStack> stack;
  const pcre2_code* code = exact_ && regex_has_additions(text) ? exact_.get() : code_.get();
  const auto search = [&](std::size_t from) {
    return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, PCRE2_NO_UTF_CHECK,
                       data.get(), context.get());
  };
  std::vector<TextRange> matches;
  if (text.empty()) return matches;
  std::size_t at = 0, empty_matches = 0;
  while (at <= text.size()) {
    int status = search(at);
    if (status == PCRE2_ERROR_JIT_STACKLIMIT && !stack) {  // 32 KiB on the machine's stack did not do
      stack.reset(pcre2_jit_stack_create(1 << 16, kHeapLimitKib * std::size_t{1024}, nullptr));
      if (!stack) return internal_error("tokenizer regex: out of memory");
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
      status = search(at);
    }
    if (status == PCRE2_ERROR_NOMATCH) break;
    if (status < 0)
      return bad_data("tokenizer regex gave up: " + error_text(status) + "; the pattern does not suit the text");
    const PCRE2_SIZE* found = pcre2_get_ovector_pointer(data.get());
    const bool is_empty = found[0] == found[1];
    if (is_empty && ++empty_matches > kMaxEmptyMatches)
      return bad_data("tokenizer regex matches the empty text too often");
    // The empty text does not match at the end of the last match, be that empty itself.
    if (!is_empty || matches.empty() || matches.back().end != found[1]) {
      matches.push_back({found[0], found[1]});
      at = found[1];
    } else if (at < text.size()) {
      at += utf8::decode(text.substr(at)).size;
    } else {
      break;
    }
  }
  return matches;
}

}  // namespace elrt
