#include <algorithm>
#include <ctime>

#include "base/guarded.hpp"
#include "elrt/chat.hpp"
#include "elrt/tokenizer.hpp"

namespace elrt {

struct Conversation::Impl {
  std::shared_ptr<const Tokenizer> tokenizer;
  ChatTemplate chat_template;
  Session session;
  ChatTemplateOptions options;
  std::vector<ChatMessage> messages{};
  bool unread = false;  // the session's tokens are to be read again, at another level

  // How many of `tokens` the session holds already; at least the last one is read again, for its logits.
  std::size_t shared(std::span<const TokenId> tokens) const {
    const auto held = session.tokens();
    const std::size_t most = std::min(held.size(), tokens.empty() ? 0 : tokens.size() - 1);
    return static_cast<std::size_t>(
        std::mismatch(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(most), tokens.begin()).first -
        held.begin());
  }
};

Conversation::Conversation(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Conversation::Conversation(Conversation&&) noexcept = default;
Conversation& Conversation::operator=(Conversation&&) noexcept = default;
Conversation::~Conversation() = default;

Result<Conversation> Conversation::create(const Artifact& artifact, const SessionOptions& session,
                                          const ChatTemplateOptions& options) {
  return guarded("begin a conversation", [&]() -> Result<Conversation> {
    auto tokenizer = artifact.tokenizer();
    if (!tokenizer) return tokenizer.take_failure();
    auto chat_template = ChatTemplate::create(tokenizer.value());
    if (!chat_template) {
      return Failure{chat_template.failure().status, artifact.path().string() + ": " + chat_template.failure().message};
    }
    auto opened = Session::create(artifact, session);
    if (!opened) return opened.take_failure();
    auto impl = std::make_unique<Impl>(
        Impl{std::move(tokenizer).value(), std::move(chat_template).value(), std::move(opened).value(), options});
    // A date that changes at midnight would change what was read long ago.
    if (impl->options.now == 0) impl->options.now = static_cast<std::int64_t>(std::time(nullptr));
    impl->options.add_generation_prompt = true;
    return Conversation(std::move(impl));
  });
}

void Conversation::add(ChatMessage message) { impl_->messages.push_back(std::move(message)); }
void Conversation::take_back() {
  if (!impl_->messages.empty()) impl_->messages.pop_back();
}
const std::vector<ChatMessage>& Conversation::messages() const { return impl_->messages; }
Session& Conversation::session() { return impl_->session; }
const Tokenizer& Conversation::tokenizer() const { return *impl_->tokenizer; }

void Conversation::clear(bool keep_system) {
  auto& messages = impl_->messages;
  const auto first = std::find_if(messages.begin(), messages.end(),
                                  [&](const ChatMessage& message) { return message.role != "system"; });
  messages.erase(keep_system ? first : messages.begin(), messages.end());
}

Result<void> Conversation::set_level(std::uint32_t level, CachePolicy policy) {
  const bool changes = level != impl_->session.level();
  if (auto done = impl_->session.set_level(level, policy); !done) return done;
  impl_->unread = impl_->unread || (changes && policy == CachePolicy::kRecompute);
  return {};
}

Result<Conversation::Pending> Conversation::pending() const {
  auto tokens = impl_->chat_template.tokens(impl_->messages, impl_->options);
  if (!tokens) return tokens.take_failure();
  const std::size_t shared = impl_->unread ? 0 : impl_->shared(tokens.value());
  return Pending{static_cast<std::uint32_t>(tokens->size()), static_cast<std::uint32_t>(tokens->size() - shared)};
}

Result<ChatAnswer> Conversation::answer(const GenerateOptions& options, const TextCallback& on_text) {
  return guarded("answer", [&]() -> Result<ChatAnswer> {
    Impl& chat = *impl_;
    auto tokens = chat.chat_template.tokens(chat.messages, chat.options);
    if (!tokens) return tokens.take_failure();
    if (tokens->size() > chat.session.context_tokens()) {
      return invalid_argument("the conversation has " + std::to_string(tokens->size()) + " tokens, the context holds " +
                              std::to_string(chat.session.context_tokens()) + "; start a new one");
    }
    const std::size_t shared = chat.shared(tokens.value());
    chat.session.truncate(shared);
    GenerateOptions chosen = options;
    chosen.keep_context = true;
    // generate() leaves what two levels made to be read again.
    const bool two_levels =
        options.max_tokens > 1 && options.decode_level != 0 && options.decode_level != chat.session.level();
    const auto& ends = chat.chat_template.turn_ends();
    chosen.end_ids.insert(chosen.end_ids.end(), ends.begin(), ends.end());
    auto made = generate(chat.session, *chat.tokenizer, std::span(tokens.value()).subspan(shared), chosen, on_text);
    if (!made) {
      chat.unread = chat.unread || two_levels;
      return made.take_failure();
    }
    ChatAnswer answer;
    answer.prompt_tokens = static_cast<std::uint32_t>(tokens->size());
    answer.cached_tokens = chat.unread ? 0 : static_cast<std::uint32_t>(shared);
    made->prompt_tokens = answer.prompt_tokens - answer.cached_tokens;
    answer.generation = std::move(made).value();
    const bool begun = answer.generation.finish != FinishReason::kCancelled || !answer.generation.tokens.empty();
    if (begun) {
      chat.unread = two_levels;
      chat.messages.push_back({"assistant", answer.generation.text});
    }
    return answer;
  });
}

Result<ChatAnswer> Conversation::ask(std::string text, const GenerateOptions& options, const TextCallback& on_text) {
  const std::size_t before = impl_->messages.size();
  impl_->messages.push_back({"user", std::move(text)});
  auto made = answer(options, on_text);
  if (impl_->messages.size() == before + 1) impl_->messages.pop_back();
  return made;
}

}  // namespace elrt
