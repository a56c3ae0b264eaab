#include "config/text.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace raincheck::config {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_alphanumeric(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

std::string_view take_digits(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  const std::string_view digits = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(digits.size());
  return digits;
}

std::optional<std::uint64_t> to_number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return {};
  return value;
}

std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
  if (a > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / b) return {};
  return a * b;
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first, so that a duration's units are in order when their indexes grow.
constexpr Unit duration_units[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};

constexpr Unit size_units[] = {{"TiB", gib * 1024},
                               {"TB", 1'000'000'000'000},
                               {"GiB", gib},
                               {"GB", 1'000'000'000},
                               {"MiB", mib},
                               {"MB", 1'000'000},
                               {"KiB", kib},
                               {"KB", 1'000},
                               {"B", 1}};

constexpr auto longest_duration = std::uint64_t{3650} * 86'400'000;  // ten years

// "host" or "[v6]", then ":port" unless it is absent.
struct HostPort {
  std::string_view host;
  bool is_bracketed = false;
  std::optional<std::string_view> port;
};

std::optional<HostPort> split_host_port(std::string_view text) {
  HostPort parts;
  if (text.substr(0, 1) == "[") {
    const std::size_t close = text.find(']');
    if (close == text.npos) return {};
    parts.host = text.substr(1, close - 1);
    parts.is_bracketed = true;
    text.remove_prefix(close + 1);
    if (text.empty()) return parts;
    if (text.front() != ':') return {};
    parts.port = text.substr(1);
    return parts;
  }
  const std::size_t colon = text.find(':');
  parts.host = text.substr(0, colon);
  if (colon != text.npos) parts.port = text.substr(colon + 1);
  return parts;
}

std::optional<std::uint16_t> to_port(std::string_view text) {
  const auto number = parse_number(text);
  if (!number || *number > 65535) return {};
  return static_cast<std::uint16_t>(*number);
}

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253 || !is_alphanumeric(host.front())) return false;
  return std::all_of(host.begin(), host.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; });
}

bool is_ip4(std::string_view text) {
  in_addr address{};
  return inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

bool is_ip6(std::string_view text) {
  in6_addr address{};
  return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

Parsed<Origin> wrong_origin(std::string_view url, const std::string& why) {
  return Parsed<Origin>::wrong(quoted(url) + " " + why +
                               "; a server is http://host:port or https://host:port");
}

}  // namespace

Parsed<std::uint64_t> parse_number(std::string_view text) {
  using Result = Parsed<std::uint64_t>;
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) {
    return Result::wrong("must be a whole number, not " + quoted(text));
  }
  if (text.size() > 1 && text.front() == '0') {
    return Result::wrong("must be a decimal number without leading zeros, not " + quoted(text));
  }
  const auto value = to_number(text);
  if (!value) return Result::wrong(quoted(text) + " is too large");
  return *value;
}

Parsed<milliseconds> parse_duration(std::string_view text) {
  using Result = Parsed<milliseconds>;
  const auto malformed = [&] {
    return Result::wrong("must be a duration such as '30s' or '1h30m', not " + quoted(text));
  };
  std::uint64_t total = 0;
  std::size_t next_unit = 0;
  for (std::string_view rest = text; !rest.empty() || text.empty();) {
    const std::string_view digits = take_digits(rest);
    if (digits.empty()) return malformed();
    const auto end = std::find_if(rest.begin(), rest.end(), is_digit);
    const std::string_view name = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
    if (name.empty()) {
      if (digits.size() != text.size()) return malformed();
      return Result::wrong("needs a unit: write '" + std::string(text) + "s', not " + quoted(text));
    }
    const auto unit = std::find_if(std::begin(duration_units) + next_unit, std::end(duration_units),
                                   [&](const Unit& known) { return known.name == name; });
    if (unit == std::end(duration_units)) return malformed();
    next_unit = static_cast<std::size_t>(unit - std::begin(duration_units)) + 1;
    const auto number = to_number(digits);
    const auto part = number ? multiply(*number, unit->factor) : std::nullopt;
    if (!part || *part > longest_duration || total + *part > longest_duration) {
      return Result::wrong(quoted(text) + " is longer than ten years");
    }
    total += *part;
    rest.remove_prefix(name.size());
  }
  return milliseconds(total);
}

std::string format_duration(milliseconds duration) {
  auto rest = static_cast<std::uint64_t>(duration.count());
  if (rest == 0) return "0s";
  // What people write: 24h, not 1d; 60s, not 1m; 1h, not 60m.
  for (const Unit& unit : {duration_units[1], duration_units[2], duration_units[3]}) {
    const bool is_usual = unit.name != "m" || rest > unit.factor;
    if (is_usual && rest % unit.factor == 0) {
      return std::to_string(rest / unit.factor) + std::string(unit.name);
    }
  }
  std::string text;
  for (const Unit& unit : duration_units) {
    if (rest < unit.factor) continue;
    text += std::to_string(rest / unit.factor) + std::string(unit.name);
    rest %= unit.factor;
  }
  return text;
}

Parsed<std::uint64_t> parse_size(std::string_view text) {
  using Result = Parsed<std::uint64_t>;
  std::string_view name = text;
  const std::string_view digits = take_digits(name);
  if (digits.empty()) {
    return Result::wrong("must be a size such as '10MiB' or '512KiB', not " + quoted(text));
  }
  if (name.empty()) {
    return Result::wrong("needs a unit: write '" + std::string(text) + "B' or '" +
                         std::string(text) + "MiB', not " + quoted(text));
  }
  for (const Unit& unit : size_units) {
    if (unit.name != name) continue;
    const auto number = to_number(digits);
    const auto size = number ? multiply(*number, unit.factor) : std::nullopt;
    if (!size) return Result::wrong(quoted(text) + " is too large");
    return *size;
  }
  return Result::wrong("has no unit " + quoted(name) + ": use B, KiB, MiB, GiB, KB, MB or GB");
}

std::string format_size(std::uint64_t bytes) {
  for (const std::string_view name : {"GiB", "MiB", "KiB"}) {
    const Unit* unit = std::find_if(std::begin(size_units), std::end(size_units),
                                    [&](const Unit& known) { return known.name == name; });
    if (bytes >= unit->factor && bytes % unit->factor == 0) {
      return std::to_string(bytes / unit->factor) + std::string(name);
    }
  }
  return std::to_string(bytes) + "B";
}

Parsed<StatusRange> parse_statuses(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash));
  const auto last = dash == text.npos ? first : parse_number(text.substr(dash + 1));
  if (!first || !last || *first < 200 || *last > 599 || *first > *last) {
    return Parsed<StatusRange>::wrong(
        "must be a status or a range from 200 to 599, such as "
        "'200-399', not " +
        quoted(text));
  }
  return StatusRange{static_cast<int>(*first), static_cast<int>(*last)};
}

std::string format_match(const Match& match) {
  std::string text;
  const char* before = "";
  const auto add = [&](const std::string& item, const char* next) {
    text += before + item;
    before = next;
  };
  for (const std::string& method : match.methods) add(method, ",");
  before = match.methods.empty() ? "" : " ";
  for (const std::string& host : match.hosts) add(host, ",");
  if (!match.hosts.empty()) before = "";
  add(match.path, "?");
  const auto add_pairs = [&](const std::vector<Named<std::string>>& pairs, const char* next) {
    for (const auto& [name, value] : pairs) {
      add(name, "=");
      add(value, next);
    }
  };
  add_pairs(match.query, "&");
  before = " ";
  add_pairs(match.headers, " ");
  return text;
}

Parsed<Origin> parse_origin(std::string_view url) {
  Origin origin;
  origin.is_tls = url.substr(0, 8) == "https://";
  const std::uint16_t default_port = origin.is_tls ? 443 : 80;
  if (!origin.is_tls && url.substr(0, 7) != "http://") {
    return wrong_origin(url, "does not begin with 'http://' or 'https://'");
  }
  std::string_view rest = url.substr(origin.is_tls ? 8 : 7);
  if (rest.find('@') != rest.npos) return wrong_origin("http://...", "holds a user name");
  if (const std::size_t path = rest.find_first_of("/?#"); path != rest.npos) {
    return wrong_origin(
        url, "has a path, which a server cannot have: '" + std::string(rest.substr(path)) + "'");
  }
  const auto parts = split_host_port(rest);
  if (!parts || parts->host.empty()) return wrong_origin(url, "names no host");
  const bool is_good = parts->is_bracketed ? is_ip6(parts->host) : is_host_name(parts->host);
  if (!is_good) return wrong_origin(url, "has no valid host");
  origin.host = lower_case(parts->host);
  origin.port = default_port;
  if (parts->port) {
    const auto port = to_port(*parts->port);
    if (!port || *port == 0) return wrong_origin(url, "has no valid port");
    origin.port = *port;
  }
  origin.authority = parts->is_bracketed ? "[" + origin.host + "]" : origin.host;
  if (origin.port != default_port) origin.authority += ":" + std::to_string(origin.port);
  return origin;
}

UrlParts split_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  const std::size_t path = url.find_first_of("/?#", scheme == url.npos ? 0 : scheme + 3);
  if (path == url.npos) return {url, {}};
  return {url.substr(0, path), url.substr(path)};
}

namespace {

// As systemd.socket(5) has them: up to 255 printable characters without a colon.
bool is_passed_name(std::string_view name) {
  const auto may_be = [](char c) { return c > ' ' && c <= '~' && c != ':'; };
  return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), may_be);
}

}  // namespace

Parsed<ListenAddress> parse_listen_address(std::string_view text) {
  using Result = Parsed<ListenAddress>;
  ListenAddress address;
  if (text.substr(0, 8) == "systemd:") {
    address.passed_name = text.substr(8);
    if (!is_passed_name(address.passed_name)) {
      return Result::wrong(
          "a socket of systemd has the name of its FileDescriptorName=: systemd:http");
    }
    return address;
  }
  if (text.substr(0, 5) == "unix:") {
    address.socket_path = text.substr(5);
    if (address.socket_path.empty() || address.socket_path.front() != '/') {
      return Result::wrong("a socket needs an absolute path: unix:/run/raincheck/http.sock");
    }
    if (address.socket_path.size() > 107) return Result::wrong("the socket's path is too long");
    return address;
  }
  const auto malformed = [&](const std::string& why) {
    return Result::wrong(quoted(text) + " " + why +
                         "; write 127.0.0.1:8080, [::1]:8080, unix:/path or systemd:name");
  };
  const auto parts = split_host_port(text);
  if (!parts || !parts->port) return malformed("has no port");
  const bool is_address = parts->is_bracketed ? is_ip6(parts->host) : is_ip4(parts->host);
  if (!is_address) return malformed("is not an IP address and a port");
  const auto port = to_port(*parts->port);
  if (!port) return malformed("has no valid port");
  address.host = parts->host;
  address.port = *port;
  return address;
}

std::optional<std::array<std::uint8_t, 16>> parse_ip(std::string_view text) {
  std::array<std::uint8_t, 16> bytes{};
  const std::string zero_ended(text);
  if (inet_pton(AF_INET6, zero_ended.c_str(), bytes.data()) == 1) return bytes;
  bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (inet_pton(AF_INET, zero_ended.c_str(), bytes.data() + 12) == 1) return bytes;
  return {};
}

bool Network::contains(const std::array<std::uint8_t, 16>& other) const {
  for (int bit = 0; bit < prefix; bit += 8) {
    const auto i = static_cast<std::size_t>(bit / 8);
    const int left = std::min(prefix - bit, 8);
    const auto mask = static_cast<std::uint8_t>(0xFF << (8 - left));
    if (((address[i] ^ other[i]) & mask) != 0) return false;
  }
  return true;
}

Parsed<Network> parse_network(std::string_view text) {
  using Result = Parsed<Network>;
  const auto malformed = [&](const std::string& why) {
    return Result::wrong(quoted(text) + " " + why + "; write 10.0.0.0/8, ::1/128 or one address");
  };
  const std::size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return malformed("is not an IP network");
  Network network{*address, 128};
  if (slash == text.npos) return network;
  const bool is_v4 = is_ip4(text.substr(0, slash));
  const auto prefix = parse_number(text.substr(slash + 1));
  if (!prefix || *prefix > (is_v4 ? 32U : 128U)) return malformed("has no valid prefix length");
  network.prefix = static_cast<int>(*prefix) + (is_v4 ? 96 : 0);
  for (int bit = network.prefix; bit < 128; ++bit) {
    if ((network.address[static_cast<std::size_t>(bit / 8)] >> (7 - bit % 8)) & 1) {
      return malformed("has bits beyond its prefix length");
    }
  }
  return network;
}

bool is_json_literal(std::string_view text) {
  if (text == "true" || text == "false" || text == "null") return true;
  if (!text.empty() && text.front() == '-') text.remove_prefix(1);
  const std::string_view whole = take_digits(text);
  if (whole.empty() || (whole.size() > 1 && whole.front() == '0')) return false;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    if (take_digits(text).empty()) return false;
  }
  if (text.empty()) return true;
  if (text.front() != 'e' && text.front() != 'E') return false;
  text.remove_prefix(1);
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) text.remove_prefix(1);
  return !take_digits(text).empty() && text.empty();
}

std::string json_text(std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20) {
      out += "\\u00";
      out += hex[code >> 4];
      out += hex[code & 15];
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

}  // namespace raincheck::config
