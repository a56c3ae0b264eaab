// What kind of file a database is: a store of raincheck, in the format that this version reads.
// Whoever opens one asks first.
#pragma once

#include <string>

#include "store/sqlite.hpp"

namespace raincheck::store {

// Throws std::runtime_error, in words for the operator, that say `path`.
void check_format(SqliteConnection& connection, const std::string& path);

// The first column of the first row; 0 without one.
std::int64_t integer(SqliteConnection& connection, const char* sql);

}  // namespace raincheck::store
