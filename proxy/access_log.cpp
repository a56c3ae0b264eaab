#include "proxy/access_log.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>

#include "jobs/document.hpp"

namespace raincheck::proxy {

namespace {

// Of lines that go out together.
constexpr std::size_t batch_bytes = 16 * 1024;

}  // namespace

AccessLog::AccessLog(boost::asio::io_context& io,
                     const config::AccessLog& settings,
                     std::shared_ptr<spdlog::logger> logger,
                     const jobs::IdCodec::Secret& secret)
    : io_(io),
      settings_(settings),
      json_(settings.format == config::AccessFormat::json),
      codec_(secret),
      lines_(new Lines{std::move(logger), {}}) {}

void AccessLog::Lines::flush() {
  if (text.empty()) return;
  logger->info(text);
  text.clear();
}

void AccessLog::begin(jobs::WallTime time, std::string_view event) {
  if (!lines_->text.empty()) lines_->text.push_back('\n');
  if (json_) {
    lines_->text.append("{\"ts\":\"");
    jobs::append_time(lines_->text, time);
    lines_->text.append("\",\"event\":\"").append(event).push_back('"');
  } else {
    jobs::append_time(lines_->text, time);
    lines_->text.append(" ").append(event);
  }
}

void AccessLog::text(std::string_view key, std::string_view value) {
  if (value.empty()) return;
  if (json_) {
    lines_->text.append(",\"").append(key).append("\":");
  } else {
    lines_->text.append(" ").append(key).append("=");
  }
  jobs::append_json_string(lines_->text, value);
}

void AccessLog::number(std::string_view key, std::uint64_t value) {
  if (json_) {
    lines_->text.append(",\"").append(key).append("\":");
  } else {
    lines_->text.append(" ").append(key).append("=");
  }
  char digits[20];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
  lines_->text.append(digits, end);
}

void AccessLog::end() {
  if (json_) lines_->text.push_back('}');
  if (lines_->text.size() >= batch_bytes) {
    lines_->flush();
  } else if (!lines_->is_posted) {
    lines_->is_posted = true;
    boost::asio::post(io_, [lines = lines_] {
      lines->is_posted = false;
      lines->flush();
    });
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
