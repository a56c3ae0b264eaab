// What would happen to a request, without any being sent: which route takes it and why the others
// do not, and the call that the backend would get. Made by the same functions as real calls; for
// the command line. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/route_table.hpp"

namespace raincheck::proxy {

struct Question {
  std::string method;
  std::string url;                   // or a path
  std::vector<std::string> headers;  // "Name: value"
  std::string data;                  // the body
};

struct Explanation {
  bool is_asked_well = true;  // false: `text` says what is wrong with the question
  std::string text;           // lines for people
};

// The values of files and credentials are shown as "***".
Explanation explain(const config::Config& config,
                    const routes::RouteTable& table,
                    const Question& question);

}  // namespace raincheck::proxy
