#include "config/rules.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "config/text.hpp"

namespace raincheck::config {
namespace {

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Characters that a path holds without being decoded or escaped anywhere on its way.
bool is_plain_path(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || std::string_view("/-._~").find(c) != std::string_view::npos;
  });
}

bool has_dot_segment(std::string_view path) {
  const std::string closed = std::string(path) + "/";
  return closed.find("/./") != closed.npos || closed.find("/../") != closed.npos ||
         closed.substr(0, closed.size() - 1).find("//") != closed.npos;
}

constexpr std::array<std::string_view, 14> reserved_fields = {
    "connection",       "content-length",     "expect",  "host",    "http2-settings",
    "keep-alive",       "proxy-authenticate", "te",      "trailer", "proxy-authorization",
    "proxy-connection", "transfer-encoding",  "upgrade", "via"};

}  // namespace

std::string check_name(std::string_view text) {
  const bool is_good = !text.empty() && text.size() <= 64 && is_alphanumeric(text.front()) &&
                       std::all_of(text.begin(), text.end(), [](char c) {
                         return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
                       });
  if (is_good) return "";
  return "must be a name of at most 64 letters, digits, '-', '_' and '.', not " + quoted(text);
}

std::string check_label(std::string_view text) {
  if (text.empty()) return "must not be empty";
  if (text.size() > 128) return "must not be longer than 128 bytes";
  return "";
}

std::string check_method(std::string_view text) {
  const auto is_lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (!is_token(text) || text.size() > 32) return quoted(text) + " is not a method";
  if (std::any_of(text.begin(), text.end(), is_lower)) {
    std::string upper(text);
    for (char& c : upper) c = is_lower(c) ? static_cast<char>(c - 32) : c;
    return "methods are written in capitals: '" + upper + "', not " + quoted(text);
  }
  if (text == "CONNECT" || text == "TRACE") return quoted(text) + " is never passed on";
  return "";
}

std::string check_match_path(std::string_view text) {
  if (text.empty() || text.front() != '/') {
    return "must begin with '/', unlike " + quoted(text);
  }
  if (text.size() > 1024) return "must not be longer than 1024 bytes";
  return "";
}

std::string check_call_path(std::string_view text) {
  if (text.empty() || text.front() != '/') return "must begin with '/', unlike " + quoted(text);
  const bool is_good = std::all_of(text.begin(), text.end(),
                                   [](char c) { return '!' <= c && c <= '~' && c != '#'; });
  return is_good
             ? ""
             : "must be a path as it is asked for, without spaces, '#' and letters beyond ASCII";
}

std::string check_exact_path(std::string_view text) {
  if (text.empty() || text.front() != '/') return "must begin with '/', unlike " + quoted(text);
  if (text.find_first_of("*{}?# ") != text.npos) {
    return "must be one path, without '*', '{', '?' or '#', unlike " + quoted(text);
  }
  return "";
}

std::string check_base_path(std::string_view text) {
  if (text.empty() || text.front() != '/') return "must begin with '/', unlike " + quoted(text);
  if (text == "/") return "must not be '/': every path would be a job's";
  if (text.back() == '/')
    return "must not end with '/': write " + quoted(text.substr(0, text.size() - 1));
  if (!is_plain_path(text) || has_dot_segment(text)) {
    return "must be a plain path of letters, digits, '-', '_', '.' and '~', unlike " + quoted(text);
  }
  return "";
}

bool is_reserved_field(std::string_view name) {
  return std::find(reserved_fields.begin(), reserved_fields.end(), lower_case(name)) !=
         reserved_fields.end();
}

std::string check_header_name(std::string_view text) {
  if (!is_token(text) || text.size() > 64) return quoted(text) + " is not a header name";
  if (is_reserved_field(text)) {
    return quoted(text) + " has a meaning of its own in HTTP and cannot be used here";
  }
  return "";
}

std::string check_changed_field(std::string_view text) {
  if (!is_token(text) || text.size() > 64) return quoted(text) + " is not a header name";
  if (lower_case(text) == "host") return "no rule touches 'Host': write 'rewrite: { host: ... }'";
  if (is_reserved_field(text)) {
    return quoted(text) +
           " frames messages or belongs to one connection: it is written anew and no rule touches "
           "it";
  }
  return "";
}

std::string check_removed_field(std::string_view text) {
  if (text == "*") return "'*' alone would remove every field: name them, or how they begin";
  const bool is_beginning = !text.empty() && text.back() == '*';
  if (!is_beginning && text.find('*') == text.npos) return check_changed_field(text);
  if (!is_beginning) return quoted(text) + ": '*' stands at the end, for all that begin so";
  text.remove_suffix(1);
  const bool is_good = is_token(text) && text.size() <= 64 && text.find('*') == text.npos;
  return is_good ? "" : quoted(text) + " is not the beginning of a header name";
}

std::string check_field_text(std::string_view text) {
  if (text.size() > 1024) return "must not be longer than 1024 bytes";
  return "";
}

std::string check_match_host(std::string_view text) {
  std::string_view host = text;
  if (host.substr(0, 2) == "*.") host.remove_prefix(2);
  if (const auto origin = parse_origin("http://" + std::string(host)); !origin) {
    return "must be a host such as 'api.example.com' or '*.example.com', not " + quoted(text);
  }
  const std::size_t colon = host.rfind(':');
  if (colon != host.npos && host.back() != ']') return "must be a host without a port";
  return "";
}

std::string check_allowed_origin(std::string_view text) {
  if (text == "*") return "";
  if (text == "null") return "'null' is what any page can make itself: no origin to allow";
  const std::size_t scheme = text.find("://");
  if (scheme == text.npos || !is_token(text.substr(0, scheme))) {
    return "must be '*' or an origin such as 'https://app.example.com', not " + quoted(text);
  }
  if (text != lower_case(text)) {
    return "is compared with what browsers send, which is lower case: " + quoted(lower_case(text));
  }
  std::string_view host = text.substr(scheme + 3);
  if (const std::size_t path = host.find_first_of("/?#"); path != host.npos) {
    return "has more than an origin has: write " +
           quoted(text.substr(0, text.size() - host.size() + path));
  }
  if (host.substr(0, 2) == "*.") host.remove_prefix(2);
  const auto origin = parse_origin("http://" + std::string(host));
  if (!origin) return "must be an origin such as 'https://app.example.com', not " + quoted(text);
  const std::string_view name = text.substr(0, scheme);
  const std::string_view port = name == "https" ? ":443" : name == "http" ? ":80" : "";
  const bool has_default_port =
      !port.empty() && host.size() > port.size() && host.substr(host.size() - port.size()) == port;
  return has_default_port ? "never matches: browsers leave out '" + std::string(port) + "' there"
                          : "";
}

std::string check_listen_address(std::string_view text) {
  const auto address = parse_listen_address(text);
  return address ? "" : address.why();
}

std::string check_network(std::string_view text) {
  const auto network = parse_network(text);
  return network ? "" : network.why();
}

std::string check_public_url(std::string_view text) {
  std::string_view rest = text;
  if (rest.substr(0, 8) == "https://") {
    rest.remove_prefix(8);
  } else if (rest.substr(0, 7) == "http://") {
    rest.remove_prefix(7);
  } else {
    return "must begin with 'https://' or 'http://', unlike " + quoted(text);
  }
  if (rest.find_first_of("?#@") != rest.npos) {
    return "must be scheme, host, port and path only: no user, query or fragment";
  }
  if (rest.empty() || rest.back() == '/') {
    return rest.find_first_not_of('/') == rest.npos ? "names no host" : "must not end with '/'";
  }
  const std::string_view host = rest.substr(0, rest.find('/'));
  const std::string_view path = rest.substr(host.size());
  if (const auto origin = parse_origin("http://" + std::string(host)); !origin) {
    return "has no valid host: " + quoted(host);
  }
  if (!is_plain_path(path) || has_dot_segment(path)) return "has no plain path: " + quoted(path);
  return "";
}

std::string check_server_url(std::string_view text) {
  const auto origin = parse_origin(text);
  return origin ? "" : origin.why();
}

std::string check_host_name(std::string_view text) {
  const bool is_ip6 = text.find(':') != text.npos;
  const std::string url = "http://" + (is_ip6 ? "[" + std::string(text) + "]" : std::string(text));
  const auto origin = parse_origin(url);
  const bool is_host = origin && origin->host == lower_case(text);
  return is_host ? "" : "must be a host name or an IP address, not " + quoted(text);
}

std::string check_call_url(std::string_view text) {
  const UrlParts url = split_url(text);
  if (const auto origin = parse_origin(url.origin); !origin) return origin.why();
  return url.target.empty() ? "" : check_call_path(url.target);
}

std::string check_copied_field(std::string_view text) {
  if (std::string why = check_changed_field(text); !why.empty()) return why;
  const std::string name = lower_case(text);
  const auto begins = [&name](std::string_view with) {
    return name.compare(0, with.size(), with) == 0;
  };
  if (name.find('_') != name.npos) {
    return quoted(text) + " could be forged as a name with '-', which CGI cannot tell from '_'";
  }
  if (begins("content-")) return quoted(text) + " tells of the body, which the service never saw";
  if (begins("x-forwarded-") || name == "forwarded") {
    return quoted(text) + " tells of the client's connection, which is ours to tell";
  }
  return name == "set-cookie" ? "'Set-Cookie' is for clients: no call has it" : "";
}

std::string check_file_path(std::string_view text) {
  if (text.empty()) return "must not be empty";
  if (text.size() > 1024) return "must not be longer than 1024 bytes";
  return "";
}

std::string check_include(std::string_view text) {
  return check_file_path(text);
}

std::string check_media_type(std::string_view text) {
  if (text == "*/*") return "";
  const std::size_t slash = text.find('/');
  const std::string_view type = text.substr(0, slash);
  const std::string_view subtype = slash == text.npos ? "" : text.substr(slash + 1);
  const std::size_t star = subtype.find('*');
  // Of "*+json" and "*" no more than that star.
  const bool is_good = is_token(type) && is_token(subtype) && type.find('*') == type.npos &&
                       (star == subtype.npos || subtype == "*" ||
                        (star == 0 && subtype[1] == '+' && subtype.find('*', 1) == subtype.npos));
  if (is_good) return "";
  return "must be a media type such as text/html, text/* or application/*+json, not " +
         quoted(text);
}

std::string check_content_type(std::string_view text) {
  const std::string_view type = text.substr(0, text.find(';'));
  const bool is_text =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  const bool is_good = is_text && type.find('*') == type.npos && check_media_type(type).empty();
  return is_good ? ""
                 : "must be a media type such as 'text/xml; charset=utf-8', not " + quoted(text);
}

std::string check_state_word(std::string_view text) {
  if (text.empty()) return "must not be empty";
  if (text.size() > 128) return "must not be longer than 128 bytes";
  return "";
}

std::string check_json_pointer(std::string_view text) {
  if (!text.empty() && text.front() != '/') {
    return "must be a JSON Pointer, which begins with '/', unlike " + quoted(text);
  }
  for (std::size_t i = text.find('~'); i != text.npos; i = text.find('~', i + 1)) {
    const std::string_view next = text.substr(i + 1, 1);
    if (next != "0" && next != "1") {
      return "writes '~' as '~0' and '/' as '~1', unlike " + quoted(text);
    }
  }
  if (text.size() > 1024) return "must not be longer than 1024 bytes";
  return "";
}

std::string check_pattern(std::string_view text) {
  if (text.empty()) return "must not be empty";
  if (text.size() > 4096) return "must not be longer than 4096 bytes";
  const RE2 pattern({text.data(), text.size()}, RE2::Quiet);
  return pattern.ok() ? "" : "is not a pattern that RE2 can match: " + pattern.error();
}

std::string check_parameter_name(std::string_view text) {
  if (text.empty()) return "must not be empty";
  if (text.size() > 128) return "must not be longer than 128 bytes";
  return "";
}

std::string check_needle(std::string_view text) {
  if (text.empty()) return "must not be empty";
  if (text.size() > 1024) return "must not be longer than 1024 bytes";
  return "";
}

}  // namespace raincheck::config
