// Conversations with models that were trained to hold them: messages become text by the model's own chat template, text
// becomes tokens, and an answer ends where the template ends a turn.
//
// The template is the artifact's `tokenizer.chat_template`, in the Jinja that Hugging Face models use. It is rendered
// as transformers renders it (trim_blocks, lstrip_blocks, loop controls, tojson, raise_exception, strftime_now), by a
// renderer of our own: statements for, if, set, macro; Jinja2's expressions with the filters, tests and methods that
// such templates use. What is not among them is refused by name, with the line; so is what takes too many steps, nests
// too deeply or prints too much.
//
// Control tokens come from the template's own text only: their names within a message, in whatever way the template
// puts it out, are text like any other.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "elrt/artifact.hpp"
#include "elrt/export.h"
#include "elrt/generator.hpp"
#include "elrt/session.hpp"

namespace elrt {

class Tokenizer;

struct ChatMessage {
  std::string role;         // system, user, assistant, tool, ... as the template knows them
  std::string content;      // UTF-8
  std::string fields{};     // a JSON object of what else the template may read (tool_calls, name, ...); empty: nothing
  bool no_content = false;  // null, as next to tool calls; `content` is empty then
};

// Reads [{"role": "user", "content": "Hello"}, ...]. A content may be a list of text parts, which are joined, or null.
// kInvalidArgument names the message and the field that cannot be used, such as a part that is no text.
ELRT_API Result<std::vector<ChatMessage>> parse_chat_messages(std::string_view json);
// The inverse.
ELRT_API std::string chat_messages_json(std::span<const ChatMessage> messages);

struct ChatTemplateOptions {
  bool add_generation_prompt = true;  // ends with the beginning of an answer
  std::string tools{};                // a JSON list of functions the model may call; empty: none
  std::string variables{};            // a JSON object of further variables, such as {"enable_thinking": false}
  std::int64_t now = 0;               // seconds since 1970 for templates that print the date; 0: the system's time
};

struct ChatText {
  std::string text;
  std::string foreign;  // one byte per byte of text, not 0 where a message wrote it (EncodeOptions::foreign)
};

// Copyable; const members may be called from several threads.
class ELRT_API ChatTemplate {
 public:
  // The tokenizer's own template. kBadData where it has none, or one that cannot be parsed.
  static Result<ChatTemplate> create(std::shared_ptr<const Tokenizer> tokenizer);

  // kInvalidArgument with the template's own sentence where it raises an exception, and for messages that are not
  // UTF-8; kBadData where the template fails.
  Result<ChatText> render(std::span<const ChatMessage> messages, const ChatTemplateOptions& options = {}) const;
  // The text's tokens: nothing is added to what the template wrote.
  Result<std::vector<TokenId>> tokens(std::span<const ChatMessage> messages,
                                      const ChatTemplateOptions& options = {}) const;

  // The control token that the template writes after an answer, if it does: answers end there, and at the tokenizer's
  // own ends.
  const std::vector<TokenId>& turn_ends() const;

 private:
  struct ELRT_HIDDEN Impl;
  ELRT_HIDDEN explicit ChatTemplate(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

struct ChatAnswer {
  Generation generation;            // of the answer; prompt_tokens are those that were read for it
  std::uint32_t prompt_tokens = 0;  // of the whole conversation, as the template writes it
  std::uint32_t cached_tokens = 0;  // of them, those that the session had read before
};

// A session that holds a conversation. Each answer reads what is new since the one before: the tokens after the longest
// beginning that the conversation shares with what the session has read. Move-only; one thread at a time.
class ELRT_API Conversation {
 public:
  static Result<Conversation> create(const Artifact& artifact, const SessionOptions& session = {},
                                     const ChatTemplateOptions& options = {});

  Conversation(Conversation&&) noexcept;
  Conversation& operator=(Conversation&&) noexcept;
  ~Conversation();

  // Anything that was said, in order; a system message first. Nothing is read yet.
  void add(ChatMessage message);
  void take_back();  // the last one
  const std::vector<ChatMessage>& messages() const;
  void clear(bool keep_system = true);  // starts again

  // Answers the messages so far, and adds the answer to them (as far as it came, where on_text ended it). Where it
  // fails or is cancelled before its first token, the conversation is as it was.
  Result<ChatAnswer> answer(const GenerateOptions& options, const TextCallback& on_text = {});
  // Adds a user's message and answers it; where there is no answer the message is taken back.
  Result<ChatAnswer> ask(std::string text, const GenerateOptions& options, const TextCallback& on_text = {});

  // Tokens of the conversation as it would be read now, and how many of them the session has not read yet.
  struct Pending {
    std::uint32_t tokens = 0, unread = 0;
  };
  Result<Pending> pending() const;

  // The level of what is read from now on; kRecompute reads the conversation again with the next answer.
  Result<void> set_level(std::uint32_t level, CachePolicy policy = CachePolicy::kRecompute);
  Session& session();
  const Tokenizer& tokenizer() const;

 private:
  struct ELRT_HIDDEN Impl;
  ELRT_HIDDEN explicit Conversation(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace elrt
