#include "base/isotonic.hpp"

#include <algorithm>

namespace elrt {

void fit_non_decreasing(std::span<double> values) {
  struct Block {
    double sum;
    std::size_t count;
    double mean() const { return sum / static_cast<double>(count); }
  };
  std::vector<Block> blocks;
  for (const double value : values) {
    blocks.push_back({value, 1});
    while (blocks.size() > 1 && blocks[blocks.size() - 2].mean() > blocks.back().mean()) {
      const Block last = blocks.back();
      blocks.pop_back();
      blocks.back().sum += last.sum;
      blocks.back().count += last.count;
    }
  }
  std::size_t at = 0;
  for (const Block& block : blocks) {
    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(at), block.count, block.mean());
    at += block.count;
  }
}

namespace {

// The rows of one chain. The running maximum after the fits changes nothing but the last bits that rounding left.
void fit_chain(std::vector<std::vector<double>>& rows, const std::vector<std::size_t>& members) {
  const std::size_t columns = rows[members.front()].size();
  std::vector<double> column(members.size());
  for (std::size_t j = 0; j < columns; ++j) {
    for (std::size_t i = 0; i < members.size(); ++i) column[i] = rows[members[i]][j];
    fit_non_decreasing(column);
    for (std::size_t i = 0; i < members.size(); ++i) rows[members[i]][j] = column[i];
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::vector<double>& row = rows[members[i]];
    fit_non_decreasing(row);
    for (std::size_t j = 0; j < columns; ++j) {
      if (i > 0) row[j] = std::max(row[j], rows[members[i - 1]][j]);
      if (j > 0) row[j] = std::max(row[j], row[j - 1]);
    }
  }
}

}  // namespace

void fit_rows_and_chains(std::vector<std::vector<double>>& rows, std::span<const int> chain) {
  std::vector<bool> done(rows.size(), false);
  for (std::size_t first = 0; first < rows.size(); ++first) {
    if (done[first]) continue;
    std::vector<std::size_t> members;
    for (std::size_t i = first; i < rows.size(); ++i) {
      if (chain[i] != chain[first]) continue;
      members.push_back(i);
      done[i] = true;
    }
    fit_chain(rows, members);
  }
}

}  // namespace elrt
