#include "proxy/vitals.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/text.hpp"

namespace raincheck::proxy {

Vital check_progress(std::string name,
                     jobs::TimePoint seen,
                     jobs::TimePoint now,
                     jobs::milliseconds within) {
  Vital check{std::move(name), ""};
  if (seen >= now || now - seen <= within) return check;
  const auto stood = std::chrono::duration_cast<std::chrono::seconds>(now - seen);
  check.trouble = fmt::format("no progress for {} s", stood.count());
  return check;
}

std::string shortage_of(const store::Space& space) {
  using Of = store::Space::Shortage::Of;
  const auto mib = [](std::uint64_t bytes) {
    return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
  };
  const store::Space::Shortage shortage = space.shortage();
  const std::string has = mib(shortage.has);
  const std::string limit = mib(shortage.limit);
  switch (shortage.of) {
    case Of::none:
      break;
    case Of::bytes_max:
      return fmt::format("the store holds {}, and store.max_bytes is {}", has, limit);
    case Of::free_min:
      return fmt::format("{} are free on the store's disk, and store.min_free is {}", has, limit);
    case Of::reserve:
      return fmt::format("a full disk has taken from store.reserve: {} of {} are left", has, limit);
  }
  return "";
}

bool all_well(const std::vector<Vital>& checks) {
  return std::all_of(checks.begin(), checks.end(),
                     [](const Vital& check) { return check.trouble.empty(); });
}

std::string show_checks(const std::vector<Vital>& checks, bool verbose) {
  std::string out = all_well(checks) ? R"({"status":"ok")" : R"({"status":"failed")";
  out.append(R"(,"checks":{)");
  bool first = true;
  for (const Vital& check : checks) {
    if (check.trouble.empty() && !verbose) continue;
    if (!std::exchange(first, false)) out.push_back(',');
    jobs::append_json_string(out, check.name);
    out.push_back(':');
    jobs::append_json_string(out, check.trouble.empty() ? "ok" : check.trouble);
  }
  return out.append("}}\n");
}

std::string troubles(const std::vector<Vital>& checks) {
  std::string out;
  for (const Vital& check : checks) {
    if (check.trouble.empty()) continue;
    out.append(out.empty() ? "" : ", ").append(check.name).append(": ").append(check.trouble);
  }
  return out;
}

}  // namespace raincheck::proxy
