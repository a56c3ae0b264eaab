#include "store/file_system.hpp"

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace raincheck::store {
namespace {

constexpr long fuse = 0x65735546;
constexpr long tmpfs = 0x01021994;
constexpr long ramfs = 0x858458f6;

// Numbers of <linux/magic.h> and statfs(2), some of which no header has.
constexpr std::array<std::pair<long, std::string_view>, 10> network_types{{
    {0x6969, "NFS"},
    {0x517b, "SMB"},
    {0xff534d42, "CIFS"},
    {0xfe534d42, "SMB2"},
    {0x01021997, "9p"},
    {0x5346414f, "AFS"},
    {0x6b414653, "AFS"},
    {0x00c36400, "Ceph"},
    {0x73757245, "Coda"},
    {0x0bd00bd0, "Lustre"},
}};

std::string mount_type_of(const std::string& directory) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return "";
  const std::string device =
      std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
  std::ifstream file("/proc/self/mountinfo");
  const std::string mounts{std::istreambuf_iterator<char>(file), {}};
  return std::string(mount_type(mounts, device));
}

// Up to the next space, which is taken too.
std::string_view next_word(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), word.size() + 1));
  return word;
}

}  // namespace

std::string_view network_name(long type) {
  for (const auto& [number, name] : network_types) {
    if (number == type) return name;
  }
  return "";
}

bool is_local_fuse(std::string_view type) {
  return type == "fuseblk" || type == "virtiofs" || type == "fuse.fuse-overlayfs";
}

// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": proc(5).
std::string_view mount_type(std::string_view mountinfo, std::string_view device) {
  while (!mountinfo.empty()) {
    std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(mountinfo.size(), line.size() + 1));
    next_word(line);
    next_word(line);
    if (next_word(line) != device) continue;
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) return "";
    line.remove_prefix(dash + 3);
    return next_word(line);
  }
  return "";
}

bool is_in_memory(const std::string& directory) {
  struct statfs status {};
  if (::statfs(directory.c_str(), &status) != 0) return false;
  return status.f_type == tmpfs || status.f_type == ramfs;
}

void refuse_network_file_system(const std::string& directory) {
  struct statfs status {};
  if (::statfs(directory.c_str(), &status) != 0) return;
  std::string name(network_name(status.f_type));
  if (status.f_type == fuse) {
    const std::string type = mount_type_of(directory);
    if (!is_local_fuse(type)) name = type.empty() ? "fuse" : type;
  }
  if (name.empty()) return;
  throw std::runtime_error("the directory " + directory + " is on a network file system (" + name +
                           "), which cannot keep what a store promises: put it on a local disk");
}

}  // namespace raincheck::store
