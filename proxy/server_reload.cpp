// How the Server reads its configuration again while it serves: all of it comes into force or
// nothing does.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "proxy/server.hpp"
#include "proxy/service_manager.hpp"
#include "proxy/settings.hpp"
#include "store/sqlite_listing.hpp"

namespace raincheck::proxy {
namespace {

constexpr jobs::milliseconds files_poll{1'000};
// Jobs that are looked at to count those of a route: some tenths of a second, while nobody but
// operators waits.
constexpr std::uint64_t counted_max = 200'000;

template <class F>
void for_each_line(const std::string& text, F call) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) call(line);
}

// How many jobs of a route wait, in words.
std::string waiting_text(const config::Store& settings, const std::string& route) {
  store::SqliteListing listing(settings.directory + "/raincheck.db", 0);
  store::List wanted;
  wanted.route = route;
  wanted.state = jobs::State::queued;
  wanted.count_max = 10'000;
  std::uint64_t count = 0;
  std::uint64_t looked = 0;
  do {
    listing.list(wanted);
    count += wanted.jobs.size();
    looked += wanted.look_max;
  } while (wanted.more && looked < counted_max);
  return fmt::format("{}{} that wait{}", count,
                     wanted.more  ? " or more jobs"
                     : count == 1 ? " job"
                                  : " jobs",
                     count == 1 && !wanted.more ? "s" : "");
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
    std::vector<Shard::Sockets> sockets = open_listeners(*next);
    text += removed_by(*next);
    if (is_rehearsal) return {true, text};
    serve(std::move(next), std::move(sockets));
  } catch (const std::exception& error) {
    return {false, text + file_ + ": error: " + error.what() + "\n"};
  }
  return {true, text};
}

// Jobs that wait for what `next` does not have will end without a call.
std::string Server::removed_by(const Generation& next) const {
  std::string text;
  for (const SiteRoute& route : generation_->site().routes()) {
    const std::string& name = route.config->name;
    if (route.config->async.mode == config::Mode::never || next.site().find(name)) continue;
    text += fmt::format("route {} is removed: {} will end as route_removed\n", name,
                        waiting_text(config().store, name));
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
