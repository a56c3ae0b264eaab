// Whether a file system is local. On one that is shared over a network neither locks nor syncs nor
// shared memory hold what the store promises. Start-up only.
#pragma once

#include <string>
#include <string_view>

namespace raincheck::store {

// Throws std::runtime_error, in words for the operator, if the directory is on such a file system.
void refuse_network_file_system(const std::string& directory);

// What is on it is gone when the machine is.
bool is_in_memory(const std::string& directory);

// The parts of it. Name of a network file system by the type that statfs(2) tells; empty: another.
std::string_view network_name(long type);
// A file system in user space is local only if it is known to be: its type as a line of
// /proc/self/mountinfo tells it.
bool is_local_fuse(std::string_view type);
// The type of the mount with this "major:minor"; empty: there is none.
std::string_view mount_type(std::string_view mountinfo, std::string_view device);

}  // namespace raincheck::store
