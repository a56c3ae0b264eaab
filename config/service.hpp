// Settings of the program itself: its store, its logs, how it is operated. Part of config.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/values.hpp"

namespace raincheck::config {

struct Store {
  std::string directory;  // default: $STATE_DIRECTORY, else ./raincheck-data; set by load()
  std::uint32_t partitions = 1;
  std::uint64_t inline_max = 16 * kib;
  std::uint64_t max_bytes = 10 * gib;
  std::uint64_t min_free = 256 * mib;
  std::uint64_t reserve = 64 * mib;
};

struct Retention {
  milliseconds result{24 * 3'600'000};
  milliseconds failed_request{24 * 3'600'000};
};

struct Jobs {
  std::string base_path = "/_jobs";
  std::uint64_t max_pending = 100'000;
  Retention retention;
};

enum class LogLevel { trace, debug, info, warn, error };
enum class LogFormat { text, json };
enum class AccessFormat { text, json };
enum class AccessOutput { stdout_, none };  // NOLINT(readability-identifier-naming)

struct Log {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
};

struct AccessLog {
  AccessFormat format = AccessFormat::json;
  AccessOutput output = AccessOutput::stdout_;
  std::vector<std::string> exclude_paths;
};

struct Shutdown {
  milliseconds delay{0};
  milliseconds grace_period{60'000};
};

struct Reload {
  bool on_change = false;  // by itself, not only when asked
};

// Where operators ask how things are; nothing there changes anything.
struct Monitoring {
  static constexpr const char* default_address = "127.0.0.1:9901";

  bool is_on = true;
  std::optional<std::string> address;  // nothing: default_address, if nobody else has it
};

// Where operators change things.
struct Admin {
  bool is_on = true;
  std::string socket;  // default: $RUNTIME_DIRECTORY/admin.sock, set by load(); empty: none
};

enum class AcceptId { trusted, always, never };

struct RequestId {
  std::string header = "X-Request-Id";
  AcceptId accept = AcceptId::trusted;
};

// W3C Trace Context.
struct TraceContext {
  bool generate = false;  // for requests that bring none
};

}  // namespace raincheck::config
