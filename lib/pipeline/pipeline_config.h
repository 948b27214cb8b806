// The whole pipeline's settings: one JSON file, one section per stage.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "finetune/finetune_config.h"
#include "label/label_config.h"
#include "pack/pack.h"
#include "profile/anchor.h"
#include "profile/importance.h"
#include "reorder/make_plan.h"

namespace elastify {

// Where text comes from. Paths are relative to the folder in which the command runs.
struct DataConfig {
  std::vector<std::string> calibration;  // for profile and anchors; none: the training side of recovery
  std::vector<std::string> recovery;     // for finetune; none: text sampled from the model itself
  std::vector<std::string> held_out;     // for finetune's evaluation; none: a share of recovery that nothing else reads
  double held_out_share = 0.05;
  bool pack = true;  // documents one after the other in every row; false: a row each, for tasks and the like
  std::int64_t sample_documents = 2048;  // sampled where there is no text
  std::int64_t sample_tokens = 256;      // longest sampled document
  double sample_temperature = 1;         // 1: the model's own distribution

  template <typename V>
  void visit(V& v) {
    v.texts("calibration", calibration, "text for profile and anchors; none: the training side of recovery");
    v.texts("recovery", recovery, "text for finetune; none: sampled from the model itself");
    v.texts("held_out", held_out, "text for finetune's evaluation; none: a share of recovery that nothing else reads");
    v.number("held_out_share", held_out_share, 0.001, 0.5, "of the recovery documents, where held_out is empty");
    v.flag("pack", pack, "documents one after the other in every row; false: a row each, for tasks and the like");
    v.integer("sample_documents", sample_documents, 2, std::int64_t{1} << 32,
              "documents to sample where there is no text");
    v.integer("sample_tokens", sample_tokens, 2, 1 << 20, "longest sampled document");
    v.number("sample_temperature", sample_temperature, 0.01, 10, "1: the model's own distribution");
  }
};

struct PipelineConfig {
  std::string about;       // what the file is for and the command that runs it
  std::string checkpoint;  // a Hugging Face directory or a llama2.c file
  std::string tokenizer;   // its file or folder; empty: next to the checkpoint
  std::int64_t seed = 1;
  std::int64_t threads = 0;  // of LibTorch; 0: all cores, one for tiny models. Results are bit-identical for equal
                             // seed, threads and device
  std::string device = "cpu";
  DataConfig data;
  ProfileConfig profile;
  AnchorsConfig anchors;
  PlanConfig reorder;
  FinetuneConfig finetune;
  PackConfig pack;
  LabelConfig label;
  TlmStageConfig tlm;

  template <typename V>
  void visit(V& v) {
    v.text("about", about, "what the file is for and the command that runs it; changes nothing");
    v.text("checkpoint", checkpoint, "a Hugging Face folder, a .gguf file or a llama2.c file");
    v.text("tokenizer", tokenizer, "the tokenizer's file or folder; empty: next to the checkpoint");
    v.integer("seed", seed, 0, INT64_MAX, "of everything that is drawn");
    v.integer(
        "threads", threads, 0, 4096,
        "of LibTorch; 0: all cores, one for tiny models; results are the same bits for equal seed, threads and device");
    v.text("device", device, "cpu, cuda or cuda:N");
    v.section("data", data, "which text is read");
    v.section("profile", profile, "importance of units");
    v.section("anchors", anchors, "layers that are kept whole");
    v.section("reorder", reorder, "the order of units and the plan of levels");
    v.section("finetune", finetune, "recovery of every level with an adapter");
    v.section("pack", pack, "the artifact");
    v.section("label", label,
              "what the language model answers under every decision; without tasks there is no tiny language model");
    v.section("tlm", tlm, "the tiny language model");
  }
};

// Reads `path` and lays the overrides (KEY=VALUE) over it. Throws Error(kUsage) with every problem at once.
PipelineConfig load_pipeline_config(const fs::path& path, const std::vector<std::string>& overrides);

// configs/README.md, from describe_config<PipelineConfig>().
std::string settings_readme(const json& keys);

}  // namespace elastify
