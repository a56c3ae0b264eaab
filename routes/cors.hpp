// Which pages of other origins may use a route from a browser, and the fields that tell the browser
// so (the CORS protocol of the WHATWG Fetch standard, section 3.3). It asks first, by a preflight,
// whether a call may be made, and shows the page the answer of a call only if that says so. Of an
// origin that is not allowed nothing is refused here: the browser does that. Immutable, pure; any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/fields.hpp"

namespace raincheck::routes {

class Cors {
 public:
  Cors() = default;  // no origin is allowed, and nothing is said
  explicit Cors(const config::Cors& settings);

  // What `other` allows is allowed too. Of both, an origin gets the most that either gives it.
  void add(const Cors& other);

  bool is_empty() const { return origins_.empty(); }

  // The method that a preflight asks for; empty: the request is none.
  static std::string_view asked_method(std::string_view method, const Fields& request);

  // The fields of the answer to a preflight for one of `methods`, "GET, HEAD", as lines in `out`.
  void append_preflight(const Fields& request, std::string_view methods, std::string& out) const;

  // The fields of the answer to any other request.
  void append_answer(const Fields& request, std::string& out) const;

  // Takes what a backend says of all this itself out of the field lines of an answer.
  static void erase_from(std::string& lines);

 private:
  // Of config::Cors, for each origin.
  struct Origin {
    std::string text;  // "https://app.example.com", "https://*.example.com", "*"
    bool credentials = false;
    config::milliseconds max_age{};

    bool matches(std::string_view origin) const;
  };
  struct Verdict {
    std::string_view allowed;  // for Access-Control-Allow-Origin; empty: it is not
    bool credentials = false;
    config::milliseconds max_age{};
  };

  Verdict judge(std::string_view origin) const;
  void append_verdict(const Verdict& verdict, std::string& out) const;

  std::vector<Origin> origins_;
  std::vector<std::string> allow_headers_;  // empty: whichever are asked for
  std::vector<std::string> expose_headers_;
};

}  // namespace raincheck::routes
