// What the rules of a route make of one call: the head that its backend gets and what is put into
// its body, the server of a `hash` that it belongs to, and the fields of the answer as the client
// gets them. The same
// for a job, from what was stored of its request, and for a plain call. Lives on the shard of the
// call, as long as that; never waits, but reads the secrets that a rule adds, each time anew.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "jobs/error.hpp"
#include "proxy/site.hpp"
#include "proxy/warnings.hpp"
#include "routes/url_map.hpp"

namespace raincheck::proxy {

// What was done to the body of a message.
enum class BodyChange { none, changed, encoded_again };

BodyChange change_of(const routes::BodyPlan& plan);

// Takes out of field lines what is no longer true once the body was changed.
void drop_untrue(std::string& lines, BodyChange change);

// What the fields of a request say of its body.
routes::BodyFacts facts_of(const routes::Fields& fields);

class RouteCall {
 public:
  // `stored` is "METHOD target\r\n" and the end-to-end field lines of the request, with ours. All
  // must outlive this. `job_id` is empty for a call that is no job.
  RouteCall(Warnings& warnings,
            const Site& site,
            const SiteRoute& route,
            std::string_view stored,
            std::string_view request_id,
            std::string job_id);
  RouteCall(const RouteCall&) = delete;
  RouteCall& operator=(const RouteCall&) = delete;

  // Before head() and host(). Not done: there is no call to make, and why() says why.
  routes::RouteRules::Made make();
  const std::string& why() const { return why_; }

  // In the form of `stored`. Of a body that rules change, or should, it says no more what they may
  // make untrue, before the body is read: a true digest that is missing does no harm.
  std::string_view head() const { return is_changed_ ? std::string_view(head_) : stored_; }
  // What goes into Host; empty: the server's own.
  std::string_view host() const { return host_; }

  // The hash by which the servers of the upstream are told apart; nothing: it has no hash_key, or
  // the request has not what that asks for.
  std::optional<std::uint64_t> balance_key();

  // UrlMap::own_url(), for the answer to a call of `target`.
  std::optional<routes::UrlMap::OwnUrl> own_url(std::string_view target, std::string_view url) {
    return route_.rules->urls.own_url(values(), target, url);
  }

  // Changes the field lines of an answer. `concerned`: UrlMap::concerns() its fields.
  void change_answer(std::string& lines,
                     bool concerned,
                     routes::Found found,
                     BodyChange change = BodyChange::none);

  // One of the route's documents, with what the request gives. False: see Document::render().
  bool show(const routes::Document& document,
            const routes::DocumentValues& values,
            std::string& out);

  // Of the job that this call becomes, as jobs::NewJob has them.
  std::string labels() { return rules().labels.is_empty() ? "" : rules().labels.render(values()); }

  const routes::RouteRules& rules() const { return *route_.rules; }
  // What `request_body` has to do with the request's body, if there is one.
  const routes::BodyPlan& body_plan();
  // What becomes of that body, and what is put in, with secrets as they are now.
  struct BodyDecision {
    bool is_changed = false;  // as body_plan() says; otherwise it goes on as it is
    int status = 0;  // not 0: there is no call to make. 500 is our fault, else the sender's
    std::string why;
  };
  BodyDecision decide_body(routes::BodyValues& values);
  // For one answer. Null: its body must not be sent on, and `why` says why.
  std::unique_ptr<routes::BodyRewriter> rewriter(const routes::BodyPlan& plan, std::string& why);
  // Why rules for bodies were not applied, or not all.
  void warn_of_call(std::string_view why) const;
  void warn_of_answer(std::string_view why) const;

 private:
  const routes::Values& values();
  void take_certificate();

  Warnings& warnings_;
  const Site& site_;
  const SiteRoute& route_;
  std::string without_certificate_;  // what stored_ views, where the client has shown one
  std::string_view stored_;
  const std::string_view request_id_;
  const std::string job_id_;
  bool is_changed_ = false;
  std::string head_;
  std::string host_;
  std::string why_;
  bool has_values_ = false;
  routes::Fields fields_;
  std::string certificate_lines_;
  routes::Fields certificate_;
  routes::Values values_;
  std::optional<routes::BodyPlan> body_plan_;
};

}  // namespace raincheck::proxy
