// One family's file, DIR/FAMILY.json, against the pools that are already known.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "tasks/bank.h"
#include "tasks/json_place.h"

namespace elastify {

// {"train": [..], "validation": [..], "test": [..]}, or {"all": [..]} where allowed; `index_of` as in cut_template.
// Every split must have at least one text. `all`, if given, is set to whether the texts are the same in every split.
Templates read_templates(const JsonPlace& place, const std::function<int(std::string_view)>& index_of, bool all_allowed,
                         bool* all = nullptr);

// What is wrong becomes a problem; the result is then incomplete. `index_of` gives a pool's index by its type.
Family read_family(const JsonPlace& root, const std::string& expected_name,
                   const std::function<int(std::string_view)>& pool_of);

}  // namespace elastify
