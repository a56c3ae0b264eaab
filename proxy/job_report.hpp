// A job as operators see it: JSON, with what its client is shown and what only they may know.
// Credentials in its request are left out. Pure.
#pragma once

#include <string>
#include <string_view>

#include "jobs/job.hpp"

namespace raincheck::proxy {

struct JobReport {
  std::string_view id;
  std::string_view upstream;
  jobs::WallTime now{};
  bool in_detail = false;  // with its request, as far as that was read, and its attempts
};

void append_report(std::string& out, const jobs::Job& job, const JobReport& report);

// The name of a field or parameter, as it was sent, is that of a credential, whose value nobody is
// shown.
bool is_credential(std::string_view name);

}  // namespace raincheck::proxy
