// An open file descriptor and its one owner, which closes it.
#pragma once

#include <unistd.h>

#include <utility>

namespace raincheck::proxy {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int file) : file_(file) {}
  Descriptor(Descriptor&& other) noexcept : file_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    close();
    file_ = other.release();
    return *this;
  }
  ~Descriptor() { close(); }

  int get() const { return file_; }
  explicit operator bool() const { return file_ >= 0; }
  int release() { return std::exchange(file_, -1); }
  void close() {
    if (file_ >= 0) ::close(release());
  }

 private:
  int file_ = -1;
};

}  // namespace raincheck::proxy
