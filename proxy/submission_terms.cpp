#include "proxy/submission_terms.hpp"

#include <algorithm>
#include <vector>

#include "routes/auth_fields.hpp"

namespace raincheck::proxy {

jobs::Prefer prefer_of(const Fields& fields) {
  std::vector<std::string_view> values;
  fields.for_each("Prefer", [&values](std::string_view value) { values.push_back(value); });
  return values.empty() ? jobs::Prefer{} : jobs::parse_prefer(values);
}

bool makes_job(const config::Async& async, const jobs::Prefer& prefer, const RequestHead& head) {
  const bool is_asked_for = async.mode == config::Mode::always ||
                            (async.mode == config::Mode::prefer && prefer.respond_async);
  return is_asked_for && head.upgrade.empty();
}

jobs::milliseconds window_of(const config::Async& async, const jobs::Prefer& prefer) {
  if (prefer.wait) return std::min(*prefer.wait, client_wait_max);
  if (prefer.wait_without_value) return client_wait_max;
  return async.wait;
}

std::optional<jobs::IdempotencyKey> key_of(const config::IdempotencyKey& settings,
                                           const Fields& fields,
                                           std::string& problem) {
  const auto given = fields.find(settings.header);
  if (!given) {
    if (settings.required) problem = "This route needs the field " + settings.header + ".";
    return std::nullopt;
  }
  if (fields.count(settings.header) > 1) {
    problem = "The field " + settings.header + " may stand in a request once.";
    return std::nullopt;
  }
  jobs::IdempotencyKey key = jobs::parse_idempotency_key(*given);
  problem = key.error;
  return key;
}

std::string caller_of(const config::Authorize& authorize, std::string_view stored) {
  const std::string_view lines = stored.substr(stored.find("\r\n") + 2);
  std::string caller = routes::copied_fields(lines, authorize.copy_headers);
  if (caller.empty()) caller = routes::copied_fields(lines, {"Authorization"});
  caller += routes::copied_fields(lines, {"client_certificate_fingerprint"});
  return caller;
}

}  // namespace raincheck::proxy
