#include "proxy/client_watch.hpp"

namespace raincheck::proxy {
namespace {

constexpr jobs::milliseconds look_every{250};

}  // namespace

ClientWatch::ClientWatch(Connection& client, Timers& timers, std::function<void()> gone)
    : client_(client), timers_(timers), gone_(std::move(gone)) {
  set_deadline(timers.now() + look_every);
  timers.watch(*this);
}

void ClientWatch::on_deadline() {
  if (client_.is_there()) {
    set_deadline(timers_.now() + look_every);
  } else {
    gone_();
  }
}

}  // namespace raincheck::proxy
