// Request traces of the ElastiLM release: lists [question, choices, gold, [TTFT, TPOT], arrival, data set].
// In the published files the questions of the two choices from the user's phone (octopus, llamatouch) were lost: an
// option stands in their place. add_item leaves those out; the same questions come whole from Octopus' and LlamaTouch's
// own files.
#include <algorithm>
#include <charconv>

#include "common/error.hpp"
#include "common/json.hpp"
#include "common/task_file_parts.hpp"

namespace common {
namespace {

using nlohmann::json;

std::string shown(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 80);
}

// An index from 0; or a text: an option, a letter from A, or a number from 1, as the single data sets wrote them.
std::size_t gold_index(const json& gold, const std::vector<std::string>& options, const std::string& where) {
  if (gold.is_number_unsigned()) return gold.get<std::size_t>();
  if (gold.is_string()) {
    const auto& text = gold.get_ref<const std::string&>();
    const auto found = std::find(options.begin(), options.end(), text);
    if (found != options.end()) return static_cast<std::size_t>(found - options.begin());
    if (text.size() == 1 && text[0] >= 'A' && text[0] <= 'Z') return static_cast<std::size_t>(text[0] - 'A');
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size() && number >= 1) return number - 1;
  }
  fail_data("{}: expected an index, a letter or one of the options as gold, found {}", where, shown(gold));
}

EvalItem read_request(const json& request, const std::string& where) {
  const bool shaped = request.is_array() && request.size() == 6 && request[0].is_string() && request[1].is_array() &&
                      request[3].is_array() && request[3].size() == 2 && request[3][0].is_number() &&
                      request[3][1].is_number() && request[5].is_string();
  if (!shaped)
    fail_data("{}: expected [question, choices, gold, [TTFT, TPOT], arrival, data set], found {}", where,
              shown(request));
  EvalItem item;
  item.task.question = request[0].get<std::string>();
  for (const auto& choice : request[1]) {
    if (!choice.is_string()) fail_data("{}: expected texts as choices, found {}", where, shown(choice));
    item.task.options.push_back(choice.get<std::string>());
  }
  item.task.answer = gold_index(request[2], item.task.options, where);
  item.task.slo = {request[3][0].get<double>(), request[3][1].get<double>()};
  if (!(item.task.slo[0] > 0) || !(item.task.slo[1] > 0))
    fail_data("{}: expected [TTFT, TPOT] above 0, found {}", where, shown(request[3]));
  item.task.family = request[5].get<std::string>();
  return item;
}

}  // namespace

TaskFile read_request_trace(std::string_view text, const fs::path& path) {
  const json requests = parse_json(text, path.string());
  if (!requests.is_array()) fail_data("{}: expected a list of requests, found {}", path.string(), requests.type_name());
  TaskFile file;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::string where = filled("{} item {}", path.string(), i);
    EvalItem item = read_request(requests[i], where);
    item.task.id = item_id(path, i);
    add_item(file, std::move(item), where);
  }
  return file;
}

}  // namespace common
