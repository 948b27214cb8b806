#include "tokenizer/normalizer.hpp"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "base/utf8.hpp"

namespace elrt {
namespace {

// A hostile spec could double the text in every step.
constexpr std::size_t kMaxGrowth = 64, kAlwaysAllowed = 1 << 16;

Result<std::string> map_unicode(const std::string& text, int options) {
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &mapped, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | options));
  if (size < 0) return internal_error(std::string("tokenizer normalizer: ") + utf8proc_errmsg(size));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  return std::string(reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size));
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const utf8::Char c = utf8::decode(text);
    if (c.code == 0x130)
      out += "i\xCC\x87";  // the only letter whose lower case is two characters
    else
      utf8::append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.code))));
    text.remove_prefix(c.size);
  }
  return out;
}

std::string replace_ranges(std::string_view text, const std::vector<TextRange>& ranges, std::string_view content) {
  std::string out;
  std::size_t at = 0;
  for (const TextRange& range : ranges) {
    out += text.substr(at, range.begin - at);
    out += content;
    at = range.end;
  }
  out += text.substr(at);
  return out;
}

Result<std::string> apply_regex(const std::string& text, const NormalizerStep& step, const Regex& regex) {
  Result<std::vector<TextRange>> matches = regex.find_all(text);
  if (!matches) return matches.take_failure();
  return replace_ranges(text, matches.value(), step.content);
}

}  // namespace

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size());
  while (true) {
    const std::size_t found = text.find(pattern);
    out += text.substr(0, found);
    if (found == std::string_view::npos) return out;
    out += content;
    text.remove_prefix(found + pattern.size());
  }
}

Result<Normalizer> Normalizer::create(const std::vector<NormalizerStep>& steps) {
  using Kind = NormalizerStep::Kind;
  Normalizer normalizer;
  for (const NormalizerStep& step : steps) {
    Step compiled{step, std::nullopt};
    // Stripping is a regex too; these classes are Unicode's White_Space.
    std::string pattern = step.pattern;
    if (step.kind == Kind::kStripLeft) pattern = "\\A\\s+";
    if (step.kind == Kind::kStripRight) pattern = "(?<!\\s)\\s+\\z";
    if (step.kind == Kind::kReplaceRegex || step.kind == Kind::kStripLeft || step.kind == Kind::kStripRight) {
      Result<Regex> regex = Regex::compile(pattern);
      if (!regex) return regex.take_failure();
      compiled.regex = std::move(regex).value();
    } else if (step.kind == Kind::kReplace && step.pattern.empty()) {
      return bad_data("tokenizer normalizer: replaces an empty text");
    }
    normalizer.steps_.push_back(std::move(compiled));
  }
  return normalizer;
}

Result<std::string> Normalizer::apply(std::string text) const {
  using Kind = NormalizerStep::Kind;
  const std::size_t limit = text.size() * kMaxGrowth + kAlwaysAllowed;
  for (const Step& compiled : steps_) {
    const NormalizerStep& step = compiled.step;
    Result<std::string> next = std::string();
    switch (step.kind) {
      case Kind::kPrepend:
        next = text.empty() ? text : step.content + text;
        break;
      case Kind::kReplace:
        next = replace_all(text, step.pattern, step.content);
        break;
      case Kind::kReplaceRegex:
      case Kind::kStripLeft:
      case Kind::kStripRight:
        next = apply_regex(text, step, *compiled.regex);
        break;
      case Kind::kNfc:
        next = map_unicode(text, UTF8PROC_COMPOSE);
        break;
      case Kind::kNfd:
        next = map_unicode(text, UTF8PROC_DECOMPOSE);
        break;
      case Kind::kNfkc:
        next = map_unicode(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
        break;
      case Kind::kNfkd:
        next = map_unicode(text, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
        break;
      case Kind::kLowercase:
        next = lowercase(text);
        break;
    }
    if (!next) return next.take_failure();
    text = std::move(next).value();
    if (text.size() > limit)
      return bad_data("tokenizer normalizer: the text grows beyond " + std::to_string(kMaxGrowth) + " times its size");
  }
  return text;
}

}  // namespace elrt
