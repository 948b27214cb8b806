// Templates, and single expressions and tags, against what transformers makes of them
// (scripts/make_chat_goldens.py wrote the cases).
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "unit/jinja/rendering.h"

namespace {

namespace fs = std::filesystem;
using elastify_test::render_jinja;
using elastify_test::Rendering;
using elrt::jinja::Dict;
using elrt::jinja::List;
using elrt::jinja::None;
using elrt::jinja::Text;
using elrt::jinja::Value;
using json = nlohmann::ordered_json;

const fs::path kFolder = fs::path(ELASTIFY_SOURCE_DIR) / "tests/golden/chat";

json read_cases() {
  std::ifstream file(kFolder / "cases.json");
  return json::parse(file);
}

std::string read_text(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

Value to_value(const json& from) {
  if (from.is_null()) return None{};
  if (from.is_boolean()) return from.get<bool>();
  if (from.is_number_integer()) return from.get<std::int64_t>();
  if (from.is_number()) return from.get<double>();
  if (from.is_string()) return Text(from.get<std::string>(), Text::kForeign);
  if (from.is_array()) {
    List list;
    for (const json& item : from) list.items.push_back(to_value(item));
    return list;
  }
  Dict dict;
  for (const auto& [key, value] : from.items()) dict.set(Text(key), to_value(value));
  return dict;
}

void check(const Rendering& made, const json& expected) {
  INFO(made.problem << " at line " << made.line);
  REQUIRE(made.text.has_value() == !expected.is_null());
  CHECK((made.text || made.line > 0));
  if (!made.text) return;
  CHECK(made.text->bytes == expected.get<std::string>());
  CHECK(made.text->marks.size() == made.text->bytes.size());
}

}  // namespace

TEST_CASE("templates of twelve families render as transformers renders them, or are refused as there",
          "[jinja][golden]") {
  const json all = read_cases();
  std::size_t families = 0, texts = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(kFolder))
    families += entry.path().extension() == ".jinja" ? 1 : 0;
  CHECK(families == 12);
  for (const json& example : all.at("templates")) {
    INFO(example.at("template") << ", " << example.at("name") << ", " << example.at("add_generation_prompt"));
    elrt::jinja::Variables variables = {{"messages", to_value(example.at("messages"))},
                                        {"add_generation_prompt", to_value(example.at("add_generation_prompt"))},
                                        {"tools", to_value(example.value("tools", json()))},
                                        {"documents", None{}}};
    for (const auto& [name, token] : all.at("tokens").items())
      variables.emplace_back(name, Text(token.get<std::string>()));
    const json more = example.value("variables", json::object());
    for (const auto& [name, value] : more.items()) variables.emplace_back(name, to_value(value));
    const fs::path file = kFolder / (example.at("template").get<std::string>() + ".jinja");
    check(render_jinja(read_text(file), variables, all.at("now").get<std::time_t>()), example.at("text"));
    texts += example.at("text").is_null() ? 0 : 1;
  }
  CHECK(texts > 250);
}

TEST_CASE("expressions and tags mean what they mean in Jinja2", "[jinja][golden]") {
  const json all = read_cases();
  const Value x = to_value(all.at("x"));
  CHECK(all.at("snippets").size() > 150);
  for (const json& example : all.at("snippets")) {
    const auto source = example.at("source").get<std::string>();
    INFO(source);
    check(render_jinja(source, {{"x", x}}, all.at("now").get<std::time_t>()), example.at("text"));
  }
}
