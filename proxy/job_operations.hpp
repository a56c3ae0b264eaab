// What operators ask about jobs and do to them over the admin socket (docs/admin.md): the rows of
// its table. What a row does is done on a shard, by a coroutine there, with what that offers to
// sessions.
#pragma once

#include <functional>
#include <vector>

#include "proxy/operations_server.hpp"
#include "proxy/services.hpp"

namespace raincheck::proxy {

// Has it run on a shard, as Shard::operate() does.
using OnShard = std::function<void(std::function<awaitable<void>(Services& services)> work)>;

std::vector<Operation> job_operations(const OnShard& on_shard);

}  // namespace raincheck::proxy
