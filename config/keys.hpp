// Every known key, collected from the descriptions in describe.hpp: to say of a misplaced key where
// it belongs, and for the tests that compare documents with the program. Made once, then read only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace raincheck::config {

// "listeners[].timeouts.header", "upstreams.*.max_concurrency", ... in the order of description.
const std::vector<std::string>& known_paths();

// The maps that have such a key: "routes[].async". Defaults are left out.
std::vector<std::string> owners_of(std::string_view key);

}  // namespace raincheck::config
