// Time on one shard, with one timer of the operating system. Exact waits are kept in order of their
// time (Timers); the deadlines of connections, which move with every request and nearly never pass,
// are looked at in one coarse sweep. Single-threaded: created, used and destroyed on the shard.
// Reads no clock but the one it is given.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <optional>

#include "jobs/clock.hpp"
#include "store/store.hpp"

namespace raincheck::proxy {

using jobs::Clock;
using jobs::TimePoint;
using store::awaitable;
using Executor = boost::asio::io_context::executor_type;

constexpr TimePoint never = TimePoint::max();

// Something whose deadline is looked at every `Timers::sweep_every`. Links itself into its shard's
// sweep.
class Timed {
 public:
  Timed() = default;
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

  void set_deadline(TimePoint deadline) { deadline_ = deadline; }
  TimePoint deadline() const { return deadline_; }

 protected:
  virtual ~Timed() { unlink(); }
  // The deadline has passed; called once, and again only after set_deadline().
  virtual void on_deadline() = 0;

 private:
  friend class Timers;
  void unlink() {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }

  TimePoint deadline_ = never;
  Timed* previous_ = this;
  Timed* next_ = this;
};

class Timers {
 public:
  static constexpr std::chrono::milliseconds sweep_every{100};

  explicit Timers(const Clock& clock) : clock_(clock) {}
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  TimePoint now() const { return clock_.now(); }
  jobs::WallTime wall_now() const { return clock_.wall_now(); }

  // Watches the deadline of `timed` until it is destroyed.
  void watch(Timed& timed);

  // A call back at a time, until it is cancelled.
  using Entry = std::multimap<TimePoint, std::function<void()>>::iterator;
  Entry at(TimePoint time, std::function<void()> call);
  void cancel(Entry entry) { entries_.erase(entry); }

  // Makes the calls that are due. For tests; a shard calls start() instead.
  void run_due();
  void sweep();
  std::optional<TimePoint> next() const;

  // Lives on the shard's io_context from now on, until stop().
  void start(boost::asio::io_context& io);
  void stop();

 private:
  using SteadyTimer =
      boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                        boost::asio::wait_traits<std::chrono::steady_clock>,
                                        Executor>;
  void arm();
  void arm_sweep();

  class Head final : public Timed {
    void on_deadline() override {}
  };

  const Clock& clock_;
  Head head_;
  std::multimap<TimePoint, std::function<void()>> entries_;
  std::optional<SteadyTimer> timer_;
  std::optional<SteadyTimer> sweep_timer_;
  TimePoint armed_ = never;
};

// One waiter, woken by notify() or by time. A notify() without a waiter is remembered for the next
// wait().
class Signal {
 public:
  // Awaited: true if notified, false if the deadline passed first.
  class Wait {
   public:
    Wait(Signal& signal, TimePoint deadline) : signal_(signal), deadline_(deadline) {}

    bool await_ready();
    template <class P>
    void await_suspend(std::coroutine_handle<P> waiting) {
      signal_.begin(waiting.promise(), deadline_);
    }
    bool await_resume() const { return std::exchange(signal_.notified_, false); }

   private:
    Signal& signal_;
    TimePoint deadline_;
  };

  explicit Signal(boost::asio::io_context& io, Timers& timers) : io_(io), timers_(timers) {}
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void notify();
  // The waiter resumes through the io_context, never from within notify().
  Wait wait(TimePoint deadline) { return Wait(*this, deadline); }

 private:
  void begin(store::Promise& waiting, TimePoint deadline);
  void wake();

  boost::asio::io_context& io_;
  Timers& timers_;
  store::Promise* waiting_ = nullptr;
  std::optional<Timers::Entry> timeout_;
  bool notified_ = false;
};

}  // namespace raincheck::proxy
