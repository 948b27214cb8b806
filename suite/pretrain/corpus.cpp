#include "pretrain/corpus.h"

#include <algorithm>
#include <random>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <elrt/tokenizer.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/dataset.h"
#include "pretrain/curriculum.h"
#include "pretrain/recall_documents.h"
#include "tasks/renaming.h"
#include "tasks/unit_draw.h"
#include "tasks/word_noise.h"

namespace elastify {
namespace {

std::vector<std::int64_t> encode(const elrt::Tokenizer& tokenizer, const std::string& text, bool begin) {
  auto ids = tokenizer.encode(text, {begin, false});
  if (!ids) fail_data("cannot tokenize a text of {} bytes: {}", text.size(), ids.failure().message);
  return {ids->begin(), ids->end()};
}

// The texts of one file, at most `limit` bytes of them.
std::vector<std::string> read_text_file(std::string name, std::int64_t limit) {
  if (name.starts_with('?')) {
    name.erase(0, 1);
    if (!fs::exists(name)) {
      spdlog::warn("{} is not there: training goes on without it", name);
      return {};
    }
  }
  std::vector<std::string> texts;
  for (const auto& document : read_documents(name)) {
    if (limit <= 0) break;
    limit -= static_cast<std::int64_t>(document.text.size());
    texts.push_back(whole_text(document));
  }
  return texts;
}

std::vector<std::string> read_texts(const PretrainDataConfig& config) {
  std::vector<std::string> texts;
  for (const auto& name : config.text) {
    auto more = read_text_file(name, config.text_limit_mib << 20);
    std::move(more.begin(), more.end(), std::back_inserter(texts));
  }
  return texts;
}

// The tokens [begin, end) of `answer` that hold what lies between the first and the last of `values` in its text.
AnswerSpan tokens_of_values(const elrt::Tokenizer& tokenizer, const std::vector<std::int64_t>& answer,
                            const std::vector<std::string>& values) {
  const std::vector<std::int32_t> ids(answer.begin(), answer.end());
  const auto text_to = [&](std::size_t count) { return tokenizer.decode(std::span(ids).first(count)); };
  const std::string text = text_to(ids.size());
  std::size_t first = text.size(), last = 0;
  for (const std::string& value : values) {
    const std::size_t at = text.find(value);
    if (at == std::string::npos) continue;
    first = std::min(first, at);
    last = std::max(last, at + value.size());
  }
  AnswerSpan span{0, ids.size()};
  if (last == 0) return span;
  while (span.begin + 1 < span.end && text_to(span.begin + 1).size() <= first) ++span.begin;
  while (span.end > span.begin + 1 && text_to(span.end - 1).size() >= last) --span.end;
  return span;
}

// "Who brings the cake?" becomes "cake": what is looked up stands right after what it is looked up with.
void bare_questions(TaskContext& context) {
  for (TaskItem& item : context.items) {
    if (item.hops > 1 || !item.query) continue;
    std::string given;
    for (const auto& [slot, value] : item.query->given)
      given += (given.empty() ? " " : ", ") + value;  // the space, for the tokens of a sentence
    item.question = given;
    item.options[item.answer] = fmt::format("{}", fmt::join(item.option_values[item.answer], ", "));
  }
}

// Leaves a share of the tokens outside of answers in the loss, each weighing more: the mean stays, the head works less.
void thin_context(WeightedDocument& document, double share, std::mt19937_64& random) {
  if (share >= 1) return;
  auto answer = document.answers.begin();
  for (std::size_t i = 0; i < document.weights.size(); ++i) {
    while (answer != document.answers.end() && i >= answer->end) ++answer;
    if (answer != document.answers.end() && i >= answer->begin) continue;
    document.weights[i] = chance(share, random) ? document.weights[i] / static_cast<float>(share) : 0;
  }
}

std::vector<std::string> wanted_families(const PretrainDataConfig& config, const TaskBank& bank) {
  std::vector<std::string> all;
  for (const auto& family : bank.families) all.push_back(family.name);
  if (config.families.empty()) return all;
  for (const auto& name : config.families) {
    if (std::find(all.begin(), all.end(), name) == all.end())
      fail_usage("data.families: the task bank has no family '{}'", name);
  }
  return config.families;
}

}  // namespace

std::vector<std::string> tokenizer_texts(const PretrainDataConfig& config, const TaskBank* bank, std::uint64_t seed) {
  std::vector<std::string> texts = read_texts(config);
  if (bank != nullptr) {
    const TaskGenerator tasks(*bank);
    const auto families = wanted_families(config, *bank);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(config.tokenizer_contexts); ++i) {
      TaskContext context =
          tasks.generate(Split::kTrain, families[i % families.size()], derive_seed(seed, "tokenizer"), i, {});
      std::mt19937_64 random(derive_seed(seed, "tokenizer names", i));
      rename_values(context, *bank, config.rename_share, random);
      std::string text = context.text;
      for (const auto& item : context.items)
        text += further_prompt(item) + option_behind_prompt(item.options[item.answer]);
      texts.push_back(std::move(text));
    }
  }
  if (texts.empty()) fail_usage("pretrain: nothing to read: set data.task_bank or data.text");
  return texts;
}

Corpus::Corpus(const PretrainDataConfig& config, const TaskBank* bank, const elrt::Tokenizer& tokenizer,
               std::size_t max_tokens, std::uint64_t seed)
    : config_(config), tokenizer_(tokenizer), max_tokens_(max_tokens), seed_(seed) {
  if (bank != nullptr) {
    tasks_ = std::make_unique<TaskGenerator>(*bank);
    families_ = wanted_families(config, *bank);
  }
  const auto piece = std::min(static_cast<std::size_t>(config.text_piece_tokens), max_tokens);
  for (const auto& text : read_texts(config)) {
    const auto ids = encode(tokenizer, text, true);
    for (std::size_t at = 0; at + 2 <= ids.size(); at += piece) {
      pieces_.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(at),
                           ids.begin() + static_cast<std::ptrdiff_t>(std::min(at + piece, ids.size())));
    }
  }
  if (tasks_ == nullptr && pieces_.empty()) fail_usage("pretrain: nothing to read: set data.task_bank or data.text");
}

WeightedDocument Corpus::training(std::uint64_t index, double level) const {
  std::mt19937_64 random(derive_seed(seed_, "mix", index));
  const double recall = config_.recall_share + (config_.recall_kept - config_.recall_share) * level;
  if (tasks_ != nullptr && chance(recall, random)) return recall_document_at(index, level);
  const bool text = tasks_ == nullptr || (!pieces_.empty() && chance(config_.text_share, random));
  if (text) return text_document(index);
  const std::string& family = families_[random() % families_.size()];
  const Difficulty difficulty = difficulty_at(level, config_, random);
  TaskContext context = tasks_->generate(Split::kTrain, family, seed_, index, difficulty);
  if (config_.word_noise > 0) add_word_noise(context, config_.word_noise * unit_draw(random), random);
  rename_values(context, tasks_->bank(), config_.rename_share, random);
  if (chance(config_.bare_share * (1 - level), random)) bare_questions(context);
  WeightedDocument document = task_document(context);
  thin_context(document, config_.context_share, random);
  return document;
}

std::vector<WeightedDocument> Corpus::held_out() const {
  std::vector<WeightedDocument> documents;
  if (tasks_ == nullptr) return documents;
  Difficulty difficulty;
  difficulty.max_questions = 1;
  for (const auto& family : families_) {
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(config_.held_out_contexts); ++i) {
      documents.push_back(
          task_document(tasks_->generate(Split::kValidation, family, derive_seed(seed_, "held out"), i, difficulty)));
    }
  }
  for (std::uint64_t i = 0; config_.recall_share > 0 && i < static_cast<std::uint64_t>(config_.held_out_contexts);
       ++i) {
    documents.push_back(recall_document_at(~i, 1));  // indexes that training does not reach
  }
  return documents;
}

// BOS context \n question \nA: answer EOS \n question \nA: answer EOS ...: the first question stands as in evaluation.
WeightedDocument Corpus::task_document(const TaskContext& context) const {
  WeightedDocument document;
  document.family = context.family;
  for (const auto& item : context.items) {
    const bool first = document.ids.empty();
    const auto prompt = encode(tokenizer_, first ? task_prompt(item) : further_prompt(item), first);
    auto answer = encode(tokenizer_, option_behind_prompt(item.options[item.answer]), false);
    if (tokenizer_.eos_id() >= 0) answer.push_back(tokenizer_.eos_id());
    if (!first && document.ids.size() + prompt.size() + answer.size() > max_tokens_) break;
    document.ids.insert(document.ids.end(), prompt.begin(), prompt.end());
    document.weights.resize(document.ids.size(), static_cast<float>(config_.context_weight));
    const std::size_t at = document.ids.size();
    const AnswerSpan value = tokens_of_values(
        tokenizer_, answer, item.option_values.empty() ? std::vector<std::string>{} : item.option_values[item.answer]);
    document.answers.push_back({at, at + answer.size()});
    document.values.push_back({at + value.begin, at + value.end});
    document.hops.push_back(item.hops);
    document.ids.insert(document.ids.end(), answer.begin(), answer.end());
    document.weights.resize(document.ids.size(), 1);
  }
  if (document.ids.size() > max_tokens_) {
    fail_usage("a task of {} tokens does not fit model.max_positions ({}): raise it", document.ids.size(), max_tokens_);
  }
  document.weights[0] = 0;
  return document;
}

WeightedDocument Corpus::recall_document_at(std::uint64_t index, double level) const {
  return recall_document(tokenizer_, draw_recall_form(derive_seed(seed_, "recall form", index), level),
                         derive_seed(seed_, "recall", index), max_tokens_);
}

WeightedDocument Corpus::text_document(std::uint64_t index) const {
  WeightedDocument document;
  document.ids = pieces_[derive_seed(seed_, "text", index) % pieces_.size()];
  document.weights.assign(document.ids.size(), 1);
  document.weights[0] = 0;
  return document;
}

}  // namespace elastify
