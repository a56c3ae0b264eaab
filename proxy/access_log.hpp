// The access log: one line for each exchange with a client and one for each attempt at a backend,
// joined by request id and job id. They go out at once, or many at a time, through a thread of
// their own; when it cannot keep up the oldest are dropped, for a log must not hold a request. One
// of these for each configuration of a shard. Never writes a query string, a credential or a body.
#pragma once

#include <spdlog/logger.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "jobs/clock.hpp"
#include "jobs/id.hpp"
#include "jobs/job.hpp"

namespace raincheck::proxy {

// An exchange with a client. `reason` is one of the words of the closed list in docs/logs.md.
struct ExchangeLine {
  jobs::WallTime time{};
  std::string_view request_id;
  std::string_view trace_id;
  std::string_view job_id;
  std::string_view client;
  std::string_view method;
  std::string_view host;
  std::string_view path;
  std::string_view route;
  std::string_view user_agent;
  int minor_version = 1;
  std::string_view tls_version;  // empty: plain
  int status = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::chrono::microseconds duration{};
  std::string_view reason;
};

struct AttemptLine {
  jobs::WallTime time{};
  std::string_view request_id;
  std::string_view trace_id;
  jobs::JobId id;
  bool has_job = true;
  std::string_view route;
  std::string_view upstream;
  std::string_view server;
  std::uint32_t attempt = 0;
  int status = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  jobs::milliseconds duration{};
  std::optional<jobs::milliseconds> first_byte;
  std::string_view reason;
  std::string_view error;
};

class AccessLog {
 public:
  // `logger` null: no access log.
  AccessLog(boost::asio::io_context& io,
            const config::AccessLog& settings,
            std::shared_ptr<spdlog::logger> logger,
            const jobs::IdCodec::Secret& secret);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();

  bool enabled() const { return lines_->logger != nullptr; }
  void exchange(const ExchangeLine& line);
  void attempt(const AttemptLine& line);

 private:
  class Key;

  void begin(jobs::WallTime time, std::string_view event);
  void member(const Key& key);
  void text(const Key& key, std::string_view value);
  void number(const Key& key, std::uint64_t value);
  void end();

  // Whole lines that are to go out.
  struct Lines {
    Lines(boost::asio::io_context& io, std::shared_ptr<spdlog::logger> to)
        : logger(std::move(to)), timer(io) {}
    void flush();

    const std::shared_ptr<spdlog::logger> logger;
    boost::asio::steady_timer timer;
    std::string text;
    jobs::TimePoint flushed_at{};
    bool is_awaited = false;
  };

  static void wait(const std::shared_ptr<Lines>& lines, jobs::TimePoint until);

  const config::AccessLog& settings_;
  const bool json_;
  jobs::IdCodec codec_;
  jobs::WallTime time_{};  // of the line before, and its text
  std::string time_text_;
  const std::shared_ptr<Lines> lines_;  // awaited, they outlive this
};

}  // namespace raincheck::proxy
