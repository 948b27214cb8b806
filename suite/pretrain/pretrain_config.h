// Settings of `elastify-suite pretrain`: one JSON file, a section per concern.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"

namespace elastify {

// Shape of the model; Llama architecture, tied embeddings.
struct PretrainModelConfig {
  std::int64_t vocab_size = 4096;  // of the tokenizer that is trained; ignored where one is given
  std::int64_t hidden_size = 256;
  std::int64_t intermediate_size = 704;
  std::int64_t num_layers = 8;
  std::int64_t num_heads = 8;
  std::int64_t num_kv_heads = 4;
  std::int64_t head_dim = 0;  // 0: hidden_size / num_heads
  std::int64_t max_positions = 1024;
  double rope_theta = 10000;
  bool recall_heads = true;  // begin with heads that recall, see recall_heads.h

  template <typename V>
  void visit(V& v) {
    v.integer("vocab_size", vocab_size, 300, 1 << 20);
    v.integer("hidden_size", hidden_size, 8, 1 << 16);
    v.integer("intermediate_size", intermediate_size, 8, 1 << 18);
    v.integer("num_layers", num_layers, 1, 1024);
    v.integer("num_heads", num_heads, 1, 1024);
    v.integer("num_kv_heads", num_kv_heads, 1, 1024);
    v.integer("head_dim", head_dim, 0, 4096);
    v.integer("max_positions", max_positions, 16, 1 << 20);
    v.number("rope_theta", rope_theta, 100, 1e9);
    v.flag("recall_heads", recall_heads);
  }
};

// What is read. Task contexts are generated as training goes and never repeat; text is read in shuffled order.
struct PretrainDataConfig {
  std::string task_bank;              // folder of the task suite's banks, "" for none
  std::vector<std::string> families;  // of the suite; empty: all
  std::int64_t questions = 6;         // at most, over one context
  double rename_share = 0.5;          // of a training context's named values that become invented names
  double word_noise = 0;  // of a context's words that no fact needs, the share that goes or is replaced: from 0 to
                          // this, drawn for every document
  double context_weight = 0.25;  // loss weight of a context's and a question's tokens; an answer's weigh 1
  double context_share =
      1;  // of those tokens that count, drawn for every document: the head's work is spared on the others
  double curriculum_right =
      0.7;  // share of right answers at which contexts grow by a step, see corpus.h; 0: full length from the start
  double curriculum_step =
      0.05;  // from 0, curriculum_facts, to 1, the full length, in every pool of documents that was answered so well
  double curriculum_share = 0.6;      // share of the steps after which contexts have their full length in any case
  std::int64_t curriculum_facts = 2;  // of a context, at most, at the start
  double one_relation =
      0;  // share of the contexts at the start whose facts are all of one relation; none at the curriculum's end
  double read_back = 0.25;  // of the questions that read back, see tasks/generator.h, the share that may be asked
  double two_hops = 0.25;   // of the contexts, the share drawn for a question of two hops
  double hops_from = 0.4;   // place in the curriculum from which they are
  double bare_share = 0;  // of the contexts at the start, the share whose questions are only what they are asked with:
                          // "cake"; none at the end
  double easy_share = 0;  // share of the contexts that are drawn easier than the curriculum stands
  double recall_share = 0.3;      // of the documents at the start that are pairs of random tokens to recall
  double recall_kept = 0;         // the same at the curriculum's end, and from there on
  std::vector<std::string> text;  // files as elastify's data settings read them; "?" in front: left out where missing
  double text_share = 0.1;        // share of the documents that are pieces of text
  std::int64_t text_piece_tokens = 192;
  std::int64_t text_limit_mib = 64;         // read at most so much of every file
  std::int64_t tokenizer_contexts = 20000;  // task contexts from which a tokenizer is trained, next to the text
  std::int64_t held_out_contexts = 100;     // of the validation split, per family, for the figures on the way

  template <typename V>
  void visit(V& v) {
    v.text("task_bank", task_bank);
    v.texts("families", families);
    v.integer("questions", questions, 1, 64);
    v.number("rename_share", rename_share, 0, 1);
    v.number("word_noise", word_noise, 0, 1);
    v.number("context_weight", context_weight, 0, 1);
    v.number("context_share", context_share, 1e-3, 1);
    v.integer("curriculum_facts", curriculum_facts, 2, 1000);
    v.number("one_relation", one_relation, 0, 1);
    v.number("read_back", read_back, 0, 1);
    v.number("two_hops", two_hops, 0, 1);
    v.number("hops_from", hops_from, 0, 1);
    v.number("bare_share", bare_share, 0, 1);
    v.number("easy_share", easy_share, 0, 1);
    v.number("recall_share", recall_share, 0, 1);
    v.number("recall_kept", recall_kept, 0, 1);
    v.number("curriculum_right", curriculum_right, 0, 1);
    v.number("curriculum_step", curriculum_step, 1e-6, 1);
    v.number("curriculum_share", curriculum_share, 0, 1);
    v.texts("text", text);
    v.number("text_share", text_share, 0, 1);
    v.integer("text_piece_tokens", text_piece_tokens, 2, 1 << 20);
    v.integer("text_limit_mib", text_limit_mib, 1, 1 << 20);
    v.integer("tokenizer_contexts", tokenizer_contexts, 0, 1'000'000'000);
    v.integer("held_out_contexts", held_out_contexts, 1, 1'000'000);
  }
};

struct PretrainConfig {
  std::string about;      // what the file is for and the command that runs it
  std::string tokenizer;  // its file or folder; empty: trained first, on the same data
  std::int64_t seed = 1;
  std::int64_t threads = 0;  // of LibTorch, 0: all cores. Results are bit-identical for equal seed, threads and device
  std::string device = "cpu";
  std::string dtype = "bfloat16";  // of the checkpoint that is written; training keeps float32 weights
  std::string products =
      "auto";  // of matrices: "float32", "bfloat16", or bfloat16 where the device multiplies it natively

  std::string init;  // a checkpoint's folder to go on from, with its tokenizer; empty: weights drawn from the seed

  std::int64_t steps = 1000;
  std::int64_t stop_after = 0;       // ends before the schedule does, after so many steps; 0: never
  std::int64_t batch_tokens = 4096;  // a pass, padding included
  std::int64_t passes = 1;           // a step, each a batch of its own
  std::int64_t workers = 1;  // passes at a time, each on `threads` threads: faster on a CPU than threads inside a pass
  std::string optimizer = "muon";  // of the blocks' matrices: "muon" or "adamw"; embedding and norms use AdamW
  double momentum = 0.95;          // of Muon
  double learning_rate = 2e-3;
  double embedding_rate = 1;  // of the embedding, relative to learning_rate
  std::int64_t warmup_steps = 100;
  double final_rate = 0.05;  // the cosine ends at this share of the learning rate
  double clip_norm = 1;
  double weight_decay = 0.1;  // of matrices; norms have none
  double beta1 = 0.9, beta2 = 0.98;
  std::int64_t eval_every = 0;  // steps; 0: twenty times
  std::int64_t log_every = 10;
  double checkpoint_seconds = 120;

  PretrainModelConfig model;
  PretrainDataConfig data;

  template <typename V>
  void visit(V& v) {
    v.text("about", about);
    v.text("tokenizer", tokenizer);
    v.integer("seed", seed, 0, INT64_MAX);
    v.integer("threads", threads, 0, 4096);
    v.text("device", device);
    v.choice("dtype", dtype, {"bfloat16", "float16", "float32"});
    v.text("init", init);
    v.choice("products", products, {"auto", "float32", "bfloat16"});

    v.integer("steps", steps, 1, 1'000'000'000);
    v.integer("stop_after", stop_after, 0, 1'000'000'000);
    v.integer("batch_tokens", batch_tokens, 16, 1 << 24);
    v.integer("passes", passes, 1, 4096);
    v.integer("workers", workers, 1, 1024);
    v.choice("optimizer", optimizer, {"muon", "adamw"});
    v.number("momentum", momentum, 0, 0.9999);
    v.number("learning_rate", learning_rate, 1e-9, 10);
    v.number("embedding_rate", embedding_rate, 0, 100);
    v.integer("warmup_steps", warmup_steps, 0, 1'000'000'000);
    v.number("final_rate", final_rate, 0, 1);
    v.number("clip_norm", clip_norm, 0, 1e6);
    v.number("weight_decay", weight_decay, 0, 10);
    v.number("beta1", beta1, 0, 0.9999);
    v.number("beta2", beta2, 0, 0.999999);
    v.integer("eval_every", eval_every, 0, 1'000'000'000);
    v.integer("log_every", log_every, 1, 1'000'000'000);
    v.number("checkpoint_seconds", checkpoint_seconds, 0, 1e7);
    v.section("model", model);
    v.section("data", data);
  }
};

// Reads `path` and lays the overrides (KEY=VALUE) over it. Throws Error(kUsage) with every problem at once.
PretrainConfig load_pretrain_config(const std::filesystem::path& path, const std::vector<std::string>& overrides);

}  // namespace elastify
