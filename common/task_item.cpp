#include "common/task_item.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "common/error.hpp"
#include "common/json.hpp"
#include "common/text_file.hpp"
#include "common/words.hpp"

namespace common {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

ordered_json span_json(const ByteSpan& span) { return {span.begin, span.end}; }

ordered_json query_json(const TaskQuery& query) {
  ordered_json given = ordered_json::object();
  for (const auto& [slot, value] : query.given) given[slot] = value;
  for (const auto& [slot, reference] : query.referred) {
    given[slot] = {{"relation", reference.relation}, {"slot", reference.slot}, {"given", reference.given}};
  }
  return {{"relation", query.relation}, {"given", given}, {"answer", query.answer}};
}

// Typed members of one object. Every failure opens with the place and names the field.
class Fields {
 public:
  Fields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail_data("{}: expected an object, found {}", where_, object.type_name());
  }

  bool has(const char* key) const { return object_.contains(key); }
  const json& get(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) fail_data("{}: {} is missing", where_, key);
    return *found;
  }
  std::string text(const char* key) const { return text_of(get(key), key); }
  std::string text_or(const char* key, std::string fallback) const { return has(key) ? text(key) : fallback; }
  std::size_t whole(const char* key) const { return whole_of(get(key), key); }
  std::size_t whole_or(const char* key, std::size_t fallback) const { return has(key) ? whole(key) : fallback; }
  const json& list(const char* key) const {
    if (!get(key).is_array()) bad(key, "a list", get(key));
    return get(key);
  }
  std::vector<std::string> texts(const char* key) const { return texts_of(list(key), key); }
  std::vector<std::string> texts_of(const json& value, const char* key) const {
    if (!value.is_array()) bad(key, "a list of texts", value);
    std::vector<std::string> texts;
    for (const auto& element : value) texts.push_back(text_of(element, key));
    return texts;
  }
  SlotValues slots(const char* key) const {
    if (!get(key).is_object()) bad(key, "an object of slots", get(key));
    SlotValues values;
    for (const auto& item : get(key).items()) values[item.key()] = text_of(item.value(), key);
    return values;
  }
  ByteSpan span(const json& value, const char* key) const {
    if (!value.is_array() || value.size() != 2) bad(key, "[begin, end]", value);
    return {whole_of(value[0], key), whole_of(value[1], key)};
  }
  Fields inside(const json& value, const std::string& name) const { return {value, where_ + " " + name}; }
  [[noreturn]] void bad(const char* key, const char* expected, const json& found) const {
    fail_data("{}: {}: expected {}, found {}", where_, key, expected, shown(found));
  }

 private:
  static std::string shown(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 80);
  }
  std::string text_of(const json& value, const char* key) const {
    if (!value.is_string()) bad(key, "a text", value);
    return value.get<std::string>();
  }
  std::size_t whole_of(const json& value, const char* key) const {
    if (!value.is_number_unsigned()) bad(key, "a whole number from 0", value);
    return value.get<std::size_t>();
  }

  const json& object_;
  std::string where_;
};

TaskQuery read_query(const Fields& fields) {
  TaskQuery query{fields.text("relation"), {}, {}, fields.text("answer")};
  const json& given = fields.get("given");
  if (!given.is_object()) fields.bad("given", "an object of slots", given);
  for (const auto& item : given.items()) {
    if (item.value().is_string()) {
      query.given[item.key()] = item.value().get<std::string>();
      continue;
    }
    const Fields reference = fields.inside(item.value(), "given." + item.key());
    query.referred[item.key()] = {reference.text("relation"), reference.text("slot"), reference.slots("given")};
  }
  return query;
}

void read_evaluation_fields(const Fields& fields, TaskItem& item) {
  const std::size_t hops = fields.whole_or("hops", 1);
  if (hops < 1 || hops > 2) fields.bad("hops", "1 or 2", fields.get("hops"));
  item.hops = static_cast<int>(hops);
  if (fields.has("relevant")) {
    for (const auto& span : fields.list("relevant")) item.relevant.push_back(fields.span(span, "relevant"));
  }
  if (fields.has("facts")) {
    for (std::size_t i = 0; i < fields.list("facts").size(); ++i) {
      const Fields fact = fields.inside(fields.list("facts")[i], filled("facts[{}]", i));
      item.facts.push_back({fact.text("relation"), fact.slots("slots"), fact.span(fact.get("span"), "span")});
    }
  }
  item.fact_count = fields.whole_or("fact_count", item.facts.size());
  if (fields.has("option_values")) {
    for (const auto& values : fields.list("option_values"))
      item.option_values.push_back(fields.texts_of(values, "option_values"));
  }
  if (fields.has("query")) item.query = read_query(fields.inside(fields.get("query"), "query"));
}

// Runs of white space as one space: a difference in spacing alone is none that a model should have to see.
std::string with_single_spaces(std::string_view text) {
  std::string kept;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!space)
      kept += c;
    else if (!kept.empty() && kept.back() != ' ')
      kept += ' ';
  }
  if (!kept.empty() && kept.back() == ' ') kept.pop_back();
  return kept;
}

void check_options(const TaskItem& item, const std::string& where) {
  if (item.options.size() < 2) fail_data("{}: options: expected at least two, found {}", where, item.options.size());
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < item.options.size(); ++i) {
    const std::string text = with_single_spaces(item.options[i]);
    if (text.empty()) fail_data("{}: option {} is empty", where, i);
    const auto [found, fresh] = seen.emplace(text, i);
    if (!fresh) fail_data("{}: options {} and {} have equal text: \"{}\"", where, found->second, i, item.options[i]);
  }
  if (item.answer >= item.options.size()) {
    fail_data("{}: answer: expected the index of an option, 0 to {}, found {}", where, item.options.size() - 1,
              item.answer);
  }
}

}  // namespace

std::string task_prompt(const TaskItem& item) {
  return (item.context.empty() ? "" : item.context + "\n") + item.question + "\nA:";
}

std::string further_prompt(const TaskItem& item) { return "\n" + item.question + "\nA:"; }

std::string option_behind_prompt(const std::string& option) { return " " + option; }

std::string format_task(const TaskItem& item) {
  ordered_json object{{"id", item.id},           {"family", item.family},     {"slo", item.slo},
                      {"context", item.context}, {"question", item.question}, {"options", item.options},
                      {"answer", item.answer}};
  if (!item.option_values.empty()) object["option_values"] = item.option_values;
  if (!item.query) return object.dump();
  object["hops"] = item.hops;
  object["fact_count"] = item.fact_count;
  object["relevant"] = ordered_json::array();
  for (const auto& span : item.relevant) object["relevant"].push_back(span_json(span));
  object["facts"] = ordered_json::array();
  for (const auto& fact : item.facts) {
    object["facts"].push_back({{"relation", fact.relation}, {"slots", fact.slots}, {"span", span_json(fact.span)}});
  }
  object["query"] = query_json(*item.query);
  return object.dump();
}

TaskItem parse_task(std::string_view line, const std::string& where, const std::string& fallback_id,
                    TaskOptions options) {
  const json object = parse_json(line, where);
  const Fields fields(object, where);
  TaskItem item;
  item.id = fields.text_or("id", fallback_id);
  item.family = fields.text_or("family", item.family);
  if (fields.has("slo")) {
    const json& slo = fields.list("slo");
    if (slo.size() != 2 || !slo[0].is_number() || !slo[1].is_number()) fields.bad("slo", "[TTFT, TPOT]", slo);
    item.slo = {slo[0].get<double>(), slo[1].get<double>()};
    if (!(item.slo[0] > 0) || !(item.slo[1] > 0)) fields.bad("slo", "shares above 0", slo);
  }
  item.context = fields.text_or("context", "");
  item.question = fields.text("question");
  if (options == TaskOptions::kRequired || fields.has("options")) {
    item.options = fields.texts("options");
    item.answer = fields.whole("answer");
    check_options(item, where);
  }
  read_evaluation_fields(fields, item);
  return item;
}

std::vector<TaskItem> read_tasks(const fs::path& path, TaskOptions options) {
  const std::string bytes = read_text(path);
  const std::string_view text = bytes;
  std::vector<TaskItem> items;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size());
    const auto line = trim(text.substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty()) continue;
    items.push_back(parse_task(line, filled("{} line {}", path.string(), number),
                               filled("{}:{}", path.filename().string(), number), options));
  }
  if (items.empty())
    fail_data("{} holds no task: expected one JSON object a line with {}", path.string(),
              options == TaskOptions::kRequired ? "question, options and answer" : "question");
  return items;
}

}  // namespace common
