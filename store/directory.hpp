// Directories of the store on disk. Start-up only.
#pragma once

#include <string>

namespace raincheck::store {

// Makes the directory and those above it that are missing, with mode 0700, so that their names
// survive a power cut. Throws std::runtime_error.
void make_private_directory(const std::string& path);

}  // namespace raincheck::store
