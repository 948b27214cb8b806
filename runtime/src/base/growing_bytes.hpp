// Bytes that grow at their end. Through realloc: the system moves the pages of a large block instead of copying them,
// and what was reserved but never written takes no memory.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace elrt {

class GrowingBytes {
 public:
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

  // Makes room for `bytes`; growth doubles where there is memory for it. Throws std::bad_alloc and keeps what it has.
  void grow(std::size_t bytes) {
    if (bytes <= size_) return;
    if (bytes < 2 * size_ && resize(2 * size_)) return;
    if (!resize(bytes)) throw std::bad_alloc();
  }
  void release() {
    data_.reset();
    size_ = 0;
  }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };

  bool resize(std::size_t bytes) {
    void* moved = std::realloc(data_.get(), bytes);
    if (moved == nullptr) return false;
    (void)data_.release();
    data_.reset(static_cast<std::byte*>(moved));
    size_ = bytes;
    return true;
  }

  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace elrt
