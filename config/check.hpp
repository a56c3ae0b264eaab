// What no single setting can know: that settings fit together. Also sets what is derived from
// others: a server's host and port, the names of routes, the store's directory, where schemas are.
// Called by load().
#pragma once

#include "config/config.hpp"
#include "config/load.hpp"
#include "config/reader.hpp"

namespace raincheck::config {

void derive(Config& config, const Environment& environment, const Reading& reading);

// After derive(). Settings that were refused already are not complained of again.
void check(const Config& config, Reading& reading);

// For its parts.
// A relative path is one from the folder of the file that names it.
std::string beside(const std::string& file, const std::string& path);
// The setting itself was written, not only one around it.
bool is_written(const Reading& reading, const std::string& path);

}  // namespace raincheck::config
