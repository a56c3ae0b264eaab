// A pattern of the configuration, which has checked that RE2 can compile it. Any thread.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>

namespace raincheck::routes {

inline std::shared_ptr<const RE2> compile_pattern(const std::string& text) {
  return std::make_shared<const RE2>(text, RE2::Quiet);
}

}  // namespace raincheck::routes
