// Which fields of a message go on to the other side, and what is said in them about the client.
// Everything is written by routes::append_field(), so that nothing can break out of its line. Pure;
// any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/message_head.hpp"
#include "routes/authority.hpp"

namespace raincheck::proxy {

using routes::append_field;
using routes::is_field_value;
using routes::is_token;
using routes::parse_authority;

// What a backend is told about the client.
struct Identity {
  std::string_view client_address;  // of the peer, no port; "unix" for a unix socket
  bool peer_trusted = false;        // what the peer says about whom it speaks for is believed
  std::string_view scheme;          // http or https
  std::string_view host;            // public authority
  std::string_view pseudonym;       // of this proxy, in Via
  std::string_view request_id;
  std::string_view request_id_header;  // its field name
  bool forwarded = false;              // tell in Forwarded too
  std::string_view traceparent;        // for a request without a valid one; may be empty
};

// The end-to-end fields of a request, then our own: X-Forwarded-For (one line, the peer's address
// after the chain of a trusted peer), X-Forwarded-Proto, X-Forwarded-Host, Forwarded if asked for,
// Via (one line, our pseudonym after the chain), the request id, traceparent if there was none.
// Left out are hop-by-hop fields and what Connection names, what the caller writes itself (Host,
// framing, Upgrade), names with '_' (CGI cannot tell them from '-'), Proxy and Proxy-* and, from a
// peer that is not trusted, all that pretends to know the client (X-Forwarded-*, X-Real-IP,
// Forwarded). A trusted peer's X-Forwarded-Proto and -Host stand instead of ours. A traceparent
// that is not valid is left out, and tracestate with it.
void append_request_fields(std::string& out, const RequestHead& head, const Identity& identity);

// A request of this method has a Content-Length even without a body (RFC 9110 section 8.6).
bool says_length(std::string_view method);

// The fields that ask for another protocol, or agree to one; nothing if `protocol` is empty.
void append_upgrade(std::string& out, std::string_view protocol);

// The end-to-end fields of a response, without Content-Length: the caller writes framing.
void append_response_fields(std::string& out, const ResponseHead& head);

// Via holds our own pseudonym: the request has been here before.
bool names_us(const RequestHead& head, std::string_view pseudonym);

// The address of the client on whose behalf `peer` speaks: X-Forwarded-For is walked from right to
// left as long as `is_trusted` says so of the address that told us. A view into `head` or `peer`.
std::string_view client_address(const RequestHead& head,
                                std::string_view peer,
                                const std::function<bool(std::string_view)>& is_trusted);

// The same of the fields that append_request_fields() wrote, where X-Forwarded-For ends with the
// peer; empty when that has no address.
std::string_view client_address(const routes::Fields& written,
                                const std::function<bool(std::string_view)>& is_trusted);

}  // namespace raincheck::proxy
