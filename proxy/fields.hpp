// Writing fields: which ones of a message go on to the other side, what is said in them about the
// client, and the one function that puts a name and a value into a head, so that nothing can break
// out of its line. Pure; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/message_head.hpp"

namespace raincheck::proxy {

// A field name or a method (RFC 9110 section 5.6.2).
bool is_token(std::string_view text);
// No control character but the tab, so neither a line end nor a NUL.
bool is_field_value(std::string_view text);

// host[:port] as it may stand in Host: a name, an IPv4 or a bracketed IPv6 address, without a user,
// and stricter than RFC 3986, which would let lists and escapes pass for names. An empty port is
// cut off.
std::optional<std::string_view> parse_authority(std::string_view text);

// The one function that writes a field. False, and nothing is written, if name or value is not
// allowed; whitespace around the value is dropped, as a reader would.
[[nodiscard]] bool append_field(std::string& out, std::string_view name, std::string_view value);

// What a backend is told about the client.
struct Identity {
  std::string_view client_address;  // of the peer, no port; "unix" for a unix socket
  bool peer_trusted = false;        // what the peer says about whom it speaks for is believed
  std::string_view scheme;          // http or https
  std::string_view host;            // public authority
  std::string_view pseudonym;       // of this proxy, in Via
  std::string_view request_id;
  std::string_view request_id_header;  // its field name
};

// The end-to-end fields of a request, then our own: X-Forwarded-For (one line, the peer's address
// after the chain of a trusted peer), X-Forwarded-Proto, X-Forwarded-Host, Via (one line, our
// pseudonym after the chain), the request id.
// Left out are hop-by-hop fields and what Connection names, what the caller writes itself (Host,
// framing, Upgrade), names with '_' (CGI cannot tell them from '-'), Proxy and Proxy-* and, from a
// peer that is not trusted, all that pretends to know the client (X-Forwarded-*, X-Real-IP,
// Forwarded). A trusted peer's X-Forwarded-Proto and -Host stand instead of ours.
void append_request_fields(std::string& out, const RequestHead& head, const Identity& identity);

// The end-to-end fields of a response, without Content-Length: the caller writes framing.
void append_response_fields(std::string& out, const ResponseHead& head);

// Via holds our own pseudonym: the request has been here before.
bool names_us(const RequestHead& head, std::string_view pseudonym);

// The address of the client on whose behalf `peer` speaks: X-Forwarded-For is walked from right to
// left as long as `is_trusted` says so of the address that told us. A view into `head` or `peer`.
std::string_view client_address(const RequestHead& head,
                                std::string_view peer,
                                const std::function<bool(std::string_view)>& is_trusted);

}  // namespace raincheck::proxy
