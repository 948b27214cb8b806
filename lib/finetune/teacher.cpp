#include "finetune/teacher.h"

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/stopwatch.h"

namespace elastify {
namespace {

constexpr std::int64_t kPieceTokens = 32768;  // positions a file
constexpr std::int64_t kPassTokens = 2048;    // a pass

// The pieces of another text, model or setting are of no use.
void open_directory(const fs::path& directory, const std::string& key) {
  const fs::path mark = directory / "key.json";
  std::error_code error;
  if (fs::exists(mark, error) && read_json(mark) == nlohmann::json{{"key", key}}) return;
  fs::remove_all(directory, error);
  fs::create_directories(directory, error);
  if (error) fail(ErrorCode::kInternal, "cannot create {}: {}", directory.string(), error.message());
  write_json(mark, {{"key", key}});
}

}  // namespace

Teacher::Teacher(const TeacherTask& task)
    : task_(task),
      k_(std::min(task.top, task.head.size(0))),
      slot_of_row_(static_cast<std::size_t>(task.text.rows()), -1) {
  const Stopwatch watch;
  const std::int64_t rows = task_.rows.size(0);
  for (std::int64_t slot = 0; slot < rows; ++slot)
    slot_of_row_[static_cast<std::size_t>(task_.rows[slot].item<std::int64_t>())] = slot;
  rows_in_piece_ = std::max<std::int64_t>(1, kPieceTokens / task_.text.seq());
  open_directory(task_.directory, task_.key);
  const std::int64_t pieces = (rows + rows_in_piece_ - 1) / rows_in_piece_;
  Progress progress("teacher", rows, "rows");
  bool computed = false;
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    if (!fs::exists(piece_path(piece))) {
      if (!computed) progress.resume_at(piece * rows_in_piece_);
      compute_piece(piece);
      computed = true;
      progress.update(std::min(rows, (piece + 1) * rows_in_piece_));
      stop_if_interrupted();
    }
    const auto tensors = open_safetensors(piece_path(piece));
    const auto ids = tensors.find("ids"), log = tensors.find("log");
    const std::int64_t here = std::min(rows_in_piece_, rows - piece * rows_in_piece_);
    const std::vector<std::int64_t> shape = {here, task_.text.seq(), k_};
    if (ids == tensors.end() || log == tensors.end() || ids->second.shape != shape || log->second.shape != shape ||
        ids->second.dtype != torch::kInt32 || log->second.dtype != torch::kFloat16) {
      fail_data("{}: expected ids and log of shape [{}]; remove the folder and run the finetune stage again",
                piece_path(piece).string(), fmt::join(shape, ", "));
    }
    pieces_.push_back({ids->second, log->second});
  }
  seconds_ = computed ? watch.seconds() : 0;
  task_.states = nullptr;  // the full level's weights are not needed any more
}

fs::path Teacher::piece_path(std::int64_t piece) const {
  return task_.directory / fmt::format("{:05}.safetensors", piece);
}

void Teacher::compute_piece(std::int64_t piece) {
  const torch::NoGradGuard no_grad;
  const std::int64_t begin = piece * rows_in_piece_, seq = task_.text.seq(),
                     rows = std::min(rows_in_piece_, task_.rows.size(0) - begin);
  torch::Tensor ids = torch::zeros({rows * seq, k_}, torch::kInt32),
                log = torch::zeros({rows * seq, k_}, torch::kFloat16);
  const std::int64_t step = std::max<std::int64_t>(1, kPassTokens / seq);
  for (std::int64_t row = 0; row < rows; row += step) {
    stop_if_interrupted();  // the piece begins again
    const std::int64_t count = std::min(step, rows - row);
    const Batch batch = make_batch(task_.text, task_.rows.narrow(0, begin + row, count), task_.head.device());
    if (batch.counted() == 0) continue;
    const TopTokens top =
        top_tokens(counted_positions(task_.states(batch.inputs), batch), task_.head, k_, task_.temperature);
    torch::Tensor to_ids = ids.narrow(0, row * seq, count * seq), to_log = log.narrow(0, row * seq, count * seq);
    const auto positions =
        batch.positions.defined() ? batch.positions.cpu() : torch::arange(count * seq, torch::kInt64);
    to_ids.index_copy_(0, positions, top.ids.cpu());
    to_log.index_copy_(0, positions, top.log.to(torch::kCPU, torch::kFloat16));
  }
  write_safetensors(piece_path(piece), {{"ids", ids.view({rows, seq, k_})}, {"log", log.view({rows, seq, k_})}});
}

TopTokens Teacher::top(const Batch& batch) const {
  const torch::Tensor rows = batch.rows.cpu();
  std::vector<torch::Tensor> ids, log;
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    const std::int64_t row = rows[i].item<std::int64_t>(), slot = slot_of_row_.at(static_cast<std::size_t>(row));
    require(slot >= 0, "the teacher was not asked about row {}", row);
    const Piece& piece = pieces_[static_cast<std::size_t>(slot / rows_in_piece_)];
    ids.push_back(piece.ids.view()[slot % rows_in_piece_].clone());
    log.push_back(piece.log.view()[slot % rows_in_piece_].to(torch::kFloat32));
    // Read once an epoch: the pages need not stay.
    for (const StoredTensor* tensor : {&piece.ids, &piece.log}) tensor->file->release(tensor->offset, tensor->bytes);
  }
  const auto device = task_.head.device();
  const TopTokens top{torch::cat(ids), torch::cat(log)};
  if (!batch.positions.defined()) return {top.ids.to(device), top.log.to(device)};
  const torch::Tensor positions = batch.positions.cpu();
  return {top.ids.index_select(0, positions).to(device), top.log.index_select(0, positions).to(device)};
}

std::int64_t Teacher::tokens() const { return task_.rows.size(0) * task_.text.seq(); }

}  // namespace elastify
