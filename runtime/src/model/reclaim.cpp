#include "model/reclaim.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "model/layer_table.hpp"

namespace elrt {
namespace {

// Bytes up to the last output and input, from the matrix's start.
std::uint64_t prefix_bytes(const Matrix& m, std::uint64_t outputs, std::uint64_t inputs) {
  const std::uint64_t unit = m.quantised() ? 1 : m.element_bytes();
  if (m.tiled) return (inputs + 31) / 32 * m.tile_stride * unit;
  return (m.quantised() ? (outputs + 31) / 32 : outputs) * m.row_stride * unit;
}

// Whole pages inside the range: what is cut by a page's border may belong to a neighbour.
std::uint64_t give_back(const std::byte* begin, const std::byte* end, std::uintptr_t page) {
  const std::uintptr_t first = (reinterpret_cast<std::uintptr_t>(begin) + page - 1) / page * page;
  const std::uintptr_t last = reinterpret_cast<std::uintptr_t>(end) / page * page;
  if (last <= first) return 0;
  const bool given = ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) == 0;
  return given ? last - first : 0;
}

}  // namespace

std::uint64_t reclaim(const Model& model, const LevelView& view) {
  const auto page = static_cast<std::uintptr_t>(std::max(1l, ::sysconf(_SC_PAGESIZE)));
  std::uint64_t bytes = 0;
  const auto behind = [&](const Matrix& m, std::uint64_t outputs, std::uint64_t inputs) {
    bytes += give_back(m.data + prefix_bytes(m, outputs, inputs), m.data + prefix_bytes(m, m.outputs, m.inputs), page);
  };
  for (std::size_t layer = 0; layer < model.layers.size(); ++layer) {
    const format::BlockWidths widths = block_widths(view, layer);
    for_each_matrix(model.layers[layer], [&](const format::BlockTensor& stored, const Matrix& matrix) {
      behind(matrix, widths.of(stored.outputs), widths.of(stored.inputs));
    });
  }
  // `used`: what the level reads of it, or null.
  const auto behind_adapter = [&](const LayerAdapter& adapter, const LayerAdapter* used) {
    for (std::size_t target = 0; target < kTargets; ++target) {
      const AdapterPair& pair = adapter[target];
      if (!pair.a) continue;
      const AdapterPair kept = used != nullptr ? (*used)[target] : AdapterPair{};
      behind(pair.a, kept.a.outputs, kept.a.inputs);
      bytes += give_back(pair.b.data + kept.b.bytes(), pair.b.data + pair.b.bytes(), page);
    }
  };
  const LevelData* shares = nullptr;
  for (const LevelData& level : model.levels) {
    const bool current = level.percent == view.percent();
    if (current && level.adapter_shared) shares = &level;
    if (current || level.adapter_shared) continue;
    for (const LayerAdapter& adapter : level.adapters) behind_adapter(adapter, nullptr);
  }
  for (std::size_t layer = 0; layer < model.shared_adapter.layers.size(); ++layer)
    behind_adapter(model.shared_adapter.layers[layer], shares == nullptr ? nullptr : &shares->adapters[layer]);
  return bytes;
}

}  // namespace elrt
