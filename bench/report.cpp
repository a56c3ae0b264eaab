#include "bench/report.hpp"

#include <iomanip>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace raincheck::bench {
namespace {

double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

double microseconds(std::chrono::nanoseconds duration) {
  return seconds(duration) * 1e6;
}

double ratio(double value, double of) {
  return of > 0 ? value / of : 0;
}

std::optional<std::uint64_t> find_number(std::string_view json, std::string_view key) {
  std::string quoted;
  quoted.append("\"").append(key).append("\":");
  const std::size_t at = json.find(quoted);
  if (at == std::string_view::npos) return std::nullopt;
  return std::stoull(std::string(json.substr(at + quoted.size(), 20)));
}

// Both forms of the report print these, by these names.
std::vector<std::pair<std::string_view, double>> figures(
    const Results& results, const std::optional<Executions>& executions) {
  const double window = seconds(results.window);
  const auto completed = static_cast<double>(results.completed);
  std::vector<std::pair<std::string_view, double>> list = {
      {"seconds", window},
      {"completed", completed},
      {"rate", ratio(completed, window)},
      {"server_cpu_us", ratio(microseconds(results.server_cpu), completed)},
      {"server_cpu_share", ratio(seconds(results.server_cpu), window)},
      {"load_cpu_share", ratio(seconds(results.own_cpu), window)},
      {"started", static_cast<double>(results.started)},
      {"accepted", static_cast<double>(results.accepted)},
      {"finished", static_cast<double>(results.finished)},
      {"polls", static_cast<double>(results.polls)},
      {"unexpected", static_cast<double>(results.unexpected)},
      {"wrong", static_cast<double>(results.wrong)},
      {"failed", static_cast<double>(results.failed)},
      {"lost", static_cast<double>(results.lost)},
      {"unanswered", static_cast<double>(results.unanswered)},
      {"disconnects", static_cast<double>(results.disconnects)},
      {"timeouts", static_cast<double>(results.timeouts)},
      {"malformed", static_cast<double>(results.malformed)},
  };
  if (executions) {
    list.emplace_back("executed", static_cast<double>(executions->seen));
    list.emplace_back("duplicated", static_cast<double>(executions->duplicates));
  }
  return list;
}

constexpr std::pair<std::string_view, double> quantiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

void write_latency_json(std::ostream& out, std::string_view name, const Histogram& latency) {
  out << ",\"" << name << "\":{\"count\":" << latency.count();
  for (const auto& [label, share] : quantiles) {
    out << ",\"" << label << "\":" << microseconds(latency.quantile(share));
  }
  out << ",\"max\":" << microseconds(latency.max()) << "}";
}

void write_latency_text(std::ostream& out, std::string_view name, const Histogram& latency) {
  if (latency.count() == 0) return;
  out << std::setw(18) << name;
  for (const auto& [label, share] : quantiles) {
    out << "  " << label << " " << microseconds(latency.quantile(share)) / 1000 << " ms";
  }
  out << "  max " << microseconds(latency.max()) / 1000 << " ms\n";
}

}  // namespace

std::optional<Executions> ask_backend(const Address& backend, std::uint64_t run) {
  const Descriptor socket = connect_to(backend);
  std::string token(token_bytes, '0');
  write_token(token.data(), {run, 0});
  send(socket, "GET /_counts/" + token.substr(0, token_bytes / 2) + " HTTP/1.1\r\nHost: b\r\n\r\n");
  Poller poller;
  poller.add(socket, 0);
  MessageReader reader(MessageReader::Expect::response);
  const TimePoint deadline = Clock::now() + std::chrono::seconds(5);
  while (Clock::now() < deadline) {
    if (poller.wait(deadline).empty()) continue;
    const std::ptrdiff_t count = receive(socket, reader.space());
    if (count <= 0) return std::nullopt;
    reader.received(static_cast<std::size_t>(count));
    if (reader.next() != MessageReader::Progress::complete) continue;
    const auto seen = find_number(reader.message().body, "seen");
    const auto duplicates = find_number(reader.message().body, "duplicates");
    if (!seen || !duplicates) return std::nullopt;
    return Executions{*seen, *duplicates};
  }
  return std::nullopt;
}

void write_json(std::ostream& out,
                const Results& results,
                const std::optional<Executions>& executions) {
  out << std::setprecision(12) << "{";
  const char* separator = "";
  for (const auto& [name, value] : figures(results, executions)) {
    out << std::exchange(separator, ",") << "\"" << name << "\":" << value;
  }
  write_latency_json(out, "answered_us", results.answered);
  write_latency_json(out, "collected_us", results.collected);
  out << ",\"statuses\":{";
  separator = "";
  for (std::size_t status = 0; status < results.statuses.size(); ++status) {
    if (results.statuses[status] == 0) continue;
    out << std::exchange(separator, ",") << "\"" << status << "\":" << results.statuses[status];
  }
  out << "}}\n";
}

void write_text(std::ostream& out,
                const Results& results,
                const std::optional<Executions>& executions) {
  out << std::fixed << std::setprecision(3);
  for (const auto& [name, value] : figures(results, executions)) {
    const bool is_whole = value == static_cast<double>(static_cast<std::uint64_t>(value));
    out << std::setw(18) << name << "  " << std::setprecision(is_whole ? 0 : 3) << value << "\n";
  }
  out << std::setprecision(3);
  write_latency_text(out, "answered", results.answered);
  write_latency_text(out, "collected", results.collected);
  for (std::size_t status = 0; status < results.statuses.size(); ++status) {
    if (results.statuses[status] == 0) continue;
    out << std::setw(18) << status << "  " << results.statuses[status] << "\n";
  }
}

}  // namespace raincheck::bench
