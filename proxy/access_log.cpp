#include "proxy/access_log.hpp"

#include <spdlog/async.h>

#include <algorithm>
#include <array>

#include "jobs/date.hpp"
#include "jobs/text.hpp"

namespace raincheck::proxy {

namespace {

// Of lines that go out together, and the time between two such pieces: large ones cost least.
constexpr std::size_t batch_bytes = 128 * 1024;
constexpr jobs::milliseconds batch_wait{20};
constexpr jobs::milliseconds growth_max{1'000};

}  // namespace

// A member's name with what stands around it, put together when this is compiled.
class AccessLog::Key {
 public:
  template <std::size_t size>
  consteval Key(const char (&name)[size]) : text_size_(size + 1), json_size_(size + 3) {
    text_[0] = ' ';
    std::copy_n(name, size - 1, text_.begin() + 1);
    text_[size] = '=';
    json_[0] = ',';
    json_[1] = '"';
    std::copy_n(name, size - 1, json_.begin() + 2);
    json_[size + 1] = '"';
    json_[size + 2] = ':';
  }

  std::string_view text() const { return {text_.data(), text_size_}; }
  std::string_view json() const { return {json_.data(), json_size_}; }

 private:
  std::array<char, 24> text_{};
  std::array<char, 24> json_{};
  std::size_t text_size_;
  std::size_t json_size_;
};

AccessLog::AccessLog(boost::asio::io_context& io,
                     const config::AccessLog& settings,
                     std::shared_ptr<spdlog::logger> logger,
                     const jobs::IdCodec::Secret& secret)
    : settings_(settings),
      json_(settings.format == config::AccessFormat::json),
      codec_(secret),
      lines_(std::make_shared<Lines>(io, std::move(logger))) {}

// What waits is written now; the timer's end finds nothing.
AccessLog::~AccessLog() {
  lines_->flush();
}

void AccessLog::Lines::flush() {
  if (text.empty()) return;
  logger->info(text);
  text.clear();
  flushed_at = jobs::system_clock().now();
}

// While earlier pieces wait to be written this one grows, so that those that can wait are large;
// but not for ever, for the loop of a shard that stops waits for it.
void AccessLog::wait(const std::shared_ptr<Lines>& lines, jobs::TimePoint until) {
  lines->timer.expires_at(until);
  lines->timer.async_wait([lines](boost::system::error_code error) {
    const auto writer = spdlog::thread_pool();
    const jobs::TimePoint next = lines->timer.expiry() + batch_wait;
    const bool may_grow = !lines->text.empty() && next < lines->flushed_at + growth_max;
    if (!error && may_grow && writer && writer->queue_size() != 0) {
      wait(lines, next);
      return;
    }
    lines->is_awaited = false;
    lines->flush();
  });
}

void AccessLog::begin(jobs::WallTime time, std::string_view event) {
  if (time != time_ || time_text_.empty()) {
    time_ = time;
    time_text_.clear();
    jobs::append_time(time_text_, time);
  }
  std::string& line = lines_->text;
  if (json_) {
    line.append(R"({"ts":")").append(time_text_).append(R"(","event":")").append(event);
    line.push_back('"');
  } else {
    line.append(time_text_).append(" ").append(event);
  }
}

void AccessLog::member(const Key& key) {
  lines_->text.append(json_ ? key.json() : key.text());
}

void AccessLog::text(const Key& key, std::string_view value) {
  if (value.empty()) return;
  member(key);
  jobs::append_json_string(lines_->text, value);
}

void AccessLog::number(const Key& key, std::uint64_t value) {
  member(key);
  jobs::append_number(lines_->text, value);
}

void AccessLog::end() {
  lines_->text.append(json_ ? "}\n" : "\n");
  if (lines_->text.size() >= batch_bytes) {
    lines_->flush();
  } else if (!lines_->is_awaited) {
    lines_->is_awaited = true;
    // After a while of silence that is at once, at the end of this turn of the loop.
    wait(lines_, lines_->flushed_at + batch_wait);
  }
}

void AccessLog::exchange(const ExchangeLine& line) {
  const auto& excluded = settings_.exclude_paths;
  if (std::find(excluded.begin(), excluded.end(), line.path) != excluded.end()) return;
  begin(line.time, "exchange");
  text("request_id", line.request_id);
  text("trace_id", line.trace_id);
  text("job_id", line.job_id);
  text("client", line.client);
  text("method", line.method);
  text("host", line.host);
  text("path", line.path);
  text("proto", line.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1");
  text("tls_version", line.tls_version);
  number("status", static_cast<std::uint64_t>(line.status));
  number("bytes_in", line.bytes_in);
  number("bytes_out", line.bytes_out);
  number("duration_us", static_cast<std::uint64_t>(line.duration.count()));
  text("route", line.route);
  text("reason", line.reason);
  text("user_agent", line.user_agent);
  end();
}

void AccessLog::attempt(const AttemptLine& line) {
  begin(line.time, "attempt");
  text("request_id", line.request_id);
  text("trace_id", line.trace_id);
  if (line.has_job) {
    const jobs::IdText id = codec_.encode(line.id);
    text("job_id", jobs::view(id));
    number("attempt", line.attempt);
  }
  text("route", line.route);
  text("upstream", line.upstream);
  text("server", line.server);
  number("status", static_cast<std::uint64_t>(line.status));
  number("bytes_in", line.bytes_in);
  number("bytes_out", line.bytes_out);
  number("duration_ms", static_cast<std::uint64_t>(line.duration.count()));
  if (line.first_byte)
    number("first_byte_ms", static_cast<std::uint64_t>(line.first_byte->count()));
  text("reason", line.reason);
  text("error", line.error);
  end();
}

}  // namespace raincheck::proxy
