#include "proxy/readiness.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>

namespace raincheck::proxy {
namespace {

// Told in one turn of the loop; the others wait for the next, so that nothing else starves.
constexpr int told_max = 64;

int make_epoll() {
  const int file = ::epoll_create1(EPOLL_CLOEXEC);
  if (file >= 0) return file;
  throw boost::system::system_error(errno, boost::system::system_category(), "epoll_create1");
}

}  // namespace

Readiness::Readiness(boost::asio::io_context& io) : epoll_(io, make_epoll()) {
  wait();
}

void Readiness::wait() {
  epoll_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                    [this](boost::system::error_code error) {
                      if (error) return;
                      tell();
                      if (epoll_.is_open()) wait();
                    });
}

void Readiness::tell() {
  std::array<epoll_event, told_max> events;
  const int count = ::epoll_wait(epoll_.native_handle(), events.data(), told_max, 0);
  told_ = std::span(events).first(static_cast<std::size_t>(std::max(count, 0)));
  for (const epoll_event& event : told_) {
    if (event.data.ptr) static_cast<Watched*>(event.data.ptr)->on_ready(event.events);
  }
  told_ = {};
}

bool Readiness::add(int file, Watched& watched) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &watched;
  return ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, file, &event) == 0;
}

void Readiness::remove(int file, const Watched& watched) {
  ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, file, nullptr);
  for (epoll_event& event : told_) {
    if (event.data.ptr == &watched) event.data.ptr = nullptr;
  }
}

void Readiness::wake(store::Promise& waiting) {
  boost::asio::post(epoll_.get_executor(),
                    [waiter = store::Waiter(waiting)]() mutable { waiter.resume(); });
}

void Readiness::stop() {
  boost::system::error_code ignored;
  epoll_.close(ignored);
}

}  // namespace raincheck::proxy
