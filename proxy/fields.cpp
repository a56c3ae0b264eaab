#include "proxy/fields.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "proxy/characters.hpp"
#include "proxy/head_lines.hpp"

namespace raincheck::proxy {

namespace {

constexpr std::size_t host_bytes_max = 255;
constexpr std::size_t forwarded_hops_max = 32;

bool all_of(std::string_view text, std::uint8_t characters) {
  return std::all_of(text.begin(), text.end(),
                     [characters](char c) { return is_character(c, characters); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_address(std::string_view text, int family) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  std::array<unsigned char, 16> parsed{};
  if (text.size() >= terminated.size()) return false;
  std::copy(text.begin(), text.end(), terminated.begin());
  return inet_pton(family, terminated.data(), parsed.data()) == 1;
}

bool is_host(std::string_view text) {
  if (text.starts_with('[')) {
    return text.ends_with(']') && is_address(text.substr(1, text.size() - 2), AF_INET6);
  }
  if (text.empty() || text.size() > host_bytes_max || !all_of(text, characters::host)) return false;
  return text.front() != '.' && text.find("..") == std::string_view::npos;
}

bool is_port(std::string_view text) {
  std::uint64_t port = 0;
  return text.size() <= 5 && parse_content_length(text, port) && port != 0 && port <= 65535;
}

// One field line in the making: what is added is checked when it is finished, and taken back if it
// may not stand there.
class FieldLine {
 public:
  FieldLine(std::string& out, std::string_view name) : out_(out), begin_(out.size()) {
    is_good_ = is_token(name);
    out_.append(name).append(": ");
    value_ = out_.size();
  }

  void add_element(std::string_view element) {
    if (out_.size() != value_) out_.append(", ");
    out_.append(element);
  }
  void add(std::string_view text) { out_.append(text); }

  void finish_unless_empty() {
    is_good_ = is_good_ && out_.size() != value_;
    finish();
  }

  bool finish() {
    is_good_ = is_good_ && is_field_value(std::string_view(out_).substr(value_));
    if (is_good_) {
      out_.append("\r\n");
    } else {
      out_.resize(begin_);
    }
    return is_good_;
  }

 private:
  std::string& out_;
  std::size_t begin_;
  std::size_t value_;
  bool is_good_;
};

// Fields that are about one connection only (RFC 9110 section 7.6.1), and framing, which is written
// anew.
bool is_hop_by_hop(std::string_view name) {
  switch (name.size()) {
    case 2:
      return is_same_name(name, "TE");
    case 7:
      return is_same_name(name, "Trailer") || is_same_name(name, "Upgrade");
    case 10:
      return is_same_name(name, "Connection") || is_same_name(name, "Keep-Alive");
    case 14:
      return is_same_name(name, "Content-Length") || is_same_name(name, "HTTP2-Settings");
    case 16:
      return is_same_name(name, "Proxy-Connection");
    case 17:
      return is_same_name(name, "Transfer-Encoding");
    case 18:
      return is_same_name(name, "Proxy-Authenticate");
    case 19:
      return is_same_name(name, "Proxy-Authorization");
    default:
      return false;
  }
}

bool has_prefix(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() && is_same_name(name.substr(0, prefix.size()), prefix);
}

// What Connection names besides the fields that are hop-by-hop anyway.
class NamedOptions {
 public:
  explicit NamedOptions(const Fields& fields) {
    fields.for_each_element("Connection", [this](std::string_view option) {
      if (is_same_name(option, "close") || is_hop_by_hop(option)) return;
      if (count_ < options_.size()) options_[count_++] = option;
    });
  }

  bool contain(std::string_view name) const {
    return std::any_of(options_.begin(), options_.begin() + count_,
                       [name](std::string_view option) { return is_same_name(option, name); });
  }

 private:
  std::array<std::string_view, connection_options_max> options_;
  std::size_t count_ = 0;
};

// Written by us, whoever the peer is. Proxy is read by CGI programs as the address of a proxy to
// use (httpoxy).
bool is_replaced(std::string_view name, const Identity& identity) {
  return is_same_name(name, "Host") || is_same_name(name, "Expect") || is_same_name(name, "Via") ||
         is_same_name(name, "Proxy") || has_prefix(name, "Proxy-") ||
         is_same_name(name, "X-Forwarded-For") || is_same_name(name, "X-Forwarded-Proto") ||
         is_same_name(name, "X-Forwarded-Host") || is_same_name(name, identity.request_id_header);
}

bool is_about_client(std::string_view name) {
  return has_prefix(name, "X-Forwarded-") || is_same_name(name, "X-Real-IP") ||
         is_same_name(name, "Forwarded");
}

// The value of a trusted peer if there is exactly one and it can be one, else ours.
std::string_view told_or(const RequestHead& head,
                         const Identity& identity,
                         std::string_view name,
                         std::string_view ours) {
  if (!identity.peer_trusted || head.fields.count(name) != 1) return ours;
  const std::string_view told = *head.fields.find(name);
  const bool is_good =
      name == "X-Forwarded-Proto" ? is_token(told) : parse_authority(told).has_value();
  return is_good ? told : ours;
}

void append_identity(std::string& out, const RequestHead& head, const Identity& identity) {
  const auto append_chain = [&](FieldLine& line, std::string_view name) {
    head.fields.for_each_element(name,
                                 [&](std::string_view element) { line.add_element(element); });
  };
  FieldLine chain(out, "X-Forwarded-For");
  if (identity.peer_trusted) append_chain(chain, "X-Forwarded-For");
  // A process on this machine has no address.
  if (identity.client_address != "unix") chain.add_element(identity.client_address);
  chain.finish_unless_empty();
  const auto proto = told_or(head, identity, "X-Forwarded-Proto", identity.scheme);
  (void)append_field(out, "X-Forwarded-Proto", proto);
  const auto host = told_or(head, identity, "X-Forwarded-Host", identity.host);
  if (!host.empty()) (void)append_field(out, "X-Forwarded-Host", host);
  FieldLine via(out, "Via");
  // Whoever says it: without the whole chain a loop through others would not be found.
  append_chain(via, "Via");
  via.add_element(head.minor_version == 0 ? "1.0 " : "1.1 ");
  via.add(identity.pseudonym);
  via.finish();
  (void)append_field(out, identity.request_id_header, identity.request_id);
}

// The address in an element of X-Forwarded-For, which may have a port; empty if there is none.
std::string_view address_in(std::string_view element) {
  if (element.starts_with('[')) {
    const std::size_t end = element.find(']');
    if (end == std::string_view::npos) return {};
    const std::string_view after = element.substr(end + 1);
    const std::string_view address = element.substr(1, end - 1);
    const bool is_good = (after.empty() || (after.front() == ':' && is_port(after.substr(1)))) &&
                         is_address(address, AF_INET6);
    return is_good ? address : std::string_view();
  }
  if (is_address(element, AF_INET6)) return element;
  const std::size_t colon = element.find(':');
  const std::string_view address = element.substr(0, colon);
  if (colon != std::string_view::npos && !is_port(element.substr(colon + 1))) return {};
  return is_address(address, AF_INET) ? address : std::string_view();
}

// Takes the last element off a comma-separated list.
std::string_view take_last(std::string_view& list) {
  const std::size_t comma = list.rfind(',');
  const std::string_view element =
      trim(comma == std::string_view::npos ? list : list.substr(comma + 1));
  list = comma == std::string_view::npos ? std::string_view() : list.substr(0, comma);
  return element;
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && all_of(text, characters::token);
}

bool is_field_value(std::string_view text) {
  return field_value_prefix(text) == text.size();
}

std::optional<std::string_view> parse_authority(std::string_view text) {
  const std::size_t host_end = text.starts_with('[') ? text.find(']') : 0;
  if (host_end == std::string_view::npos) return std::nullopt;
  const std::size_t colon = text.find(':', host_end);
  const std::string_view host = text.substr(0, colon);
  if (!is_host(host)) return std::nullopt;
  if (colon == std::string_view::npos) return text;
  const std::string_view port = text.substr(colon + 1);
  if (port.empty()) return host;
  return is_port(port) ? std::optional(text) : std::nullopt;
}

bool append_field(std::string& out, std::string_view name, std::string_view value) {
  FieldLine line(out, name);
  line.add(trim(value));
  return line.finish();
}

void append_request_fields(std::string& out, const RequestHead& head, const Identity& identity) {
  const NamedOptions named(head.fields);
  for (const Field& field : head.fields) {
    const std::string_view name = field.name;
    if (is_hop_by_hop(name) || is_replaced(name, identity) || named.contain(name)) continue;
    if (name.find('_') != std::string_view::npos) continue;
    if (!identity.peer_trusted && is_about_client(name)) continue;
    (void)append_field(out, name, field.value);
  }
  append_identity(out, head, identity);
}

void append_response_fields(std::string& out, const ResponseHead& head) {
  const NamedOptions named(head.fields);
  for (const Field& field : head.fields) {
    if (is_hop_by_hop(field.name) || named.contain(field.name)) continue;
    (void)append_field(out, field.name, field.value);
  }
}

bool names_us(const RequestHead& head, std::string_view pseudonym) {
  bool found = false;
  head.fields.for_each_element("Via", [&found, pseudonym](std::string_view element) {
    // The protocol, whitespace, then who received it, perhaps with a port or a comment.
    element.remove_prefix(std::min(element.find_first_of(" \t"), element.size()));
    element = trim(element);
    found = found || is_same_name(element.substr(0, element.find_first_of(" \t:(")), pseudonym);
  });
  return found;
}

std::string_view client_address(const RequestHead& head,
                                std::string_view peer,
                                const std::function<bool(std::string_view)>& is_trusted) {
  std::size_t hops = 0;
  for (std::size_t i = head.fields.size(); i != 0; --i) {
    const Field& field = head.fields[i - 1];
    if (!is_same_name(field.name, "X-Forwarded-For")) continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      if (++hops > forwarded_hops_max || !is_trusted(peer)) return peer;
      const std::string_view element = take_last(list);
      if (element.empty()) continue;
      const std::string_view told = address_in(element);
      if (told.empty()) return peer;
      peer = told;
    }
  }
  return peer;
}

}  // namespace raincheck::proxy
