#include "common/json.hpp"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "common/error.hpp"
#include "common/utf8.hpp"

namespace common {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 512;  // far beyond any document that is meant; far below what recursion can bear

// "FILE", or "FILE line 3" where the text has several lines.
std::string place_of(std::string_view text, std::size_t byte, const std::string& source) {
  if (text.find('\n') == std::string_view::npos) return source;
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(byte, text.size()));
  return filled("{} line {}", source, 1 + std::count(text.begin(), end, '\n'));
}

}  // namespace

json parse_json(std::string_view text, const std::string& source) {
  if (const auto bad = first_invalid_utf8(text)) {
    fail_data("{} is not UTF-8: byte {} is {}; convert the file first", place_of(text, *bad, source), *bad,
              hex_byte(text[*bad]));
  }
  std::vector<std::unordered_set<std::string>> open;  // the keys of every object around the present place
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMaxDepth) fail_data("{}: its values are nested more than {} deep", source, kMaxDepth);
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key && !open.back().insert(parsed.get_ref<const std::string&>()).second)
      fail_data("{}: key {} stands twice in one object; remove one", source, parsed.dump());
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::parse_error& error) {
    fail_data("{} is not valid JSON: parsing stopped at byte {}", place_of(text, error.byte, source), error.byte);
  } catch (const json::out_of_range&) {
    fail_data("{} is not valid JSON: a number is beyond what a double can hold", source);
  }
}

}  // namespace common
