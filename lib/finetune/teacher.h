// What the full level says of the training text: its likeliest next tokens at every position, computed once and kept on
// disk, for all levels, epochs and runs over the same text.
#pragma once

#include <memory>
#include <vector>

#include "base/files.h"
#include "checkpoint/safetensors.h"
#include "finetune/batches.h"
#include "finetune/row_losses.h"
#include "model/loss_head.h"

namespace elastify {

struct TeacherTask {
  StatesOf states;     // of the full level
  torch::Tensor head;  // of the states' type
  const TokenRows& text;
  torch::Tensor rows;  // int64, ascending, each once: those of the text that are asked for
  std::int64_t top = 64;
  double temperature = 1;
  fs::path directory;  // teacher/, made where it is missing
  std::string key;     // names everything that the values depend on
};

class Teacher {
 public:
  // Computes what the directory does not hold yet, a piece of rows at a time: a stopped run goes on after its last
  // piece. Pieces of another key are removed. Throws Error on damaged files and full disks.
  explicit Teacher(const TeacherTask& task);

  // Of the batch's counted positions, float32 (rounded to float16 on the disk); its rows are among those asked for.
  TopTokens top(const Batch& batch) const;
  double seconds() const { return seconds_; }  // that computing took, this time
  std::int64_t tokens() const;                 // positions that it holds

 private:
  struct Piece {
    StoredTensor ids, log;  // [rows, seq, k]
  };
  fs::path piece_path(std::int64_t piece) const;
  void compute_piece(std::int64_t piece);

  TeacherTask task_;
  std::int64_t rows_in_piece_ = 1, k_ = 0;
  std::vector<std::int64_t> slot_of_row_;  // -1: not asked for
  std::vector<Piece> pieces_;
  double seconds_ = 0;
};

}  // namespace elastify
