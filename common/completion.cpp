#include "common/completion.hpp"

#include <algorithm>

#include "common/error.hpp"
#include "common/parse_message.hpp"

namespace common {
namespace {

std::string option_names(const CLI::App& app) {
  std::string names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) names += " --" + name;
  }
  return names;
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string commands = command_names(app), cases, function = "_" + app.get_name();
  std::replace(function.begin(), function.end(), '-', '_');
  std::string words = commands, pattern = commands;
  words.erase(std::remove(words.begin(), words.end(), ','), words.end());
  pattern.erase(std::remove(pattern.begin(), pattern.end(), ' '), pattern.end());
  std::replace(pattern.begin(), pattern.end(), ',', '|');
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty())
      cases += filled("    {}) words='{}' ;;\n", command->get_name(), option_names(*command).substr(1));
  }
  return filled(
      "# bash completion for {}: made by {} --bash-completion\n"
      "{}() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} command= words= i\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case ${COMP_WORDS[i]} in {}) command=${COMP_WORDS[i]}; break ;; esac\n"
      "  done\n"
      "  case $command in\n"
      "    '') words='{}{}' ;;\n"
      "{}"
      "  esac\n"
      "  COMPREPLY=()\n"
      "  if [[ -z $command || $word == -* ]]; then COMPREPLY=($(compgen -W \"$words\" -- \"$word\")); fi\n"
      "}\n"
      "complete -o default -F {} {}\n",
      app.get_name(), app.get_name(), function, pattern, words, option_names(app), cases, function, app.get_name());
}

}  // namespace common
