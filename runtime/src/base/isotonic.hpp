// Least-squares fits that never fall: what measurements of a quantity that cannot fall are cleaned with.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace elrt {

// Replaces `values` by the non-decreasing sequence nearest to them in least squares, all weights equal, by pooling
// adjacent violators (Ayer, Brunk, Ewing, Reid, Silverman 1955). Linear time.
void fit_non_decreasing(std::span<double> values);

// Makes rows[i][j] non-decreasing in j, and in i within every chain; chain[i] names row i's. First each column of a
// chain is fitted, then each row: a fit keeps the order of two sequences of which one is nowhere below the other (its
// min-max formula), so that the second pass does not undo the first. All rows have equal lengths.
void fit_rows_and_chains(std::vector<std::vector<double>>& rows, std::span<const int> chain);

}  // namespace elrt
