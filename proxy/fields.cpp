#include "proxy/fields.hpp"

#include <algorithm>
#include <array>

#include "proxy/characters.hpp"
#include "proxy/forwarded.hpp"
#include "proxy/head_lines.hpp"
#include "proxy/trace_context.hpp"
#include "routes/authority.hpp"

namespace raincheck::proxy {

namespace {

constexpr std::size_t forwarded_hops_max = 32;

using jobs::trim;
using routes::FieldLine;

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
         is_same_name(name, "X-Forwarded-Host") || is_same_name(name, identity.request_id_header) ||
         (identity.forwarded && is_same_name(name, "Forwarded"));
}

bool is_about_trace(std::string_view name) {
  return is_same_name(name, "traceparent") || is_same_name(name, "tracestate");
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
  if (identity.forwarded) append_forwarded(out, head, identity);
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
    const bool is_good =
        (after.empty() || (after.front() == ':' && routes::is_port(after.substr(1)))) &&
        routes::is_ipv6(address);
    return is_good ? address : std::string_view();
  }
  if (routes::is_ipv6(element)) return element;
  const std::size_t colon = element.find(':');
  const std::string_view address = element.substr(0, colon);
  if (colon != std::string_view::npos && !routes::is_port(element.substr(colon + 1))) return {};
  return routes::is_ipv4(address) ? address : std::string_view();
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

void append_request_fields(std::string& out, const RequestHead& head, const Identity& identity) {
  const NamedOptions named(head.fields);
  const bool has_trace = !trace_id_of(head.fields).empty();
  for (const Field& field : head.fields) {
    const std::string_view name = field.name;
    if (is_hop_by_hop(name) || is_replaced(name, identity) || named.contain(name)) continue;
    if (name.find('_') != std::string_view::npos) continue;
    if (!identity.peer_trusted && is_about_client(name)) continue;
    if (!has_trace && is_about_trace(name)) continue;
    (void)append_field(out, name, field.value);
  }
  append_identity(out, head, identity);
  if (!has_trace && !identity.traceparent.empty()) {
    (void)append_field(out, "traceparent", identity.traceparent);
  }
}

void append_response_fields(std::string& out, const ResponseHead& head) {
  const NamedOptions named(head.fields);
  for (const Field& field : head.fields) {
    if (is_hop_by_hop(field.name) || named.contain(field.name)) continue;
    (void)append_field(out, field.name, field.value);
  }
}

bool says_length(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

void append_upgrade(std::string& out, std::string_view protocol) {
  if (protocol.empty()) return;
  out.append("Connection: Upgrade\r\nUpgrade: ").append(protocol).append("\r\n");
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

std::string_view client_address(const routes::Fields& written,
                                const std::function<bool(std::string_view)>& is_trusted) {
  std::string_view chain = written.find("X-Forwarded-For").value_or("");
  std::string_view client;
  for (std::size_t hops = 0; !chain.empty() && hops <= forwarded_hops_max; ++hops) {
    const std::string_view told = address_in(take_last(chain));
    if (told.empty()) break;
    client = told;
    if (!is_trusted(client)) break;
  }
  return client;
}

}  // namespace raincheck::proxy
