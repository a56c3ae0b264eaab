// How the Server reads its configuration again while it serves: all of it comes into force or
// nothing does.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <map>
#include <sstream>

#include "proxy/server.hpp"
#include "proxy/service_manager.hpp"
#include "proxy/settings.hpp"

namespace raincheck::proxy {
namespace {

constexpr jobs::milliseconds files_poll{1'000};

template <class F>
void for_each_line(const std::string& text, F call) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) call(line);
}

std::string in_words(std::uint64_t count) {
  return count == 1 ? "1 job that waits" : fmt::format("{} jobs that wait", count);
}

}  // namespace

Server::Reloaded Server::reload() {
  service_manager::tell_reloading(jobs::system_clock().now());
  Reloaded reloaded = try_reload(false);
  metrics_.reload.was_successful = reloaded.is_done;
  if (reloaded.is_done) {
    metrics_.reload.succeeded_at = jobs::system_clock().wall_now();
    spdlog::info("{} was read again and is in force", file_);
  } else {
    spdlog::error("{} was read again and is refused; the configuration before it goes on serving",
                  file_);
  }
  for_each_line(reloaded.text, [&reloaded](const std::string& line) {
    spdlog::log(reloaded.is_done ? spdlog::level::warn : spdlog::level::err, "{}", line);
  });
  service_manager::tell_ready(status_text());
  return reloaded;
}

Server::Reloaded Server::try_reload(bool is_rehearsal) {
  if (draining_) return {false, "raincheck is stopping\n"};
  if (file_ == "-") return {false, "the configuration was read from standard input\n"};
  FileWatch files;
  config::Loaded loaded = load_settings(file_, &files);
  if (!is_rehearsal) {
    files_ = std::move(files);
    files_read_ = files_seen_ = files_.noted();
  }
  refuse_unchangeable(loaded, file_, config());
  std::string text = config::format(loaded);
  if (!loaded.ok) return {false, text};
  try {
    auto next =
        std::make_shared<Generation>(std::move(loaded.config), *store_, known_, generation_.get());
    Opened opened = open_listeners(*next);
    text += fate_of_jobs(*next);
    if (is_rehearsal) return {true, text};
    next->site().open_lanes(*store_);
    const std::shared_ptr<const Generation> before = generation_;
    serve(std::move(next), std::move(opened));
    forget_paused(*before);
  } catch (const std::exception& error) {
    return {false, text + file_ + ": error: " + error.what() + "\n"};
  }
  return {true, text};
}

// Of those that wait: whose route `next` does not have, or has at another upstream.
std::string Server::fate_of_jobs(const Generation& next) const {
  std::map<std::string, std::uint64_t> removed;
  for (const SiteRoute& route : generation_->site().routes()) {
    if (route.lane != 0) removed[route.config->name] = 0;
  }
  std::erase_if(removed, [&next](const auto& each) { return next.site().find(each.first); });
  std::map<std::string, std::uint64_t> moved;
  for (const SiteLane& lane : next.site().lanes()) {
    if (lane.queued == 0) continue;
    if (!lane.route) removed[lane.name.route] += lane.queued;
    const SiteRoute* const before = generation_->site().find(lane.name.route);
    const bool is_moved =
        lane.route && before && before->config->upstream != lane.route->config->upstream;
    if (is_moved) moved[lane.name.route] += lane.queued;
  }
  std::string text;
  for (const auto& [route, count] : removed) {
    text +=
        fmt::format("route {} is removed: {} will end as route_removed\n", route, in_words(count));
  }
  for (const auto& [route, count] : moved) {
    text += fmt::format("route {} has another upstream: {} will be called at {}\n", route,
                        in_words(count), next.site().find(route)->config->upstream);
  }
  return text;
}

// A file that is still being written is left alone: what has changed has to look the same twice.
void Server::watch_files() {
  files_timer_.expires_after(files_poll);
  files_timer_.async_wait([this](boost::system::error_code error) {
    if (error || draining_) return;
    if (config().reload.on_change) {
      const std::string seen = files_.look();
      if (seen != files_read_ && seen == files_seen_) {
        spdlog::info("a file of the configuration has changed");
        reload();
      } else {
        files_seen_ = seen;
      }
    }
    watch_files();
  });
}

}  // namespace raincheck::proxy
