// What a route changes in the fields of a head: compiled when the configuration is loaded, applied
// to the end-to-end fields of each request or answer. In this order, whatever the order of the
// file: rename, remove, set, add, default. Framing, hop-by-hop fields, Host and Via are never
// touched: the configuration refuses their names, and a wildcard passes them over. Pure; any
// thread.
//
// A value that cannot be had (the request lacks it, or it may not stand in a field) makes `set`
// take the field out, so that what a client sent under that name never passes for ours, and makes
// `add` and `default` do nothing. Only a secret that cannot be read now stops everything: no call
// goes out without the credentials that a rule adds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/fields.hpp"
#include "routes/route_problem.hpp"
#include "routes/template.hpp"

namespace raincheck::routes {

class HeaderRules {
 public:
  HeaderRules() = default;  // changes nothing

  // `setting` is the name of the rules within their route: "request_headers".
  static HeaderRules compile(const config::HeaderChanges& changes,
                             const std::string& setting,
                             const Scope& scope,
                             std::vector<RuleProblem>& problems);

  bool is_empty() const;

  // Changes `fields`. They point into `text` afterwards, besides what they pointed into before, so
  // it must be untouched as long as they are used. On failure the fields must not be used.
  [[nodiscard]] Rendering apply(const Values& values, Fields& fields, std::string& text) const;

 private:
  struct Rule {
    std::string name;
    Template value;
  };
  struct Rename {
    std::string from;
    std::string to;
  };
  static std::vector<Rule> compile_all(const std::vector<config::Named<config::TemplateText>>& from,
                                       const std::string& setting,
                                       const Scope& scope,
                                       std::vector<RuleProblem>& problems);
  void rename(Fields& fields) const;
  void remove(Fields& fields) const;

  std::vector<Rename> rename_;
  std::vector<std::string> remove_;
  std::vector<Rule> set_;
  std::vector<Rule> add_;
  std::vector<Rule> default_;
};

}  // namespace raincheck::routes
