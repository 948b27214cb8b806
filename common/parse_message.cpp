#include "common/parse_message.hpp"

#include <string_view>

#include "common/error.hpp"

namespace common {
namespace {

bool cut(std::string& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.resize(text.size() - suffix.size());
  return true;
}

// CLI11 tells what happened in the error's type and the names in its text.
std::string what_is_wrong(const CLI::App& app, const CLI::ParseError& error) {
  std::string text = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::string extras;
    for (const auto& argument : app.remaining(true)) extras += (extras.empty() ? "" : " ") + argument;
    return filled("expected nothing more, found \"{}\"", extras);
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && cut(text, " is required"))
    return text == "A subcommand" ? "expected a command: one of " + command_names(app) : text + " is missing";
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) return text + ": give one of the two";
  if (dynamic_cast<const CLI::RequiresError*>(&error) != nullptr) return text + ": give both or none";
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    constexpr std::string_view kOpening = "Could not convert: ";
    const auto equals = text.find(" = ");
    if (text.starts_with(kOpening) && equals != std::string::npos) {
      return filled("{}: expected a smaller number or another word, found \"{}\"",
                    text.substr(kOpening.size(), equals - kOpening.size()), text.substr(equals + 3));
    }
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const std::string name = text.substr(0, text.find_first_of(": "));
    if (text.ends_with(" missing")) return name + " needs a value";
    if (text.find("At Most") != std::string::npos) return name + " was given more often than once";
    if (text.find("flag override") != std::string::npos) return name + " takes no value";
  }
  return text;  // of our own validators
}

}  // namespace

std::string command_names(const CLI::App& app) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_group().empty()) continue;
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return names;
}

std::string unknown_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument.starts_with('-')) {
      const CLI::Option* option = app.get_option_no_throw(argument);
      if (option != nullptr && option->get_items_expected_max() > 0) ++i;  // its value
      continue;
    }
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
      if (command->check_name(argument)) return "";
    }
    return argument;
  }
  return "";
}

std::string empty_item(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* command = &app;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (command == &app && !arguments[i].starts_with('-')) {
      for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; }))
        if (one->check_name(arguments[i])) command = one;
    }
    const auto equals = arguments[i].find('=');
    const std::string name = arguments[i].substr(0, equals);
    const CLI::Option* option = name.starts_with("--") ? command->get_option_no_throw(name) : nullptr;
    if (option == nullptr || option->get_delimiter() == '\0') continue;
    if (equals == std::string::npos && i + 1 == arguments.size()) continue;
    const std::string list = equals == std::string::npos ? arguments[i + 1] : arguments[i].substr(equals + 1);
    if (list.empty() || list.front() == ',' || list.back() == ',' || list.find(",,") != std::string::npos)
      return filled("{}: expected values with a comma between two, found \"{}\"", name, list);
  }
  return "";
}

std::string parse_message(const CLI::App& app, const CLI::ParseError& error) {
  std::string command = app.get_name();
  for (const CLI::App* chosen : app.get_subcommands()) command += " " + chosen->get_name();
  return filled("{}; see {} --help", what_is_wrong(app, error), command);
}

}  // namespace common
