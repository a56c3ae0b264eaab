#include "proxy/timers.hpp"

#include <boost/asio/post.hpp>

namespace raincheck::proxy {

namespace asio = boost::asio;

void Timers::watch(Timed& timed) {
  timed.unlink();
  timed.previous_ = head_.previous_;
  timed.next_ = &head_;
  head_.previous_->next_ = &timed;
  head_.previous_ = &timed;
}

Timers::Entry Timers::at(TimePoint time, std::function<void()> call) {
  const Entry entry = entries_.emplace(time, std::move(call));
  if (timer_ && time < armed_) arm();
  return entry;
}

void Timers::run_due() {
  const TimePoint now = clock_.now();
  while (!entries_.empty() && entries_.begin()->first <= now) {
    const std::function<void()> call = std::move(entries_.begin()->second);
    entries_.erase(entries_.begin());
    call();
  }
}

void Timers::sweep() {
  const TimePoint now = clock_.now();
  for (Timed* timed = head_.next_; timed != &head_;) {
    Timed* const next = timed->next_;
    if (timed->deadline_ <= now) {
      timed->deadline_ = never;
      timed->on_deadline();
    }
    timed = next;
  }
}

std::optional<TimePoint> Timers::next() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.begin()->first;
}

void Timers::start(asio::io_context& io) {
  timer_.emplace(io);
  sweep_timer_.emplace(io);
  arm();
  arm_sweep();
}

void Timers::stop() {
  timer_.reset();
  sweep_timer_.reset();
}

void Timers::arm() {
  armed_ = next().value_or(never);
  if (armed_ == never) return;
  timer_->expires_at(armed_);
  timer_->async_wait([this](boost::system::error_code error) {
    if (error) return;
    armed_ = never;
    run_due();
    if (timer_) arm();
  });
}

void Timers::arm_sweep() {
  sweep_timer_->expires_after(sweep_every);
  sweep_timer_->async_wait([this](boost::system::error_code error) {
    if (error) return;
    sweep();
    if (sweep_timer_) arm_sweep();
  });
}

Signal::~Signal() {
  if (timeout_) timers_.cancel(*timeout_);
  // Nobody could wake it any more.
  if (waiting_) store::Waiter::drop(*waiting_);
}

void Signal::notify() {
  notified_ = true;
  if (!waiting_) return;
  if (timeout_) timers_.cancel(*timeout_);
  timeout_.reset();
  wake();
}

void Signal::wake() {
  asio::post(io_, [waiter = store::Waiter(*std::exchange(waiting_, nullptr))]() mutable {
    waiter.resume();
  });
}

bool Signal::Wait::await_ready() {
  return signal_.notified_ || deadline_ <= signal_.timers_.now();
}

void Signal::begin(store::Promise& waiting, TimePoint deadline) {
  waiting_ = &waiting;
  if (deadline == never) return;
  timeout_ = timers_.at(deadline, [this] {
    timeout_.reset();
    wake();
  });
}

}  // namespace raincheck::proxy
