#include "proxy/job_changes.hpp"

#include "jobs/idempotency.hpp"
#include "proxy/body.hpp"
#include "proxy/job_terms.hpp"
#include "proxy/route_call.hpp"

namespace raincheck::proxy {

using jobs::Result;
using jobs::State;
using store::Insert;

awaitable<Result<store::Cancel>> cancel_job(Services& services, jobs::JobId id) {
  store::Cancel command;
  command.id = id;
  command.now = services.timers().wall_now();
  Result<store::Cancel> canceled = co_await services.store().apply(std::move(command));
  if (!canceled || canceled->presence != store::Presence::present) co_return canceled;
  if (jobs::is_final(canceled->was)) co_return canceled;
  services.pending.count.fetch_sub(1, std::memory_order_relaxed);
  services.context.metrics.finished(services.site.find(canceled->job.route), State::canceled,
                                    jobs::ErrorType::none);
  services.bulletin.publish(JobChange{id.place.key(), true});
  if (canceled->was == State::running) services.abort_everywhere(id.place.key());
  co_return canceled;
}

namespace {

class Redrive {
 public:
  Redrive(Services& services, jobs::JobId id) : services_(services), id_(id) {}

  awaitable<Redriven> run();

 private:
  awaitable<bool> find();
  bool refuse(std::string why, Redriven::Outcome outcome = Redriven::Outcome::refused);
  bool is_possible();
  void describe();
  awaitable<bool> copy_body(BodyWriter& copy);
  awaitable<void> insert(BodyWriter& copy);

  Services& services_;
  const jobs::JobId id_;
  const SiteRoute* route_ = nullptr;
  jobs::Job original_;
  jobs::NewJob job_;
  Redriven redriven_;
};

awaitable<Redriven> Redrive::run() {
  const bool present = co_await find();
  if (!present || !is_possible()) co_return std::move(redriven_);
  describe();
  BodyWriter copy(services_.store(), services_.site.config().store.inline_max,
                  store::SpoolUse::request);
  const bool copied = co_await copy_body(copy);
  if (copied) co_await insert(copy);
  co_return std::move(redriven_);
}

awaitable<bool> Redrive::find() {
  store::Find asked;
  asked.id = id_;
  asked.with_request = true;
  Result<store::Find> found = co_await services_.store().find(std::move(asked));
  if (!found) co_return refuse(found.error().detail, Redriven::Outcome::failed);
  if (found->presence != store::Presence::present) {
    const bool gone = found->presence == store::Presence::gone;
    redriven_.outcome = gone ? Redriven::Outcome::gone : Redriven::Outcome::unknown;
    co_return false;
  }
  original_ = std::move(found->job);
  co_return true;
}

// False, to be returned.
bool Redrive::refuse(std::string why, Redriven::Outcome outcome) {
  redriven_.outcome = outcome;
  redriven_.why = std::move(why);
  return false;
}

bool Redrive::is_possible() {
  if (original_.state != State::failed) {
    return refuse(std::string("only a failed job can be redriven; this one is ") +
                  jobs::name(original_.state));
  }
  if (original_.head.empty()) {
    return refuse("its request is erased already (jobs.retention.failed_request)");
  }
  route_ = services_.site.find(original_.route);
  if (!route_) return refuse("its route '" + original_.route + "' is not configured any more");
  if (route_->lane == 0)
    return refuse("its route '" + original_.route + "' makes no jobs any more");
  const auto pending = services_.pending.count.load(std::memory_order_relaxed);
  if (pending >= static_cast<std::int64_t>(services_.site.config().jobs.max_pending)) {
    return refuse("too many jobs are waiting (jobs.max_pending)", Redriven::Outcome::failed);
  }
  RouteCall call(services_.context.warnings, services_.site, *route_, original_.head,
                 original_.request_id, services_.codec().text(id_));
  job_.labels = call.labels();
  if (call.make() == routes::RouteRules::Made::done) return true;
  return refuse("its route '" + original_.route + "' cannot make the call: " + call.why());
}

void Redrive::describe() {
  const std::string method = original_.head.substr(0, original_.head.find(' '));
  apply_terms(job_, *route_, method, services_.timers().wall_now());
  job_.random = services_.entropy.random();
  job_.request_id = original_.request_id;
  job_.redrive_of = services_.codec().text(id_);
  // No route is without a name: this is the key of no client.
  job_.key = jobs::make_key("", "", job_.redrive_of, "REDRIVE", "", {});
  job_.head = std::move(original_.head);
}

// A file of its own: what becomes of the original's is none of the new job's business. A crash
// leaves one that no row names, which the next start removes.
awaitable<bool> Redrive::copy_body(BodyWriter& copy) {
  BodyReader body(services_.store(), original_.body);
  while (true) {
    const Result<std::string_view> piece = co_await body.next();
    if (!piece) co_return refuse("its request is erased already: " + piece.error().detail);
    if (piece->empty()) break;
    if (copy.try_append(*piece)) continue;
    const Result<void> kept = co_await copy.append(*piece);
    if (!kept) co_return refuse(kept.error().detail, Redriven::Outcome::failed);
  }
  Result<jobs::Body> whole = co_await copy.finish();
  if (!whole) co_return refuse(whole.error().detail, Redriven::Outcome::failed);
  job_.body = std::move(*whole);
  co_return true;
}

awaitable<void> Redrive::insert(BodyWriter& copy) {
  Insert command;
  command.job = std::move(job_);
  const Result<Insert> inserted = co_await services_.store().apply(std::move(command));
  if (!inserted) {
    refuse(inserted.error().detail, Redriven::Outcome::failed);
    co_return;
  }
  redriven_.id = inserted->id;
  redriven_.outcome = Redriven::Outcome::existed;
  if (inserted->outcome != Insert::Outcome::queued) co_return;
  redriven_.outcome = Redriven::Outcome::done;
  copy.release();
  count_accepted(services_, *route_);
  services_.upstreams[route_->upstream].inserted(route_->lane);
}

}  // namespace

awaitable<Redriven> redrive_job(Services& services, jobs::JobId id) {
  Redrive redrive(services, id);
  co_return co_await redrive.run();
}

}  // namespace raincheck::proxy
