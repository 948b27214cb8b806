// elastic-run chat: a conversation on the terminal, or one message a line from a pipe.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>

#include "chat_input.hpp"
#include "chat_level.hpp"
#include "common/program.hpp"
#include "common/text_file.hpp"
#include "run_sampling.hpp"

namespace elastic_run {
namespace {

constexpr char kHelp[] =
    "/level [L]        the level of the next answers; the conversation is read again at another one\n"
    "/slo [A B | off]  an objective: the level of each answer is chosen; shares (0.4 0.7) or times (80ms 12ms)\n"
    "/reset            begins again; the system message stays\n"
    "/system TEXT      begins again with this system message; without TEXT, with none\n"
    "/history          what was said\n"
    "/save FILE        writes it as JSON, for --messages\n"
    "/help             this\n"
    "/exit             ends, as Ctrl-D does; Ctrl-C ends an answer\n"
    "A line of \"\"\" begins and ends a message of several lines; // at the start of a message stands for one /.\n";

struct ChatCommand : LevelOptions {
  std::string system, messages, slo, table, variables;
  elrt::GenerateOptions generate;
};

class Chat {
 public:
  Chat(const ChatCommand& command, elrt::Artifact artifact, elrt::Conversation conversation)
      : command_(command), artifact_(std::move(artifact)), conversation_(std::move(conversation)) {
    if (!command.system.empty()) conversation_.add({"system", command.system});
    if (!command.slo.empty()) set_slo(command.slo);
  }

  // Messages said before; the last one is answered where it is not the assistant's.
  void load(const std::string& file) {
    for (elrt::ChatMessage& message : take(elrt::parse_chat_messages(common::read_text_or_input(file))))
      conversation_.add(std::move(message));
    const auto& said = conversation_.messages();
    if (!said.empty() && said.back().role != "assistant" && said.back().role != "system") {
      choose_level();
      report(take(conversation_.answer(command_.generate, stream())));
    }
  }

  void run() {
    if (input_.interactive() && !command_.json)
      std::cerr << "level " << session().level() << " of " << levels() << "; /help says what else can be done\n";
    const CtrlC watch;
    while (auto text = input_.next()) {
      try {
        if (text->starts_with('/') && !text->starts_with("//")) {
          if (!obey(text->substr(1))) return;
        } else if (!text->empty()) {
          say(text->starts_with("//") ? text->substr(1) : *text);
        }
      } catch (const common::Error& error) {
        if (!input_.interactive()) throw;  // a script wants to know
        std::cerr << "elastic-run: " << error.what() << "\n";
      }
    }
    if (input_.interactive()) std::cerr << "\n";
  }

 private:
  elrt::Session& session() { return conversation_.session(); }
  std::string levels() const {
    std::string text;
    for (const elrt::LevelInfo& level : artifact_.levels())
      text += (text.empty() ? "" : ", ") + std::to_string(level.level);
    return text;
  }

  elrt::TextCallback stream() const {
    return [this](std::string_view piece) {
      if (!command_.json) std::cout << piece << std::flush;
      return !CtrlC::pressed() && static_cast<bool>(std::cout);
    };
  }

  void choose_level() {
    choice_.reset();
    if (!slo_) return;
    const auto pending = take(conversation_.pending());
    choice_ = levels_->choose(*slo_, session(), pending, command_.generate.max_tokens);
    take(conversation_.set_level(choice_->level));
  }

  void say(const std::string& text) {
    elrt::GenerateOptions options = command_.generate;
    options.on_prompt = [](std::size_t, std::size_t) { return !CtrlC::pressed(); };
    if (slo_) {  // the level depends on what is to be read, so that the message stands there first
      conversation_.add({"user", text});
      const std::size_t said = conversation_.messages().size();
      try {
        choose_level();
        report(take(conversation_.answer(options, stream())));
      } catch (...) {
        if (conversation_.messages().size() == said) conversation_.take_back();
        throw;
      }
      if (conversation_.messages().size() == said) conversation_.take_back();
      return;
    }
    report(take(conversation_.ask(text, options, stream())));
  }

  void report(const elrt::ChatAnswer& answer) {
    const elrt::Generation& made = answer.generation;
    if (command_.json) {
      print_json(to_json(answer));
    } else {
      std::cout << std::endl;
    }
    common::check_output();
    if (command_.json) return;
    if (made.finish == elrt::FinishReason::kCancelled) {
      std::cerr << (made.tokens.empty() ? "(stopped; the message is taken back)\n" : "(stopped)\n");
    } else if (made.finish != elrt::FinishReason::kEndOfText) {
      std::cerr << "(ended: " << elrt::finish_reason_name(made.finish) << ")\n";
    }
    std::fprintf(stderr, "[level %u, %u tokens read, %zu written, first after %.4g ms, then %.4g ms each%s]\n",
                 session().level(), made.prompt_tokens, made.tokens.size(), made.ttft_ms, made.tpot_ms,
                 !choice_            ? ""
                 : choice_->feasible ? ", objective feasible"
                                     : ", no level keeps the objective");
  }

  nlohmann::json to_json(const elrt::ChatAnswer& answer) {
    const elrt::Generation& made = answer.generation;
    nlohmann::json out = {{"text", made.text},
                          {"tokens", made.tokens},
                          {"level", session().level()},
                          {"prompt_tokens", answer.prompt_tokens},
                          {"cached_tokens", answer.cached_tokens},
                          {"read_tokens", made.prompt_tokens},
                          {"finish_reason", elrt::finish_reason_name(made.finish)},
                          {"ttft_ms", made.ttft_ms},
                          {"tpot_ms", made.tpot_ms},
                          {"slo", nullptr},
                          {"slo_met", nullptr}};
    if (!choice_) return out;
    out["slo"] = {{"ttft_ms", choice_->limits.ttft_ms}, {"tpot_ms", choice_->limits.tpot_ms}};
    out["feasible"] = choice_->feasible;
    out["predicted_ttft_ms"] = choice_->predicted.ttft_ms;
    out["predicted_tpot_ms"] = choice_->predicted.tpot_ms;
    out["slo_met"] = elrt::slo_met(choice_->limits, {made.ttft_ms, made.tpot_ms}, made.tokens.size());
    return out;
  }

  void set_slo(const std::string& text) {
    const elrt::Slo slo = parse_slo(text);
    if (!levels_) levels_.emplace(artifact_, session(), command_.table);
    slo_ = slo;
  }

  // A line for people; what scripts want stands in the answers.
  void tell(const std::string& text) const { std::cerr << text << "\n"; }

  // False: the program ends.
  bool obey(const std::string& line) {
    const std::size_t space = line.find(' ');
    const std::string name = line.substr(0, space);
    const std::size_t begin = line.find_first_not_of(' ', space);
    const std::string rest = space == std::string::npos || begin == std::string::npos ? "" : line.substr(begin);
    if (name == "exit" || name == "quit" || name == "bye") return false;
    if (name == "help") {
      std::cerr << kHelp;
    } else if (name == "level") {
      level(rest);
    } else if (name == "slo") {
      if (rest == "off")
        slo_.reset();
      else if (!rest.empty())
        set_slo(rest);
      tell(slo_ ? "objective: " + describe(*slo_) : "no objective");
    } else if (name == "reset") {
      conversation_.clear();
      tell("a new conversation");
    } else if (name == "system") {
      conversation_.clear(false);
      if (!rest.empty()) conversation_.add({"system", rest});
      tell(rest.empty() ? "a new conversation, without system message" : "a new conversation");
    } else if (name == "history") {
      history();
    } else if (name == "save") {
      save(rest);
    } else {
      common::fail(common::ErrorCode::kUsage,
                   "there is no command /{}; /help lists them, and // begins a message with /", name);
    }
    return true;
  }

  void level(const std::string& text) {
    if (!text.empty()) {
      if (text.size() > 3 || text.find_first_not_of("0123456789") != std::string::npos)
        common::fail(common::ErrorCode::kUsage, "a level is one of {}; found \"{}\"", levels(), text);
      take(conversation_.set_level(static_cast<std::uint32_t>(std::stoul(text))));
      slo_.reset();
    }
    tell("level " + std::to_string(session().level()) + " of " + levels());
  }

  void history() {
    if (command_.json) return print_json(nlohmann::json::parse(elrt::chat_messages_json(conversation_.messages())));
    for (const elrt::ChatMessage& message : conversation_.messages())
      std::cout << message.role << ": " << message.content << "\n";
    std::cout << std::flush;
  }

  void save(const std::string& file) {
    if (file.empty()) common::fail(common::ErrorCode::kUsage, "/save needs the name of a file");
    std::ofstream out(file, std::ios::binary);
    out << elrt::chat_messages_json(conversation_.messages()) << "\n";
    if (!out.flush()) common::fail(common::ErrorCode::kInternal, "cannot write {}: {}", file, std::strerror(errno));
    tell(std::to_string(conversation_.messages().size()) + " messages saved in " + file);
  }

  const ChatCommand& command_;
  elrt::Artifact artifact_;
  elrt::Conversation conversation_;
  ChatInput input_;
  std::optional<elrt::Slo> slo_;
  std::optional<ChatLevels> levels_;
  std::optional<ChatLevels::Choice> choice_;
};

void run(const ChatCommand& command) {
  auto artifact = take(elrt::Artifact::open(command.file));
  elrt::ChatTemplateOptions options;
  options.variables = command.variables;
  auto conversation = take(elrt::Conversation::create(artifact, session_options(command), options));
  Chat chat(command, std::move(artifact), std::move(conversation));
  if (!command.messages.empty()) chat.load(command.messages);
  chat.run();
}

}  // namespace

void register_chat(CLI::App& app) {
  auto command = std::make_shared<ChatCommand>();
  command->generate.max_tokens = 1024;
  CLI::App* sub = app.add_subcommand("chat", "hold a conversation");
  CLI::Option* level = add_level_options(*sub, *command);
  sub->add_option("--system", command->system, "the system message, before all others");
  sub->add_option("--messages", command->messages,
                  "a JSON list of what was said before, [{\"role\": \"user\", \"content\": \"...\"}, ...]")
      ->excludes("--system");
  sub->add_option(
         "--slo", command->slo,
         "objective of every answer, from which its level follows: two shares of the times that the full model\n"
         "takes for the whole conversation, as 0.4,0.7, or two times, as 80ms,12ms")
      ->excludes(level);
  sub->add_option("--latency", command->table, "the table of elastic-run calibrate; default: FILE.latency.json");
  sub->add_option("--variables", command->variables,
                  "a JSON object of variables of the model's template, such as {\"enable_thinking\": false}");
  add_sampling_options(*sub, command->generate);
  sub->footer(
      "Messages are put into the model's own chat template (Jinja, rendered as transformers renders it). Each answer\n"
      "reads only what is new. Messages come from standard input, one a line; a pipe works. Within:\n" +
      std::string(kHelp) +
      "With --json every answer is one line: text, tokens, level, prompt_tokens (of the conversation), cached_tokens "
      "and\n"
      "read_tokens of them, finish_reason, ttft_ms, tpot_ms.\n"
      "Examples:\n"
      "  elastic-run chat model.gguf\n"
      "  elastic-run chat model.gguf --system \"Answer in one sentence.\" --temperature 0.7 --top-p 0.9\n"
      "  printf 'Hello\\nWho are you?\\n' | elastic-run chat model.gguf --level 50 --json\n"
      "  elastic-run chat model.gguf --slo 0.4,0.7");
  sub->callback([command] { run(*command); });
}

}  // namespace elastic_run
