#include "elrt/artifact.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <unordered_map>

#include "base/guarded.hpp"
#include "elrt/format.h"
#include "elrt/tlm_shape.hpp"
#include "elrt/tokenizer.hpp"
#include "elrt/wordpiece.hpp"
#include "format/foreign_file.hpp"
#include "model/level_view.hpp"
#include "model/model.hpp"
#include "model/model_checks.hpp"
#include "model/tlm_model.hpp"

namespace elrt {
namespace {

// Reads, checks and binds; `model` holds the mapped file already.
Result<void> load_model(Model* model) {
  auto header = read_gguf_header(model->file.bytes());
  if (!header) return header.take_failure();
  model->header = std::move(header).value();
  if (auto done = read_shape(model->header.metadata, &model->shape); !done) return done;
  if (auto done = read_levels(model); !done) return done;
  if (auto done = read_tlm_shape(model->header.metadata, &model->tlm); !done) return done;
  if (auto done = bind_tensors(model); !done) return done;
  for (std::size_t i = 0; i < model->levels.size(); ++i)
    model->levels[i].bytes_per_token = count_bytes_per_token(LevelView(*model, i));
  return {};
}

float per_level(const gguf::Metadata& metadata, const char* key, std::size_t index) {
  const auto* values = gguf::find<std::vector<float>>(metadata, key);
  return values == nullptr || index >= values->size() ? std::numeric_limits<float>::quiet_NaN() : (*values)[index];
}

LevelInfo describe_level(const Model& model, std::size_t index) {
  const gguf::Metadata& metadata = model.header.metadata;
  const LevelData& level = model.levels[index];
  const LevelView view(model, index);
  LevelInfo info;
  info.level = level.percent;
  info.kv_groups = level.kv_groups;
  info.neurons = level.neurons;
  info.block_ratio = per_level(metadata, format::key::kBlockRatio, index);
  info.total_ratio = per_level(metadata, format::key::kTotalRatio, index);
  info.loss_before = per_level(metadata, format::key::kLossBefore, index);
  info.loss_after = per_level(metadata, format::key::kLossAfter, index);
  info.adapter_rank = level.adapter_rank;
  info.adapter_scale = level.adapter_scale;
  info.adapter_shared = level.adapter_shared;
  info.adapter_bytes = view.adapter_bytes();
  info.adapter_weights = view.adapter_weights();
  info.bytes_per_token = view.bytes_per_token();
  return info;
}

}  // namespace

struct Artifact::Impl {
  std::filesystem::path path;
  std::shared_ptr<const Model> model;
  std::vector<LevelInfo> levels;
  std::unordered_map<std::string_view, const TensorInfo*> tensors_by_name;

  std::mutex tokenizer_mutex;
  std::shared_ptr<const Tokenizer> tokenizer;  // guarded by tokenizer_mutex, built at the first call
  std::shared_ptr<const WordPiece> wordpiece;  // likewise
};

Artifact::Artifact(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Artifact::Artifact(Artifact&&) noexcept = default;
Artifact& Artifact::operator=(Artifact&&) noexcept = default;
Artifact::~Artifact() = default;

Result<Artifact> Artifact::open(const std::filesystem::path& path) {
  return guarded("open the artifact", [&]() -> Result<Artifact> {
    if (std::error_code error; std::filesystem::is_directory(path, error)) {
      return bad_data("cannot open artifact '" + path.string() +
                      "': it is a folder; name the artifact in it, such as model.gguf of a run directory");
    }
    auto file = MappedFile::open(path);
    if (!file) return file.take_failure();
    auto model =
        std::make_shared<Model>(Model{std::move(file).value(), {}, {}, {}, {}, nullptr, {}, {}, {}, {}, {}, {}});
    if (auto loaded = load_model(model.get()); !loaded) {
      Failure failure = loaded.take_failure();
      const std::string foreign = describe_foreign_file(model->file.bytes());
      failure.message = "cannot open artifact '" + path.string() + "': " +
                        (foreign.empty() ? failure.message + "; pack it again with this version" : "it is " + foreign);
      return failure;
    }
    auto impl = std::make_shared<Impl>();
    impl->path = path;
    impl->model = std::move(model);
    for (std::size_t i = 0; i < impl->model->levels.size(); ++i)
      impl->levels.push_back(describe_level(*impl->model, i));
    for (const TensorInfo& tensor : impl->model->header.tensors) impl->tensors_by_name.emplace(tensor.name, &tensor);
    return Artifact(std::move(impl));
  });
}

const std::filesystem::path& Artifact::path() const { return impl_->path; }
std::uint64_t Artifact::file_bytes() const { return impl_->model->file.bytes().size(); }

std::uint64_t Artifact::identity() const {
  const auto bytes = impl_->model->file.bytes();
  std::uint64_t header = bytes.size();
  for (const TensorInfo& tensor : tensors()) header = std::min(header, tensor.file_offset);
  return XXH3_64bits(bytes.data(), header);
}

const gguf::Metadata& Artifact::metadata() const { return impl_->model->header.metadata; }
const std::vector<TensorInfo>& Artifact::tensors() const { return impl_->model->header.tensors; }
const ModelShape& Artifact::shape() const { return impl_->model->shape; }
const std::vector<LevelInfo>& Artifact::levels() const { return impl_->levels; }
const std::shared_ptr<const Model>& Artifact::model() const { return impl_->model; }

const TensorInfo* Artifact::find_tensor(std::string_view name) const {
  const auto found = impl_->tensors_by_name.find(name);
  return found == impl_->tensors_by_name.end() ? nullptr : found->second;
}

Result<LevelInfo> Artifact::level(std::uint32_t percent) const {
  std::string known;
  for (const LevelInfo& level : impl_->levels) {
    if (level.level == percent) return level;
    known += (known.empty() ? "" : ", ") + std::to_string(level.level);
  }
  return invalid_argument("there is no level " + std::to_string(percent) + " in '" + impl_->path.string() +
                          "'; it has " + known);
}

Result<std::shared_ptr<const Tokenizer>> Artifact::tokenizer() const {
  return guarded("build the tokenizer", [&]() -> Result<std::shared_ptr<const Tokenizer>> {
    const std::lock_guard lock(impl_->tokenizer_mutex);
    if (impl_->tokenizer != nullptr) return impl_->tokenizer;
    auto spec = tokenizer_spec_from_metadata(metadata());
    if (!spec) return spec.take_failure();
    auto tokenizer = Tokenizer::create(std::move(spec).value());
    if (!tokenizer) return tokenizer.take_failure();
    if (static_cast<std::uint32_t>(tokenizer->vocab_size()) > shape().vocab) {
      return bad_data("the tokenizer of '" + path().string() + "' has " + std::to_string(tokenizer->vocab_size()) +
                      " tokens, the model only " + std::to_string(shape().vocab));
    }
    impl_->tokenizer = std::make_shared<const Tokenizer>(std::move(tokenizer).value());
    return impl_->tokenizer;
  });
}

const TlmShape* Artifact::tlm() const { return model()->tlm ? &model()->tlm->shape : nullptr; }

Result<std::shared_ptr<const WordPiece>> Artifact::wordpiece() const {
  return guarded("build the WordPiece tokenizer", [&]() -> Result<std::shared_ptr<const WordPiece>> {
    if (tlm() == nullptr)
      return invalid_argument("'" + path().string() +
                              "' has no tiny language model, so no WordPiece vocabulary either");
    const std::lock_guard lock(impl_->tokenizer_mutex);
    if (impl_->wordpiece != nullptr) return impl_->wordpiece;
    auto made = WordPiece::create(*gguf::find<std::vector<std::string>>(metadata(), format::key::kTlmVocabulary));
    if (!made) return made.take_failure();
    impl_->wordpiece = std::make_shared<const WordPiece>(std::move(made).value());
    return impl_->wordpiece;
  });
}

Result<void> Artifact::verify_checksums() const {
  const auto* algorithm = gguf::find<std::string>(metadata(), format::key::kChecksumAlgorithm);
  const auto* expected = gguf::find<std::vector<std::uint64_t>>(metadata(), format::key::kChecksumValues);
  const std::string where = "'" + path().string() + "'";
  if (algorithm == nullptr || *algorithm != format::kChecksumXxh3 || expected == nullptr ||
      expected->size() != tensors().size()) {
    return bad_data("cannot verify " + where + ": it has no xxh3-64 checksum for each of its " +
                    std::to_string(tensors().size()) + " tensors");
  }
  for (std::size_t i = 0; i < tensors().size(); ++i) {
    const TensorInfo& tensor = tensors()[i];
    const std::uint64_t found = XXH3_64bits(tensor.data, tensor.bytes);
    if (found != (*expected)[i]) {
      return bad_data("tensor '" + tensor.name + "' of " + where + " is damaged: checksum " + std::to_string(found) +
                      ", expected " + std::to_string((*expected)[i]) + "; copy or pack the file again");
    }
  }
  return {};
}

}  // namespace elrt
