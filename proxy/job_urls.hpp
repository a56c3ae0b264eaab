// Where clients look for a job: paths below the base path, absolute when public_url is set.
#pragma once

#include <string>
#include <string_view>

#include "config/config.hpp"
#include "jobs/id.hpp"

namespace raincheck::proxy {

struct JobUrls {
  JobUrls(const config::Config& config, std::string_view id) {
    status.append(config.public_url).append(config.jobs.base_path).append("/").append(id);
    result.append(status).append("/result");
  }

  std::string status;
  std::string result;
};

}  // namespace raincheck::proxy
