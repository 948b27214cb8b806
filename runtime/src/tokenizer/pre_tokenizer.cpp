#include "tokenizer/pre_tokenizer.hpp"

#include <algorithm>

#include "tokenizer/normalizer.hpp"

namespace elrt {
namespace {

constexpr std::size_t kMaxGrowth = 64, kAlwaysAllowed = 1 << 16;

struct Section {
  TextRange range;
  bool match;
};

std::vector<TextRange> find_literal(std::string_view text, std::string_view pattern) {
  std::vector<TextRange> matches;
  for (std::size_t at = text.find(pattern); at != std::string_view::npos;
       at = text.find(pattern, at + pattern.size())) {
    matches.push_back({at, at + pattern.size()});
  }
  return matches;
}

// Matches and the text between them, in order, covering the text.
std::vector<Section> sections_of(std::size_t size, const std::vector<TextRange>& matches, bool invert) {
  std::vector<Section> sections;
  std::size_t at = 0;
  for (const TextRange& match : matches) {
    if (match.begin > at) sections.push_back({{at, match.begin}, invert});
    sections.push_back({match, !invert});
    at = match.end;
  }
  if (at < size) sections.push_back({{at, size}, invert});
  return sections;
}

// A match joins the section before it, unless that one is a match too.
std::vector<Section> merge_with_previous(const std::vector<Section>& sections) {
  std::vector<Section> out;
  bool previous_match = false;
  for (const Section& section : sections) {
    if (section.match && !previous_match && !out.empty())
      out.back().range.end = section.range.end;
    else
      out.push_back(section);
    previous_match = section.match;
  }
  return out;
}

std::vector<Section> merge_with_next(const std::vector<Section>& sections) {
  std::vector<Section> out;
  bool next_match = false;
  for (auto section = sections.rbegin(); section != sections.rend(); ++section) {
    if (section->match && !next_match && !out.empty())
      out.back().range.begin = section->range.begin;
    else
      out.push_back(*section);
    next_match = section->match;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<Section> merge_contiguous(const std::vector<Section>& sections) {
  std::vector<Section> out;
  for (const Section& section : sections) {
    if (!out.empty() && out.back().match == section.match)
      out.back().range.end = section.range.end;
    else
      out.push_back(section);
  }
  return out;
}

std::vector<Section> apply_behavior(std::vector<Section> sections, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kIsolated:
      return sections;
    case SplitBehavior::kRemoved:
      sections.erase(std::remove_if(sections.begin(), sections.end(), [](const Section& s) { return s.match; }),
                     sections.end());
      return sections;
    case SplitBehavior::kMergedWithPrevious:
      return merge_with_previous(sections);
    case SplitBehavior::kMergedWithNext:
      return merge_with_next(sections);
    case SplitBehavior::kContiguous:
      return merge_contiguous(sections);
  }
  return sections;
}

}  // namespace

Result<PreTokenizer> PreTokenizer::create(const std::vector<PreTokenizerStep>& steps) {
  using Kind = PreTokenizerStep::Kind;
  PreTokenizer pre_tokenizer;
  for (const PreTokenizerStep& step : steps) {
    Step compiled{step, std::nullopt};
    if (step.kind == Kind::kSplitRegex) {
      Result<Regex> regex = Regex::compile(step.pattern);
      if (!regex) return regex.take_failure();
      compiled.regex = std::move(regex).value();
    } else if ((step.kind == Kind::kSplit || step.kind == Kind::kReplace) && step.pattern.empty()) {
      return bad_data("tokenizer pre-tokenizer: looks for an empty text");
    }
    pre_tokenizer.steps_.push_back(std::move(compiled));
  }
  return pre_tokenizer;
}

Result<std::vector<std::string>> PreTokenizer::apply(std::string text, bool at_start) const {
  using Kind = PreTokenizerStep::Kind;
  const std::size_t limit = text.size() * kMaxGrowth + kAlwaysAllowed;
  std::vector<std::string> pieces;
  if (!text.empty()) pieces.push_back(std::move(text));
  for (const Step& compiled : steps_) {
    const PreTokenizerStep& step = compiled.step;
    std::vector<std::string> next;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      std::string& piece = pieces[i];
      if (step.kind == Kind::kReplace) piece = replace_all(piece, step.pattern, step.content);
      const bool prefix = step.kind == Kind::kPrefix || (step.kind == Kind::kPrefixFirst && at_start && i == 0);
      if (prefix && !piece.starts_with(step.content)) piece.insert(0, step.content);
      bytes += piece.size();
      if (bytes > limit)
        return bad_data("tokenizer pre-tokenizer: the text grows beyond " + std::to_string(kMaxGrowth) +
                        " times its size");
      if (step.kind != Kind::kSplit && step.kind != Kind::kSplitRegex) {
        if (!piece.empty()) next.push_back(std::move(piece));
        continue;
      }
      std::vector<TextRange> matches;
      if (step.kind == Kind::kSplit) {
        matches = find_literal(piece, step.pattern);
      } else {
        Result<std::vector<TextRange>> found = compiled.regex->find_all(piece);
        if (!found) return found.take_failure();
        matches = std::move(found).value();
      }
      for (const Section& section : apply_behavior(sections_of(piece.size(), matches, step.invert), step.behavior)) {
        if (section.range.end > section.range.begin)
          next.push_back(piece.substr(section.range.begin, section.range.end - section.range.begin));
      }
    }
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace elrt
