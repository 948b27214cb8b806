#include <algorithm>
#include <ctime>

#include "base/guarded.hpp"
#include "base/utf8.hpp"
#include "chat/chat_values.hpp"
#include "elrt/chat.hpp"
#include "elrt/tokenizer.hpp"
#include "jinja/parser.hpp"
#include "jinja/render.hpp"

namespace elrt {
namespace {

constexpr std::size_t kMaxTemplateBytes = std::size_t{1} << 20;

Failure to_failure(const jinja::Refusal& refusal) {
  if (refusal.kind == jinja::Refusal::Kind::kRaised)
    return invalid_argument("the model's chat template refuses these messages: " + refusal.message);
  return bad_data("the chat template" + (refusal.line > 0 ? ", line " + std::to_string(refusal.line) : "") + ": " +
                  refusal.message);
}

Result<std::tm> local_time(std::int64_t seconds) {
  const std::time_t time = seconds != 0 ? static_cast<std::time_t>(seconds) : std::time(nullptr);
  std::tm local{};
  if (localtime_r(&time, &local) == nullptr)
    return invalid_argument("chat: no date at " + std::to_string(seconds) + " s");
  return local;
}

// bos_token and the like: names of tokens, as transformers hands them over.
void add_token_names(const TokenizerSpec& spec, jinja::Variables& variables) {
  const auto add = [&](const char* name, std::int32_t id) {
    if (id >= 0 && static_cast<std::size_t>(id) < spec.tokens.size())
      variables.emplace_back(name, jinja::Text(spec.tokens[static_cast<std::size_t>(id)]));
  };
  add("bos_token", spec.bos_id);
  add("eos_token", spec.eos_id);
  add("unk_token", spec.unk_id);
  add("pad_token", spec.pad_id);
}

}  // namespace

struct ChatTemplate::Impl {
  std::shared_ptr<const Tokenizer> tokenizer;
  jinja::Block block;
  ContentStyle style;
  std::vector<TokenId> turn_ends;

  Result<ChatText> render(std::span<const ChatMessage> messages, const ChatTemplateOptions& options,
                          const ContentStyle& as) const;
  Result<std::vector<TokenId>> encode(const ChatText& text) const;
  void find_style();
  void find_turn_end();
};

Result<ChatText> ChatTemplate::Impl::render(std::span<const ChatMessage> messages, const ChatTemplateOptions& options,
                                            const ContentStyle& as) const {
  auto values = message_values(messages, as);
  if (!values) return values.take_failure();
  auto now = local_time(options.now);
  if (!now) return now.take_failure();
  jinja::Variables variables = {{"messages", std::move(values).value()},
                                {"add_generation_prompt", options.add_generation_prompt},
                                {"tools", jinja::None{}},
                                {"documents", jinja::None{}}};
  add_token_names(tokenizer->spec(), variables);
  if (!options.tools.empty()) {
    auto tools = parse_argument(options.tools, "the tools", false);
    if (!tools) return tools.take_failure();
    variables[2].second = to_value(tools.value());
  }
  if (!options.variables.empty()) {
    auto more = parse_argument(options.variables, "the variables", true);
    if (!more) return more.take_failure();
    for (const json::Member& member : *more->as<std::vector<json::Member>>()) {
      std::erase_if(variables, [&](const auto& known) { return known.first == member.key; });
      variables.emplace_back(member.key, to_value(member.value));
    }
  }
  try {
    jinja::Text made = jinja::render(block, variables, now.value());
    return ChatText{std::move(made.bytes), std::move(made.marks)};
  } catch (const jinja::Refusal& refusal) {
    return to_failure(refusal);
  }
}

Result<std::vector<TokenId>> ChatTemplate::Impl::encode(const ChatText& text) const {
  EncodeOptions options;
  options.add_bos = false;
  options.parse_special = true;
  options.foreign = text.foreign;
  return tokenizer->encode(text.text, options);
}

// Templates differ in what they take as a content, and none says so: they are tried.
void ChatTemplate::Impl::find_style() {
  constexpr char kProbe[] = "An unlikely sentence.";
  const std::vector<ChatMessage> asked = {{"user", kProbe}};
  const auto shows = [&](bool parts) {
    const auto made = render(asked, {}, {parts});
    return made && made->text.find(kProbe) != std::string::npos;
  };
  style.parts = !shows(false) && shows(true);
  const std::string call =
      R"({"tool_calls": [{"type": "function", "id": "call00001", "function": {"name": "f", "arguments": {}}}]})";
  const std::vector<ChatMessage> called = {{"user", kProbe}, {"assistant", "", call, true}};
  for (const auto null : {ContentStyle::Null::kMissing, ContentStyle::Null::kNone, ContentStyle::Null::kEmpty}) {
    style.null = null;
    const auto made = render(called, {}, style);
    if (made && made->text.find("None") == std::string::npos) return;
  }
}

void ChatTemplate::Impl::find_turn_end() {
  const std::vector<ChatMessage> said = {{"user", "a"}, {"assistant", "An unlikely sentence."}};
  ChatTemplateOptions options;
  options.add_generation_prompt = false;
  const auto made = render(said, options, style);
  if (!made) return;
  const std::size_t last = made->text.rfind(said[1].content);
  if (last == std::string::npos) return;
  const std::string rest = made->text.substr(last + said[1].content.size());
  const std::size_t begin = rest.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return;
  const auto ids = encode({rest.substr(begin), std::string(rest.size() - begin, jinja::Text::kOwn)});
  if (!ids || ids->empty()) return;
  const TokenId first = ids->front();
  if (tokenizer->is_special(first) && first != tokenizer->bos_id()) turn_ends.push_back(first);
}

ChatTemplate::ChatTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Result<ChatTemplate> ChatTemplate::create(std::shared_ptr<const Tokenizer> tokenizer) {
  return guarded("read the chat template", [&]() -> Result<ChatTemplate> {
    if (tokenizer == nullptr) return invalid_argument("a chat template needs a tokenizer");
    const std::string& source = tokenizer->spec().chat_template;
    if (source.empty()) {
      return bad_data(
          "the model has no chat template (tokenizer.chat_template), so it cannot be talked to; continue texts with "
          "it, "
          "or pack it from a checkpoint that has one");
    }
    if (source.size() > kMaxTemplateBytes) {
      return bad_data("the chat template has " + std::to_string(source.size()) + " bytes, expected at most " +
                      std::to_string(kMaxTemplateBytes));
    }
    if (!utf8::is_valid(source)) return bad_data("the chat template is not UTF-8");
    auto impl = std::make_shared<Impl>();
    impl->tokenizer = std::move(tokenizer);
    try {
      impl->block = jinja::parse(source);
    } catch (const jinja::Refusal& refusal) {
      return to_failure(refusal);
    }
    impl->find_style();
    impl->find_turn_end();
    return ChatTemplate(std::move(impl));
  });
}

Result<ChatText> ChatTemplate::render(std::span<const ChatMessage> messages, const ChatTemplateOptions& options) const {
  return guarded("apply the chat template", [&] { return impl_->render(messages, options, impl_->style); });
}

Result<std::vector<TokenId>> ChatTemplate::tokens(std::span<const ChatMessage> messages,
                                                  const ChatTemplateOptions& options) const {
  return guarded("apply the chat template", [&]() -> Result<std::vector<TokenId>> {
    auto text = impl_->render(messages, options, impl_->style);
    if (!text) return text.take_failure();
    return impl_->encode(text.value());
  });
}

const std::vector<TokenId>& ChatTemplate::turn_ends() const { return impl_->turn_ends; }

}  // namespace elrt
