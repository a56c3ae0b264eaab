// How the Server keeps what an operator has paused: it stays so over reloads and restarts, until it
// is resumed or the configuration has it no more.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "proxy/server.hpp"

namespace raincheck::proxy {
namespace {

// As the store, the log and the answers name it.
constexpr std::string_view of_upstream = "upstream ";
constexpr std::string_view of_route = "route ";

const Generation::Upstream* find_upstream(const Generation& generation, std::string_view name) {
  const auto& upstreams = generation.site().config().upstreams;
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    if (upstreams[i].name == name) return &generation.upstreams()[i];
  }
  return nullptr;
}

// False: the configuration does not have it.
bool is_in(const Generation& generation, std::string_view what) {
  return what.starts_with(of_route)
             ? generation.site().find(what.substr(of_route.size())) != nullptr
             : find_upstream(generation, what.substr(of_upstream.size())) != nullptr;
}

// Slots and known routes are the same in every configuration, and with them that they are paused.
void set_paused(const Generation& generation, std::string_view what, bool paused) {
  if (what.starts_with(of_route)) {
    generation.site().find(what.substr(of_route.size()))->known->paused = paused;
  } else {
    find_upstream(generation, what.substr(of_upstream.size()))->slots->pause(paused);
  }
}

}  // namespace

// Durably. Gives what went wrong.
std::string Server::record_paused(const std::string& what, bool paused) {
  try {
    const auto turn = store_->between_commits();
    store_->backend().set_paused(what, paused);
  } catch (const std::exception& error) {
    return fmt::format("this is not recorded, and ends with the process: {}", error.what());
  }
  return "";
}

// Before anything begins.
void Server::recall_paused() {
  for (const std::string& what : store_->backend().paused()) {
    paused_.insert(what);
    if (!is_in(*generation_, what)) continue;
    set_paused(*generation_, what, true);
    spdlog::warn("{} is still paused: its jobs wait", what);
  }
  forget_paused(*generation_);
}

// What the configuration has no more. `before`: that which had it.
void Server::forget_paused(const Generation& before) {
  const std::set<std::string> paused = paused_;
  for (const std::string& what : paused) {
    if (is_in(*generation_, what)) continue;
    if (is_in(before, what)) set_paused(before, what, false);
    paused_.erase(what);
    const std::string problem = record_paused(what, false);
    spdlog::warn("{} was paused, and is not configured any more: forgotten{}{}", what,
                 problem.empty() ? "" : "; ", problem);
  }
}

void Server::pause(const std::string& what, bool paused, const OperationReply& reply) {
  set_paused(*generation_, what, paused);
  for (const auto& shard : shards_) shard->pauses_changed();
  if (paused) {
    paused_.insert(what);
  } else {
    paused_.erase(what);
  }
  const std::string problem = record_paused(what, paused);
  const char* const outcome = paused ? "paused" : "resumed";
  spdlog::warn("{} is {}{}{}{}", what, outcome, paused ? ": its jobs wait" : "",
               problem.empty() ? "" : "; ", problem);
  OperationAnswer answer;
  if (problem.empty()) {
    answer.status = 204;
  } else {
    answer = problem_answer(503, fmt::format("{} is {}, but {}", what, outcome, problem));
  }
  answer.outcome = outcome;
  reply(std::move(answer));
}

void Server::pause_upstream(const OperationRequest& request,
                            bool paused,
                            const OperationReply& reply) {
  const std::string& name = request.arguments[0];
  if (!find_upstream(*generation_, name)) {
    reply(problem_answer(404, fmt::format("there is no upstream '{}'", name)));
    return;
  }
  pause(fmt::format("{}{}", of_upstream, name), paused, reply);
}

void Server::pause_route(const OperationRequest& request,
                         bool paused,
                         const OperationReply& reply) {
  const std::string& name = request.arguments[0];
  const SiteRoute* const route = generation_->site().find(name);
  if (!route) {
    reply(problem_answer(404, fmt::format("there is no route '{}'", name)));
    return;
  }
  // Resumed it may be: it may have made jobs when it was paused.
  if (paused && route->lane == 0) {
    reply(problem_answer(409, fmt::format("route '{}' makes no jobs (mode: never)", name)));
    return;
  }
  pause(fmt::format("{}{}", of_route, name), paused, reply);
}

}  // namespace raincheck::proxy
