// What a route calls a success: `success` of the configuration, compiled. Backends that are old
// send error pages with 200 and redirects to their log-in; this looks at the answer itself. Pure;
// any thread.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "routes/json.hpp"
#include "routes/json_pointer.hpp"

namespace raincheck::routes {

// An answer as it is judged.
struct JudgedAnswer {
  int status = 0;
  std::string_view content_type;
  std::string_view body;  // decoded; its first SuccessCheck::look_bytes, or all of it
  bool is_whole = true;   // the body ends with these bytes
  bool has_body = true;   // false of HEAD: what is asked of bodies does not apply
};

class SuccessCheck {
 public:
  static constexpr std::size_t look_bytes = 65'536;

  explicit SuccessCheck(const config::Success& rules = {});

  // Whether bytes of the body must be seen.
  bool needs_body() const;

  // Empty: it is a success. Else why it is none, in words for the log and the job's error.
  std::string judge(const JudgedAnswer& answer) const;

 private:
  struct Expected {
    JsonPointer pointer;
    std::string text;  // of the pointer
    Json value;
  };

  std::string judge_json(const JudgedAnswer& answer) const;

  std::vector<config::StatusRange> status_;
  std::vector<std::string> content_types_;
  std::shared_ptr<const RE2> matches_;   // null: none is asked for
  std::shared_ptr<const RE2> excludes_;  // null: none is asked for
  std::vector<Expected> json_;
};

}  // namespace raincheck::routes
