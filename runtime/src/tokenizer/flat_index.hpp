// Numbers by keys that lie elsewhere: open addressing in one block of memory. A model opens in the time that its
// quarter of a million tokens take to be filed, and tables of nodes take several times as long.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace elrt {

class FlatIndex {
 public:
  FlatIndex() = default;
  // For so many entries at most.
  explicit FlatIndex(std::size_t entries) : slots_(std::bit_ceil(2 * entries + 1)) {}

  // same(number): is its key the one that is looked for? -1: there is none.
  template <typename Same>
  std::int32_t find(std::uint64_t hash, Same&& same) const {
    if (slots_.empty()) return -1;
    return slots_[place(hash, same)].number;
  }

  // Where the key stands already: `replace` says whether `number` takes the place of the other.
  template <typename Same>
  void insert(std::uint64_t hash, std::int32_t number, bool replace, Same&& same) {
    Slot& slot = slots_[place(hash, same)];
    if (slot.number < 0 || replace) slot = {tag_of(hash), number};
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::int32_t number = -1;
  };
  static std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

  // The slot of the key, or the free one where it would stand.
  template <typename Same>
  std::size_t place(std::uint64_t hash, Same&& same) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].number >= 0 && !(slots_[at].tag == tag_of(hash) && same(slots_[at].number))) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace elrt
