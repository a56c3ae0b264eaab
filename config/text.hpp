// How values are written: durations, sizes, numbers, addresses and origins, each read from its text
// and written back. Pure functions on text; nothing here knows a setting or a file.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.hpp"

namespace raincheck::config {

// A value, or in words why the text is none.
template <class T>
class Parsed {
 public:
  Parsed(T value) : value_(std::move(value)) {}
  static Parsed wrong(std::string why) { return Parsed(Wrong{std::move(why)}); }
  explicit operator bool() const { return value_.index() == 0; }
  const T& operator*() const { return std::get<0>(value_); }
  const T* operator->() const { return &std::get<0>(value_); }
  const std::string& why() const { return std::get<1>(value_).why; }

 private:
  struct Wrong {
    std::string why;
  };
  explicit Parsed(Wrong wrong) : value_(std::move(wrong)) {}
  std::variant<T, Wrong> value_;
};

// Digits only: no sign, no hexadecimal, no leading zero.
Parsed<std::uint64_t> parse_number(std::string_view text);

// "30s", "1h30m", "500ms", "1d": units largest first, each once.
Parsed<milliseconds> parse_duration(std::string_view text);
std::string format_duration(milliseconds duration);

// "10MiB", "512KiB", "1GB", "100B".
Parsed<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t bytes);

// "200-399" or "200".
Parsed<StatusRange> parse_statuses(std::string_view text);

// "POST api.example.com/reports/*?mode=full X-Api-Version=2": different for different matches.
std::string format_match(const Match& match);

// http://host[:port] or https://host[:port] of an upstream's server.
struct Origin {
  bool is_tls = false;
  std::string host;  // without brackets, lower case
  std::uint16_t port = 80;
  std::string authority;  // as it goes into Host
};
Parsed<Origin> parse_origin(std::string_view url);

// A URL in front of its path or query, and from there on; views into `url`.
struct UrlParts {
  std::string_view origin;
  std::string_view target;
};
UrlParts split_url(std::string_view url);

// Where a listener listens: an IP address and port, a socket in the file system, or the sockets
// that systemd passes under a name (sd_listen_fds(3)).
struct ListenAddress {
  std::string host;  // an IP address without brackets; empty for the others
  std::uint16_t port = 0;
  std::string socket_path;
  std::string passed_name;
};
Parsed<ListenAddress> parse_listen_address(std::string_view text);

// An IPv4 or IPv6 network. An IPv4 one is kept as IPv4-mapped IPv6, so that both compare alike.
struct Network {
  std::array<std::uint8_t, 16> address{};
  int prefix = 128;  // leading bits that count

  bool contains(const std::array<std::uint8_t, 16>& other) const;
};
Parsed<Network> parse_network(std::string_view text);

// The 16 bytes of an IP address, IPv4 as IPv4-mapped IPv6.
std::optional<std::array<std::uint8_t, 16>> parse_ip(std::string_view text);

// true, false, null or a number, as JSON writes them.
bool is_json_literal(std::string_view text);
std::string json_text(std::string_view text);  // with its quotes; UTF-8, as it is in the files

std::string lower_case(std::string_view text);  // ASCII
bool is_token(std::string_view text);           // a header name or a method, RFC 9110 5.6.2

}  // namespace raincheck::config
