#include "routes/listing.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "config/text.hpp"
#include "routes/authority.hpp"
#include "routes/path_pattern.hpp"
#include "routes/percent.hpp"

namespace raincheck::routes {
namespace {

using Row = std::array<std::string, 7>;

template <class List, class Show>
std::string joined(const List& list, const char* between, const Show& show) {
  std::string text;
  for (const auto& item : list) text += (text.empty() ? "" : between) + show(item);
  return text;
}

std::string itself(const std::string& text) {
  return text;
}

std::string pair(const config::Named<std::string>& named) {
  return named.name + "=" + named.value;
}

std::string mode_of(const config::Async& async) {
  switch (async.mode) {
    case config::Mode::always:
      return "always";
    case config::Mode::prefer:
      return "prefer";
    case config::Mode::never:
      break;
  }
  return "never";
}

// Only jobs are followed.
std::string follow_of(const config::Async& async) {
  return async.follow.enabled && async.mode != config::Mode::never ? "yes" : "-";
}

std::string rewrite_of(const config::Rewrite& rewrite) {
  const std::string host = rewrite.host ? "//" + rewrite.host->written : "";
  const std::string path = rewrite.path ? rewrite.path->written : "";
  return host.empty() && path.empty() ? "-" : host + path;
}

std::string authorize_of(const config::Authorize& authorize) {
  return authorize.is_empty() ? "-" : authorize.service + authorize.target;
}

// Of two routes the one with the greater rank is tried first. A host of many is ranked by its most
// specific; that is an order for readers, the table itself has one for each host.
auto rank_of(const config::Match& match) {
  std::size_t host = 0;
  for (const std::string& name : match.hosts) {
    host = std::max(host, name.front() == '*' ? name.size() : std::size_t{1024} + name.size());
  }
  std::string why;
  const PathPattern pattern = PathPattern::parse(match.path, why);
  return std::make_tuple(host, -static_cast<int>(pattern.kind()), pattern.literal_length(),
                         pattern.segments().size(), !match.methods.empty(), match.headers.size(),
                         match.query.size());
}

std::vector<const config::Route*> most_specific_first(const config::Config& config) {
  std::vector<std::pair<decltype(rank_of({})), const config::Route*>> ranked;
  for (const config::Route& route : config.routes)
    ranked.emplace_back(rank_of(route.match), &route);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second->match.path < b.second->match.path;
  });
  std::vector<const config::Route*> routes;
  for (const auto& [rank, route] : ranked) routes.push_back(route);
  return routes;
}

bool has_host(const config::Match& match, std::string_view authority) {
  const std::string host = config::lower_case(host_of(authority));
  return match.hosts.empty() ||
         std::any_of(match.hosts.begin(), match.hosts.end(), [&](const std::string& name) {
           const std::string wanted = config::lower_case(name);
           if (wanted.front() != '*') return wanted == host;
           return host.size() > wanted.size() - 1 && host.ends_with(wanted.substr(1));
         });
}

// The first thing that the request has not; empty: it has everything.
std::string lacking(const config::Match& match, const Asked& asked) {
  std::string why;
  if (!has_host(match, asked.host)) return "its hosts are " + joined(match.hosts, ", ", itself);
  if (!PathPattern::parse(match.path, why).matches(asked.path)) return "its path is " + match.path;
  if (!has_method(match, asked.method)) {
    return "its methods are " + joined(match.methods, ", ", itself);
  }
  for (const auto& header : match.headers) {
    const auto found = asked.fields == nullptr ? std::nullopt : asked.fields->find(header.name);
    if (!found) return "the request has no " + header.name;
    if (*found != header.value) return "it wants the header " + pair(header);
  }
  for (const auto& parameter : match.query) {
    const auto found = find_parameter(asked.query, parameter.name);
    const bool is_same = found && decodes_to(*found, parameter.value, Plus::space);
    if (!is_same) return "it wants the query " + pair(parameter);
  }
  return "";
}

}  // namespace

std::string list_routes(const config::Config& config) {
  std::vector<Row> rows{{"NAME", "MATCH", "MODE", "FOLLOW", "UPSTREAM", "REWRITE", "AUTHORIZE"}};
  for (const config::Route* route : most_specific_first(config)) {
    rows.push_back({route->name, config::format_match(route->match), mode_of(route->async),
                    follow_of(route->async), route->upstream, rewrite_of(route->rewrite),
                    authorize_of(route->authorize)});
  }
  if (!config.default_upstream.empty()) {
    rows.push_back({"-", "everything else", "never", "-", config.default_upstream, "-", "-"});
  }
  std::array<std::size_t, 7> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      out += row[i] + std::string(widths[i] + 2 - row[i].size(), ' ');
    }
    out += row.back() + "\n";
  }
  return out;
}

std::vector<Reason> explain_match(const config::Config& config,
                                  const RouteTable& table,
                                  const Asked& asked) {
  const RouteMatch taken = table.match(asked);
  std::vector<Reason> reasons;
  for (const config::Route* route : most_specific_first(config)) {
    Reason reason{route, route == taken.route, lacking(route->match, asked)};
    if (reason.is_taken) {
      reason.why = "it matches, and none is more specific";
    } else if (reason.why.empty()) {
      reason.why = "it matches, but '" + taken.route->name + "' is more specific";
    }
    reasons.push_back(std::move(reason));
  }
  return reasons;
}

}  // namespace raincheck::routes
