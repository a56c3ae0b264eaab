// How the Server reads its configuration again while it serves: all of it comes into force or
// nothing does.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <map>
#include <sstream>

#include "proxy/server.hpp"
#include "proxy/service_manager.hpp"
#include "proxy/settings.hpp"
#include "store/sqlite_listing.hpp"

namespace raincheck::proxy {
namespace {

constexpr jobs::milliseconds files_poll{1'000};
// Jobs that are looked at to count those that wait: nobody but operators stands meanwhile.
constexpr std::uint64_t counted_max = 200'000;

template <class F>
void for_each_line(const std::string& text, F call) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) call(line);
}

// How many jobs wait, by route, among those that were looked at.
struct Waiting {
  std::map<std::string, std::uint64_t> by_route;
  bool is_all = true;
};

Waiting count_waiting(const config::Store& settings) {
  store::SqliteListing listing(settings.directory + "/raincheck.db", 0);
  store::List wanted;
  wanted.state = jobs::State::queued;
  wanted.count_max = wanted.look_max;
  Waiting waiting;
  std::uint64_t looked = 0;
  do {
    listing.list(wanted);
    for (const jobs::Job& job : wanted.jobs) ++waiting.by_route[job.route];
    looked += wanted.look_max;
  } while (wanted.more && looked < counted_max);
  waiting.is_all = !wanted.more;
  return waiting;
}

std::string in_words(const Waiting& waiting, const std::string& route) {
  const auto found = waiting.by_route.find(route);
  const std::uint64_t count = found == waiting.by_route.end() ? 0 : found->second;
  if (!waiting.is_all) return fmt::format("{} or more jobs that wait", count);
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
  service_manager::tell_ready(status_text());
  for_each_line(reloaded.text, [&reloaded](const std::string& line) {
    spdlog::log(reloaded.is_done ? spdlog::level::warn : spdlog::level::err, "{}", line);
  });
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
    text += removed_by(*next);
    if (is_rehearsal) return {true, text};
    serve(std::move(next), std::move(opened));
  } catch (const std::exception& error) {
    return {false, text + file_ + ": error: " + error.what() + "\n"};
  }
  return {true, text};
}

// Jobs that wait for what `next` does not have will end without a call.
std::string Server::removed_by(const Generation& next) const {
  std::vector<std::string> removed;
  for (const SiteRoute& route : generation_->site().routes()) {
    const std::string& name = route.config->name;
    const bool makes_jobs = route.config->async.mode != config::Mode::never;
    if (makes_jobs && !next.site().find(name)) removed.push_back(name);
  }
  if (removed.empty()) return "";
  const Waiting waiting = count_waiting(config().store);
  std::string text;
  for (const std::string& name : removed) {
    text += fmt::format("route {} is removed: {} will end as route_removed\n", name,
                        in_words(waiting, name));
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
