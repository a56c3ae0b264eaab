// The way back of URLs and cookies: what a backend says in Location, Content-Location, Link and
// Refresh in terms of itself becomes what the client can use, and so do domain and path of its
// cookies (as nginx does with proxy_redirect, proxy_cookie_domain and proxy_cookie_path).
// Everything it needs is in the route and the request, so it works on a stored answer hours later.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/fields.hpp"
#include "routes/rewrite.hpp"
#include "routes/route_problem.hpp"
#include "routes/template.hpp"

namespace raincheck::routes {

// Where the client finds the answer: under the URL that it asked for, or as the result of a job,
// where relative references would mean something else.
enum class Found : bool { in_place, elsewhere };

class UrlMap {
 public:
  UrlMap() = default;  // changes nothing

  // `rewrite` must outlive the map. `upstream` may be null: then nothing is the backend's.
  static UrlMap compile(const config::ResponseHeaders& settings,
                        const config::Upstream* upstream,
                        const Rewrite& rewrite,
                        const PathPattern& pattern,
                        std::vector<RuleProblem>& problems);

  // Whether an answer has a field that may be changed.
  static bool concerns(const Fields& fields);

  // Changes the values of `fields`, which point into `text` afterwards, besides what they pointed
  // into before: `text` must be untouched as long as they are used, and they must not point into it
  // already.
  void apply(const Values& values, Found found, Fields& fields, std::string& text) const;

  // Single values; nothing: it stays as it is.
  std::optional<std::string> map_url(const Values& values, Found found, std::string_view url) const;
  std::optional<std::string> map_link(const Values& values,
                                      Found found,
                                      std::string_view link) const;
  std::optional<std::string> map_refresh(const Values& values,
                                         Found found,
                                         std::string_view refresh) const;
  // What to ask for, and of whom, where the backend has named this URL in its answer to a call of
  // `target`: it may write its own host, or the public one, which it was told. Nothing: it is
  // somebody else's, or no URL that HTTP can ask for.
  struct OwnUrl {
    std::string target;                 // path and query
    std::optional<std::size_t> server;  // that it names, of Upstream::servers
  };
  std::optional<OwnUrl> own_url(const Values& values,
                                std::string_view target,
                                std::string_view url) const;

  // Scheme and host of a URL, without what may be secret in it; empty: it names none.
  static std::string origin_of(std::string_view url);

  std::optional<std::string> map_cookie(const Values& values, std::string_view cookie) const;

 private:
  struct Reference;

  static std::optional<Reference> split(std::string_view url);
  std::optional<std::size_t> server_of(std::string_view scheme, std::string_view authority) const;
  bool is_backend(const Values& values, std::string_view scheme, std::string_view authority) const;
  bool is_public(const Values& values, std::string_view scheme, std::string_view authority) const;
  std::string target_of_public(const Values& values, std::string_view url) const;
  std::optional<std::string> map_path(const Values& values, std::string_view path) const;
  std::optional<std::string> map_domain(const Values& values, std::string_view domain) const;
  std::optional<std::string> map_cookie_path(std::string_view path) const;

  bool urls_ = false;
  const Rewrite* rewrite_ = nullptr;
  std::vector<std::string> origins_;  // host[:port] of each server, lower case, without :80
  std::optional<Template> domain_;
  std::vector<config::Named<std::string>> paths_;  // of cookies; the longest first
};

}  // namespace raincheck::routes
