// Settings of the label stage and of the tiny language model's stages.
#pragma once

#include <string>
#include <vector>

#include "label/decision_training.h"
#include "label/word_labels.h"
#include "tlm/tlm_settings.h"

namespace elastify {

struct LabelConfig {
  // Task files. The first half of every family's train tasks trains the body and the score-head, the second half the
  // decision-head: on prompts that the score-head has learned from, compression would look better than it is. A
  // language model that was trained on the train tasks' like answers nearly all of them, and of what it cannot do
  // nothing is learned there: with decisions_from "validation" the decision-head's tasks are the first half of the
  // validation tasks, and the second half validates.
  std::vector<std::string> train, validation, test;
  std::string decisions_from = "train";
  std::int64_t train_items = 40, validation_items = 20, test_items = 20;  // labelled, per family
  std::vector<std::int64_t> model_levels;                                 // empty: all of the artifact's
  std::vector<std::int64_t> prompt_levels = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
  std::string ranking = "score-head";  // how the prompts of labels are shortened; random: by random words
  bool phases = true;                  // answers of each decode level up to the model level too; false: of that alone
  std::int64_t repeats = 2;            // how often the comparison asks a task, each time in other words
  std::int64_t chunk_tasks = 8;        // what a process takes at a time

  bool wanted() const { return !train.empty(); }  // without tasks, a build has no TLM

  template <typename V>
  void visit(V& v) {
    v.texts("train", train, "task files; none: no tiny language model");
    v.texts("validation", validation, "task files that choose between heads");
    v.texts("test", test, "task files of the comparison");
    v.choice("decisions_from", decisions_from, {"train", "validation"},
             "where the decision-head's tasks come from: the second half of every family's train tasks, or the first "
             "half of the validation tasks, of which the second then validates");
    v.integer("train_items", train_items, 1, 1'000'000'000, "labelled tasks of each family");
    v.integer("validation_items", validation_items, 0, 1'000'000'000, "labelled tasks of each family");
    v.integer("test_items", test_items, 0, 1'000'000'000, "labelled tasks of each family");
    v.integers("model_levels", model_levels, 1, 100, "levels that are asked; empty: all of the artifact's");
    v.integers("prompt_levels", prompt_levels, 1, 100, "shares of the prompt's words, percent, rising, the last 100");
    v.choice(
        "ranking", ranking, {"score-head", "random"},
        "which words labelled prompts keep: those of the score-head, or random ones, to know what the score-head is "
        "worth (the artifact goes on compressing by its score-head)");
    v.flag("phases", phases,
           "answers on two levels are labelled too: a prompt read at one, the answer written at each up to it");
    v.integer("repeats", repeats, 1, 5,
              "how often the comparison asks a test task, each time with another cue, so that luck can be told from "
              "skill; 1: once, no bound without luck");
    v.integer("chunk_tasks", chunk_tasks, 1, 1 << 20, "tasks that a process takes at a time");
  }
};

struct TlmStageConfig {
  TlmSettings model;
  std::vector<std::string>
      pairs;  // texts with compressed versions, MeetingBank's layout; none: labels from the language model itself
  // Questions with a context whose sentences are ranked (question_pairs.h).
  std::vector<std::string> questions;
  std::int64_t question_items = 300;  // of each file
  std::int64_t word_items = 60;       // tasks of each family whose words are labelled
  std::int64_t word_level = 100;      // of the language model that labels them
  WordLabelConfig words;
  DecisionConfig decisions;
  std::string latency_table;  // of elastic-run calibrate; empty: a synthetic one (see decisions.h)

  template <typename V>
  void visit(V& v) {
    model.visit(v);
    v.texts("pairs", pairs,
            "texts with compressed versions, MeetingBank's layout; none: labels from the language model itself");
    v.texts("questions", questions,
            "files of questions with a context (Dolly, BoolQ, task files): their sentences are ranked by what leaving "
            "them out costs the language model");
    v.integer("question_items", question_items, 1, 1'000'000'000, "questions of each file, at even distances");
    v.integer("word_items", word_items, 1, 1'000'000'000, "tasks of each family whose words are labelled");
    v.integer("word_level", word_level, 1, 100, "of the language model that labels them");
    v.section("words", words, "labels of words");
    v.section("decisions", decisions, "training of decisions");
    v.text("latency_table", latency_table,
           "of elastic-run calibrate; empty: a synthetic one, of which only the proportions count");
  }
};

}  // namespace elastify
