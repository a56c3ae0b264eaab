#include "proxy/task_group.hpp"

#include <spdlog/spdlog.h>

#include <exception>

namespace raincheck::proxy {

TaskGroup::~TaskGroup() {
  if (size_ != 0) {
    spdlog::critical("a task group was destroyed with {} tasks in it", size_);
    std::terminate();
  }
}

void TaskGroup::spawn(awaitable<void> task) {
  ++size_;
  if (all_) ++all_->size_;
  store::spawn(io_, std::move(task), [this](const std::exception_ptr& error) { ended(error); });
}

void TaskGroup::ended(const std::exception_ptr& error) {
  if (error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& exception) {
      spdlog::error("a task ended by an exception: {}", exception.what());
    }
  }
  if (all_) all_->leave();
  leave();
}

void TaskGroup::leave() {
  if (--size_ == 0) empty_.notify();
}

awaitable<bool> TaskGroup::join(TimePoint deadline) {
  while (size_ != 0) {
    const bool notified = co_await empty_.wait(deadline);
    if (!notified) co_return size_ == 0;
  }
  co_return true;
}

}  // namespace raincheck::proxy
