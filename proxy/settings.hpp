// The configuration as the program takes it: what config::load() says, and what only the rules of
// routes can say against it. Main thread.
#pragma once

#include <string>

#include "config/load.hpp"
#include "proxy/file_watch.hpp"

namespace raincheck::proxy {

// "-" reads standard input. `files` notes what is read; null: it is not of interest.
config::Loaded load_settings(const std::string& file, FileWatch* files = nullptr);

// What has another value than in `running` and is only read at the start is refused in `loaded`, if
// that has no other mistake.
void refuse_unchangeable(config::Loaded& loaded,
                         const std::string& file,
                         const config::Config& running);

}  // namespace raincheck::proxy
