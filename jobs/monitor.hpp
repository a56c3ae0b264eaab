// Where a backend that answered 202, and goes on with the call, tells of it. Stored with the job as
// one text, which only this reads. Pure values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace raincheck::jobs {

struct Monitor {
  std::string server;  // host:port, the only one to ask while it is configured; empty: any
  std::string target;  // path and query; never empty
  std::string result;  // path and query of the result, when the monitor says that it is done;
                       // empty: the monitor has it, or says where it is

  bool operator==(const Monitor&) const = default;

  // No part may have a space in it.
  std::string text() const;
  // Nothing: it is no text of ours.
  static std::optional<Monitor> parse(std::string_view text);
};

}  // namespace raincheck::jobs
