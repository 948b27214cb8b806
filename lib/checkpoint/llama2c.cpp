#include "checkpoint/llama2c.h"

#include <array>
#include <cstring>

#include "base/error.h"
#include "checkpoint/block_table.h"
#include "checkpoint/checkpoint.h"

namespace elastify {
namespace {

constexpr std::uint32_t kMagic = 0x616b3432;  // "ak42", version 1 and later
constexpr std::size_t kVersionedHeaderBytes = 256;

struct Header {
  std::array<std::int32_t, 7> dims{};  // dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, max_seq_len
  bool versioned = false;
  bool shared_head = false;
  std::size_t bytes = sizeof(dims);
};

Header read_header(const MappedFile& file) {
  const std::string name = file.path().string();
  Header header;
  if (file.size_bytes() < kVersionedHeaderBytes) {
    fail_data("{} is truncated: expected a llama2.c checkpoint of at least {} bytes, found {}", name,
              kVersionedHeaderBytes, file.size_bytes());
  }
  std::uint32_t magic = 0;
  std::memcpy(&magic, file.data(), sizeof(magic));
  header.versioned = magic == kMagic;
  if (header.versioned) {
    std::int32_t version = 0;
    std::memcpy(&version, file.data() + 4, sizeof(version));
    if (version != 1) {
      fail_data("{}: version {} of the llama2.c format is not supported: expected the legacy or version 1 float export",
                name, version);
    }
    std::memcpy(header.dims.data(), file.data() + 8, sizeof(header.dims));
    header.shared_head = file.data()[8 + sizeof(header.dims)] != std::byte{0};
    header.bytes = kVersionedHeaderBytes;
  } else {
    std::memcpy(header.dims.data(), file.data(), sizeof(header.dims));
    header.shared_head = header.dims[5] > 0;  // a negative vocabulary means a separate head
    if (header.dims[5] != INT32_MIN) header.dims[5] = std::abs(header.dims[5]);
  }
  return header;
}

ModelConfig make_config(const Header& header, const std::string& name) {
  ModelConfig config;
  config.hidden_size = header.dims[0];
  config.intermediate_size = header.dims[1];
  config.num_layers = header.dims[2];
  config.num_heads = header.dims[3];
  config.num_kv_heads = header.dims[4];
  config.vocab_size = header.dims[5];
  config.max_positions = header.dims[6];
  config.head_dim = config.num_heads > 0 ? config.hidden_size / config.num_heads : 0;
  config.tied_embeddings = header.shared_head;
  config.rms_norm_eps = 1e-5;  // fixed in llama2.c
  config.validate(name + " (as a llama2.c checkpoint)");
  if (config.head_dim * config.num_heads != config.hidden_size) {
    fail_data("{}: dim ({}) must be a multiple of n_heads ({})", name, config.hidden_size, config.num_heads);
  }
  return config;
}

// Hands out consecutive stretches of the file as tensors.
class Cursor {
 public:
  Cursor(std::shared_ptr<const MappedFile> file, std::size_t offset, StoredTensors& tensors)
      : file_(std::move(file)), offset_(offset), tensors_(tensors) {}

  void take(const std::string& name, const std::vector<std::int64_t>& shape) {
    std::size_t bytes = sizeof(float);
    for (const std::int64_t extent : shape) bytes *= static_cast<std::size_t>(extent);
    tensors_[name] = {file_, offset_, bytes, torch::kFloat32, shape};
    skip(bytes);
  }
  // One tensor of every block, block after block.
  void take_per_layer(const char* part, const ModelConfig& config) {
    const auto shape = find_block_tensor(part)->shape(block_widths(config));
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer) take(block_tensor_name(layer, part), shape);
  }
  void skip(std::size_t bytes) {
    if (bytes > file_->size_bytes() - offset_) {
      fail_data("{} is truncated: its header promises at least {} bytes, found {}", file_->path().string(),
                offset_ + bytes, file_->size_bytes());
    }
    offset_ += bytes;
  }
  void expect_end() const {
    if (offset_ != file_->size_bytes()) {
      fail_data("{}: expected {} bytes by its header, found {}", file_->path().string(), offset_, file_->size_bytes());
    }
  }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::size_t offset_;
  StoredTensors& tensors_;
};

void take_attention(Cursor& cursor, const ModelConfig& c) {
  for (const char* part :
       {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight", "self_attn.o_proj.weight"})
    cursor.take_per_layer(part, c);
}

void take_mlp(Cursor& cursor, const ModelConfig& c) {
  for (const char* part : {"mlp.gate_proj.weight", "mlp.down_proj.weight", "mlp.up_proj.weight"})
    cursor.take_per_layer(part, c);
}

}  // namespace

Llama2cFile open_llama2c(const fs::path& path) {
  const auto file = std::make_shared<const MappedFile>(path);
  const Header header = read_header(*file);
  Llama2cFile result{make_config(header, path.string()), {}};
  const ModelConfig& c = result.config;
  Cursor cursor(file, header.bytes, result.tensors);
  if (header.versioned) {  // norms first
    cursor.take_per_layer("input_layernorm.weight", c);
    cursor.take_per_layer("post_attention_layernorm.weight", c);
    cursor.take(kFinalNormName, {c.hidden_size});
    cursor.take(kEmbeddingName, {c.vocab_size, c.hidden_size});
    take_attention(cursor, c);
    take_mlp(cursor, c);
  } else {
    cursor.take(kEmbeddingName, {c.vocab_size, c.hidden_size});
    cursor.take_per_layer("input_layernorm.weight", c);
    take_attention(cursor, c);
    cursor.take_per_layer("post_attention_layernorm.weight", c);
    take_mlp(cursor, c);
    cursor.take(kFinalNormName, {c.hidden_size});
    // Two tables of rotary factors, which are computed here instead.
    cursor.skip(static_cast<std::size_t>(c.max_positions) * static_cast<std::size_t>(c.head_dim) * sizeof(float));
  }
  if (!c.tied_embeddings) cursor.take(kHeadName, {c.vocab_size, c.hidden_size});
  cursor.expect_end();
  return result;
}

}  // namespace elastify
