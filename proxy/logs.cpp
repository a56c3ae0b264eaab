// Setting up spdlog: where lines go and how they look.
#include "proxy/logs.hpp"

#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <future>
#include <iostream>
#include <string>
#include <thread>

#include "jobs/document.hpp"

namespace raincheck::proxy {
namespace {

constexpr std::size_t access_queue = 128;  // batches of lines: 16 MiB at most
constexpr jobs::milliseconds close_time{1'000};

// journald says by JOURNAL_STREAM which file it reads (systemd.exec(5)): if that is ours, a line
// needs a priority and no time.
bool is_journal(int file) {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (!stream || ::fstat(file, &status) != 0) return false;
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

int priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return 2;
    case spdlog::level::err:
      return 3;
    case spdlog::level::warn:
      return 4;
    case spdlog::level::info:
      return 6;
    case spdlog::level::trace:
    case spdlog::level::debug:
    case spdlog::level::off:
    case spdlog::level::n_levels:
      return 7;
  }
  return 7;
}

// A message on one line, with nothing in it that could pass for another line or for a terminal's
// command.
class LineFormatter final : public spdlog::formatter {
 public:
  enum class Style { text, journal, json };
  explicit LineFormatter(Style style) : style_(style) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view payload(message.payload.data(), message.payload.size());
    const auto level = spdlog::level::to_string_view(message.level);
    const std::string_view word(level.data(), level.size());
    std::string line;
    const auto time = std::chrono::time_point_cast<jobs::milliseconds>(message.time);
    if (style_ == Style::json) {
      line.append("{\"ts\":\"");
      jobs::append_time(line, time);
      line.append("\",\"level\":\"").append(word).append("\",\"message\":");
      jobs::append_json_string(line, payload);
      line.push_back('}');
    } else {
      if (style_ == Style::journal) {
        line.append("<").append(std::to_string(priority(message.level))).append(">");
      } else {
        jobs::append_time(line, time);
        line.append(" ").append(word).append(" ");
      }
      append_visible(line, payload);
    }
    line.push_back('\n');
    out.append(line.data(), line.data() + line.size());
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(style_);
  }

 private:
  static void append_visible(std::string& out, std::string_view text) {
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte != 0x7f) {
        out.push_back(c);
      } else {
        constexpr char digits[] = "0123456789abcdef";
        out.append("\\x").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
      }
    }
  }

  Style style_;
};

// Whole lines, as they are: a copy and a system call less than stdio's.
class LinesSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 protected:
  // Of a file that takes no more nobody can be told: the rest is lost.
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string_view rest(message.payload.data(), message.payload.size());
    while (!rest.empty()) {
      const ssize_t written = ::write(STDOUT_FILENO, rest.data(), rest.size());
      if (written >= 0) {
        rest.remove_prefix(static_cast<std::size_t>(written));
      } else if (errno == EAGAIN) {
        pollfd room{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
        ::poll(&room, 1, -1);
      } else if (errno != EINTR) {
        return;
      }
    }
  }
  void flush_() override {}
};

LineFormatter::Style style_of(const config::Log& log) {
  if (log.format == config::LogFormat::json) return LineFormatter::Style::json;
  return is_journal(STDERR_FILENO) ? LineFormatter::Style::journal : LineFormatter::Style::text;
}

spdlog::level::level_enum level_of(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::trace:
      return spdlog::level::trace;
    case config::LogLevel::debug:
      return spdlog::level::debug;
    case config::LogLevel::info:
      return spdlog::level::info;
    case config::LogLevel::warn:
      return spdlog::level::warn;
    case config::LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void open_program_log(const config::Log& log) {
  auto program = spdlog::create<spdlog::sinks::stderr_sink_mt>("raincheck");
  program->set_formatter(std::make_unique<LineFormatter>(style_of(log)));
  program->set_level(level_of(log.level));
  program->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(program));
}

// A person gets them with the lines that they are about.
void tell_problems(const config::Loaded& loaded) {
  if (style_of(loaded.config.log) == LineFormatter::Style::text) {
    std::cerr << config::format(loaded);
    return;
  }
  for (const config::Diagnostic& each : loaded.diagnostics) {
    const bool is_error = each.severity == config::Severity::error;
    spdlog::log(is_error ? spdlog::level::err : spdlog::level::warn, "{}",
                config::format(each, config::Sources()));
  }
}

std::shared_ptr<spdlog::logger> open_access_log(const config::AccessLog& access) {
  if (access.output == config::AccessOutput::none) return nullptr;

  spdlog::init_thread_pool(access_queue, 1);
  return spdlog::create_async_nb<LinesSink>("access");
}

void set_log_level(config::LogLevel level) {
  spdlog::default_logger_raw()->set_level(level_of(level));
}

bool close_logs() {
  const auto closed = std::make_shared<std::promise<void>>();
  std::future<void> is_closed = closed->get_future();
  // Never joined: it may be stuck in a write, and the process ends without it.
  std::thread([closed] {
    spdlog::shutdown();
    closed->set_value();
  }).detach();
  return is_closed.wait_for(close_time) == std::future_status::ready;
}

}  // namespace raincheck::proxy
