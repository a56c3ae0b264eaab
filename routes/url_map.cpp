#include "routes/url_map.hpp"

#include <algorithm>

#include "config/text.hpp"
#include "routes/authority.hpp"
#include "routes/characters.hpp"
#include "routes/path.hpp"
#include "routes/percent.hpp"

namespace raincheck::routes {

// A URI reference in its parts (RFC 3986 section 4.1): scheme "http:", authority "host:port", tail
// "?query#fragment". Relative: without authority.
struct UrlMap::Reference {
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;
  std::string_view tail;
};

namespace {

std::string_view take_until(std::string_view& text, std::string_view stops, std::size_t from) {
  const std::string_view head = text.substr(0, text.find_first_of(stops, from));
  text.remove_prefix(head.size());
  return head;
}

std::string_view scheme_of(std::string_view text) {
  const std::size_t end = text.find_first_of(":/?#");
  if (end == text.npos || text[end] != ':' || end == 0) return {};
  return text.substr(0, end + 1);
}

bool is_web(std::string_view scheme) {
  return is_same_name(scheme, "http:") || is_same_name(scheme, "https:");
}

// Without the port that the scheme has anyway, in lower case.
std::string plain_authority(std::string_view scheme, std::string_view authority) {
  const std::string_view host = host_of(authority);
  const std::string_view port = is_same_name(scheme, "https:") ? ":443" : ":80";
  const std::string_view rest = authority.substr(host.size());
  return config::lower_case(rest == port || rest == ":" ? host : authority);
}

// The path of a relative reference below the backend's own path (RFC 3986 section 5.2.3).
std::string merge(std::string_view base, std::string_view path) {
  if (path.empty()) return std::string(base);
  return std::string(base.substr(0, base.rfind('/') + 1)) + std::string(path);
}

// Without its dot segments (RFC 3986 section 5.2.4); nothing: it leads above the root.
std::optional<std::string> without_dots(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const std::string_view segment = take_until(path, "/", 1);
    if (segment != "/." && segment != "/..") {
      out += segment;
      continue;
    }
    if (segment == "/..") {
      if (out.empty()) return std::nullopt;
      out.resize(out.rfind('/'));
    }
    if (path.empty()) out += '/';
  }
  return out;
}

std::string_view path_of(std::string_view url) {
  const std::size_t host = url.find("//");
  if (host == url.npos) return {};
  const std::size_t path = url.find('/', host + 2);
  return path == url.npos ? std::string_view() : url.substr(path);
}

bool is_below(std::string_view path, std::string_view prefix) {
  if (!prefix.empty() && prefix.back() == '/') prefix.remove_suffix(1);
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

// RFC 6265 section 5.1.3: the host is the domain or below it.
bool is_of_domain(std::string_view host, std::string_view domain) {
  if (is_same_name(host, domain)) return true;
  if (host.size() <= domain.size() || is_ipv4(host)) return false;
  const std::string_view end = host.substr(host.size() - domain.size());
  return is_same_name(end, domain) && host[host.size() - domain.size() - 1] == '.';
}

// Spaces and what is not ASCII, which backends forget to encode, encoded as every client would.
std::string encode_forgotten(std::string_view url) {
  std::string out;
  out.reserve(url.size());
  for (const char& c : url) {
    if (c == ' ' || static_cast<unsigned char>(c) >= 0x80) {
      append_encoded(out, std::string_view(&c, 1));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

struct Extent {
  std::size_t field;
  std::size_t begin;
  std::size_t size;
};

}  // namespace

UrlMap UrlMap::compile(const config::ResponseHeaders& settings,
                       const config::Upstream* upstream,
                       const Rewrite& rewrite,
                       const PathPattern& pattern,
                       std::vector<RuleProblem>& problems) {
  UrlMap out;
  out.urls_ = settings.rewrite_location;
  out.rewrite_ = &rewrite;
  if (upstream != nullptr) {
    for (const config::Server& server : upstream->servers) {
      out.origins_.push_back(plain_authority(server.is_tls ? "https:" : "http:", server.authority));
    }
  }
  if (const auto& domain = settings.rewrite_cookies.domain) {
    std::string why;
    out.domain_ = Template::compile(*domain, Scope{&pattern, false}, why);
    if (!why.empty()) {
      problems.push_back({domain->place, "response_headers.rewrite_cookies.domain", why});
    }
  }
  out.paths_ = settings.rewrite_cookies.path;
  std::sort(out.paths_.begin(), out.paths_.end(),
            [](const auto& a, const auto& b) { return a.name.size() > b.name.size(); });
  return out;
}

bool UrlMap::concerns(const Fields& fields) {
  return std::any_of(fields.begin(), fields.end(), [](const Field& field) {
    return is_same_name(field.name, "Location") || is_same_name(field.name, "Link") ||
           is_same_name(field.name, "Refresh") || is_same_name(field.name, "Set-Cookie") ||
           is_same_name(field.name, "Content-Location");
  });
}

void UrlMap::apply(const Values& values, Found found, Fields& fields, std::string& text) const {
  std::vector<Extent> extents;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Field& field = fields[i];
    std::optional<std::string> mapped;
    if (is_same_name(field.name, "Location") || is_same_name(field.name, "Content-Location")) {
      mapped = map_url(values, found, field.value);
    } else if (is_same_name(field.name, "Link")) {
      mapped = map_link(values, found, field.value);
    } else if (is_same_name(field.name, "Refresh")) {
      mapped = map_refresh(values, found, field.value);
    } else if (is_same_name(field.name, "Set-Cookie")) {
      mapped = map_cookie(values, field.value);
    }
    if (!mapped) continue;
    extents.push_back({i, text.size(), mapped->size()});
    text += *mapped;
  }
  std::size_t i = 0;
  auto extent = extents.begin();
  fields.for_each_field([&](Field& field) {
    if (extent == extents.end() || extent->field != i++) return;
    field.value = std::string_view(text).substr(extent->begin, extent->size);
    ++extent;
  });
}

bool UrlMap::is_backend(const Values& values,
                        std::string_view scheme,
                        std::string_view authority) const {
  if (server_of(scheme, authority)) return true;
  // The host that the backend was told is its own, whichever scheme it believes to speak.
  std::string host;
  std::string why;
  if (!rewrite_->has_host() || !rewrite_->make_host(values, host, why)) return false;
  return plain_authority(scheme, authority) == plain_authority(scheme, host);
}

std::optional<std::size_t> UrlMap::server_of(std::string_view scheme,
                                             std::string_view authority) const {
  if (is_same_name(scheme, "https:")) return std::nullopt;
  const auto found =
      std::find(origins_.begin(), origins_.end(), plain_authority(scheme, authority));
  if (found == origins_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - origins_.begin());
}

// Nothing: it is no URL, or none of the web.
std::optional<UrlMap::Reference> UrlMap::split(std::string_view url) {
  const auto is_plain = [](char c) { return c > 0x20 && c < 0x7F && c != '\\'; };
  if (url.empty() || !std::all_of(url.begin(), url.end(), is_plain)) return std::nullopt;
  Reference reference;
  reference.scheme = scheme_of(url);
  url.remove_prefix(reference.scheme.size());
  if (url.starts_with("//")) reference.authority = take_until(url, "/?#", 2);
  reference.path = take_until(url, "?#", 0);
  reference.tail = url;
  if (reference.authority.empty()) {
    return reference.scheme.empty() ? std::optional(reference) : std::nullopt;  // mailto:
  }
  if (reference.scheme.empty()) reference.scheme = "http:";
  const auto authority = parse_authority(reference.authority.substr(2));
  if (!is_web(reference.scheme) || !authority) return std::nullopt;
  reference.authority = *authority;
  return reference;
}

bool UrlMap::is_public(const Values& values,
                       std::string_view scheme,
                       std::string_view authority) const {
  const std::string plain = plain_authority(scheme, authority);
  const auto own = split(values.public_url);
  return plain == plain_authority(scheme, values.host) ||
         (own && plain == plain_authority(own->scheme, own->authority));
}

std::string UrlMap::target_of_public(const Values& values, std::string_view url) const {
  const std::string_view base = path_of(values.public_url);
  if (!base.empty() && is_below(url.substr(0, url.find('?')), base)) url.remove_prefix(base.size());
  std::string target(url);
  if (!target.starts_with('/')) target.insert(0, "/");
  std::string buffer;
  std::string_view reason;
  const auto normal = normalize(target, buffer, reason);
  // A path that the route does not take is the backend's own, which knows of the host alone.
  if (!normal || !values.pattern || !values.pattern->matches(normal->path)) return target;
  Values asked = values;
  asked.target = *normal;
  std::string made;
  std::string why;
  return rewrite_->make_target(asked, made, why) ? made : target;
}

std::optional<UrlMap::OwnUrl> UrlMap::own_url(const Values& values,
                                              std::string_view target,
                                              std::string_view url) const {
  const std::string encoded = encode_forgotten(url);
  const auto reference = split(encoded);
  if (!reference) return std::nullopt;
  const auto& [scheme, authority, path, tail] = *reference;
  const std::string_view query = tail.substr(0, tail.find('#'));
  const bool is_absolute = !authority.empty();
  const bool is_whole = is_absolute || path.starts_with('/');
  const auto plain =
      without_dots(is_whole ? std::string(path) : merge(target.substr(0, target.find('?')), path));
  if (!plain) return std::nullopt;
  OwnUrl own;
  own.target = plain->empty() ? "/" : *plain;
  own.target += query;
  if (!is_absolute) return own;
  // It may think that it speaks https, as the client does.
  own.server = server_of("http:", authority);
  if (own.server || is_backend(values, scheme, authority)) return own;
  if (!is_public(values, scheme, authority)) return std::nullopt;
  own.target = target_of_public(values, own.target);
  return own;
}

std::string UrlMap::origin_of(std::string_view url) {
  const std::string encoded = encode_forgotten(url);
  const auto reference = split(encoded);
  if (!reference || reference->authority.empty()) return "";
  return std::string(reference->scheme) + "//" + std::string(reference->authority);
}

std::optional<std::string> UrlMap::map_path(const Values& values, std::string_view path) const {
  if (!rewrite_->has_path()) return std::string(path);
  std::string buffer;
  std::string_view why;
  const auto normal = normalize(path, buffer, why);
  if (!normal || normal->has_query) return std::nullopt;
  return rewrite_->reverse(values, normal->path).value_or(std::string(path));
}

std::optional<std::string> UrlMap::map_url(const Values& values,
                                           Found found,
                                           std::string_view url) const {
  const std::string encoded = encode_forgotten(url);
  const auto reference = urls_ ? split(encoded) : std::nullopt;
  if (!reference) return std::nullopt;
  const bool is_absolute = !reference->authority.empty();
  if (is_absolute && !is_backend(values, reference->scheme, reference->authority)) {
    return std::nullopt;
  }
  std::string path(reference->path);
  const bool is_relative = !is_absolute && (path.empty() || path.front() != '/');
  if (is_relative) {
    const bool means_itself = path.empty() && !reference->tail.starts_with('?');
    if (means_itself || (found == Found::in_place && !rewrite_->has_path())) return std::nullopt;
    std::string target;
    std::string why;
    if (!rewrite_->make_target(values, target, why)) return std::nullopt;
    const std::string merged = merge(std::string_view(target).substr(0, target.find('?')), path);
    std::string_view reason;
    const auto normal = normalize(merged, path, reason);
    if (!normal || normal->has_query) return std::nullopt;
    path = std::string(normal->path);
  }
  if (path.empty()) path = "/";
  const auto mapped = map_path(values, path);
  if (!mapped) return std::nullopt;
  const std::string_view before = is_absolute ? values.public_url : path_of(values.public_url);
  std::string out = std::string(before) + *mapped + std::string(reference->tail);
  // Two slashes at the beginning would name a host, and the backend's path another than ours.
  while (out.starts_with("//")) out.erase(0, 1);
  if (out == encoded) return std::nullopt;
  return out;
}

std::optional<std::string> UrlMap::map_link(const Values& values,
                                            Found found,
                                            std::string_view link) const {
  std::string out;
  bool is_changed = false;
  while (!link.empty()) {
    const std::string_view before = take_until(link, "<", 0);
    out += before;
    const std::size_t close = link.find('>');
    if (close == link.npos) break;  // no link, or none that ends
    const std::string_view url = link.substr(1, close - 1);
    const auto mapped = map_url(values, found, url);
    is_changed = is_changed || mapped.has_value();
    out.append("<").append(mapped ? std::string_view(*mapped) : url).append(">");
    link.remove_prefix(close + 1);
    // Parameters go on until the next comma; one within quotes is part of a value.
    bool is_quoted = false;
    std::size_t end = 0;
    for (; end < link.size() && (is_quoted || link[end] != ','); ++end) {
      if (link[end] == '\\' && is_quoted)
        ++end;
      else if (link[end] == '"')
        is_quoted = !is_quoted;
    }
    end = std::min(end, link.size());
    out += link.substr(0, end);
    link.remove_prefix(end);
  }
  if (!is_changed) return std::nullopt;
  return out += link;
}

std::optional<std::string> UrlMap::map_refresh(const Values& values,
                                               Found found,
                                               std::string_view refresh) const {
  std::size_t at = refresh.find_first_of(";,");
  const auto skip_blanks = [&] {
    while (at < refresh.size() && is_blank(refresh[at])) ++at;
  };
  if (at == refresh.npos) return std::nullopt;
  ++at;
  skip_blanks();
  if (!is_same_name(refresh.substr(at, 3), "url")) return std::nullopt;
  at += 3;
  skip_blanks();
  if (at >= refresh.size() || refresh[at] != '=') return std::nullopt;
  ++at;
  skip_blanks();
  std::string_view url = refresh.substr(at);
  if (!url.empty() && (url.front() == '"' || url.front() == '\'')) {
    url = url.substr(1, url.find(url.front(), 1) - 1);
    ++at;
  }
  const auto mapped = map_url(values, found, url);
  if (!mapped) return std::nullopt;
  return std::string(refresh.substr(0, at)) + *mapped +
         std::string(refresh.substr(at + url.size()));
}

// The Domain to write, or an empty one for none; nothing: it is not the backend's.
std::optional<std::string> UrlMap::map_domain(const Values& values, std::string_view domain) const {
  if (!domain.empty() && domain.front() == '.') domain.remove_prefix(1);
  if (domain.empty()) return std::nullopt;
  std::string host;
  std::string why;
  const bool is_told = rewrite_->has_host() && rewrite_->make_host(values, host, why) &&
                       is_of_domain(host_of(host), domain);
  const bool is_known = std::any_of(origins_.begin(), origins_.end(), [&](const auto& origin) {
    return is_of_domain(host_of(origin), domain);
  });
  if (!is_told && !is_known) return std::nullopt;
  std::string text;
  if (!domain_->render(values, Form::field, text)) return "";
  const std::string_view name = std::string_view(text).substr(text.starts_with('.') ? 1 : 0);
  const auto authority = parse_authority(name);
  return std::string(authority ? host_of(*authority) : std::string_view());
}

std::optional<std::string> UrlMap::map_cookie_path(std::string_view path) const {
  for (const auto& [from, to] : paths_) {
    if (!is_below(path, from)) continue;
    const std::size_t kept = from.back() == '/' ? from.size() - 1 : from.size();
    const std::string_view base =
        to.back() == '/' ? std::string_view(to).substr(0, to.size() - 1) : std::string_view(to);
    std::string out = std::string(base) + std::string(path.substr(kept));
    return out.empty() ? "/" : out;
  }
  return std::nullopt;
}

std::optional<std::string> UrlMap::map_cookie(const Values& values, std::string_view cookie) const {
  if (!domain_ && paths_.empty()) return std::nullopt;
  std::string out(cookie.substr(0, cookie.find(';')));
  std::string_view rest = cookie.substr(out.size());
  bool is_changed = false;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view attribute = rest.substr(0, rest.find(';'));
    rest.remove_prefix(attribute.size());
    const std::size_t equals = std::min(attribute.find('='), attribute.size());
    const std::string_view name = jobs::trim(attribute.substr(0, equals));
    const std::string_view value =
        jobs::trim(attribute.substr(std::min(equals + 1, attribute.size())));
    const bool is_domain = domain_ && is_same_name(name, "Domain");
    std::optional<std::string> mapped;
    if (is_domain) mapped = map_domain(values, value);
    if (is_same_name(name, "Path")) mapped = map_cookie_path(value);
    is_changed = is_changed || mapped.has_value();
    if (is_domain && mapped && mapped->empty()) continue;
    out += ';';
    if (mapped) {
      out.append(attribute.substr(0, std::min(equals + 1, attribute.size()))).append(*mapped);
    } else {
      out += attribute;
    }
  }
  if (!is_changed) return std::nullopt;
  return out;
}

}  // namespace raincheck::routes
