// What generate and chat share: how an answer is sampled and where it ends.
#pragma once

#include "run_common.hpp"

namespace elastic_run {

// --max-tokens, --temperature and its like, --stop, --draft-level.
void add_sampling_options(CLI::App& command, elrt::GenerateOptions& options);

}  // namespace elastic_run
