#include "store/file_system.hpp"

#include <doctest/doctest.h>

#include "tests/store/backend_under_test.hpp"

using namespace raincheck::store;

TEST_CASE("file systems over a network are known by their type") {
  for (const long type : {0x6969L, 0x517bL, 0xff534d42L, 0xfe534d42L, 0x01021997L, 0x00c36400L}) {
    CHECK_FALSE(network_name(type).empty());
  }
  CHECK(network_name(0x6969) == "NFS");
  // ext4, xfs, btrfs, tmpfs, overlayfs, zfs
  for (const long type :
       {0xef53L, 0x58465342L, 0x9123683eL, 0x01021994L, 0x794c7630L, 0x2fc12fc1L}) {
    CHECK(network_name(type).empty());
  }
}

TEST_CASE("of file systems in user space only those that are known to be local are") {
  for (const char* type : {"fuseblk", "virtiofs", "fuse.fuse-overlayfs"}) {
    CHECK(is_local_fuse(type));
  }
  for (const char* type : {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse", ""}) {
    CHECK_FALSE(is_local_fuse(type));
  }
}

TEST_CASE("a mount's type is found by its device") {
  constexpr std::string_view mounts =
      "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
      "90 22 0:45 / /mnt/a\\040-\\040b rw master:1 shared:7 - fuse.sshfs host:/x rw,user_id=0\n"
      "91 22 0:46 / /mnt/c rw - virtiofs share rw\n"
      "broken\n";
  CHECK(mount_type(mounts, "8:1") == "ext4");
  CHECK(mount_type(mounts, "0:45") == "fuse.sshfs");
  CHECK(mount_type(mounts, "0:46") == "virtiofs");
  CHECK(mount_type(mounts, "0:4") == "");
  CHECK(mount_type(mounts, "") == "");
  CHECK(mount_type("", "8:1") == "");
}

TEST_CASE("a local directory is not refused") {
  TemporaryDirectory directory;
  CHECK_NOTHROW(refuse_network_file_system(directory / ""));
}
