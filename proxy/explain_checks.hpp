// The part of `raincheck explain` that says what a route would ask of a request and what would
// follow: each check in the order in which it is made, by the functions that make it. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "proxy/message_head.hpp"
#include "routes/path.hpp"
#include "routes/route_table.hpp"

namespace raincheck::proxy {

struct Check {
  enum class Verdict { passed, refused, told };  // told: it refuses nothing, and says something

  Verdict verdict = Verdict::told;
  std::string name;
  std::string text;
};

struct Checks {
  std::vector<Check> checks;
  int refused = 0;      // the status of the first that refuses; 0: none does
  bool asks = false;    // whether it may be made, of the route's authorization service
  std::string follows;  // "202, a job", "400"
};

struct Checked {
  const RequestHead& head;
  const routes::Target& target;
  std::string_view body;
  std::string_view call;  // as the route makes it, in the form of RouteCall::head()
  routes::RouteRules::Made made;
  std::string_view why;                            // it is not made
  const routes::BodyRewriter::Rewritten& changed;  // the body by `request_body`
};

// For a route that takes the request. What only a running process knows (a full queue, a key that
// was used, a full disk) is not among them.
Checks check_all(const Checked& request,
                 const config::Config& config,
                 const routes::RouteMatch& match);

// Lines for people.
std::string show(const Checks& checks);

}  // namespace raincheck::proxy
