// Whether a call may go on: the authorization service of its route is asked, over a slot and a
// connection of the upstream that it is. Nothing goes on that was not allowed.
#include "proxy/client_watch.hpp"
#include "proxy/exchange.hpp"
#include "proxy/handlers.hpp"
#include "proxy/pinned.hpp"
#include "proxy/relay.hpp"
#include "routes/auth_fields.hpp"

namespace raincheck::proxy {

using jobs::Error;
using jobs::Fault;
using jobs::Result;

namespace {

// Of a refusal; what is longer is not passed on, for half of it would be another answer.
constexpr std::size_t refusal_max = 64 * 1024;

// A question under way. Shared with the task that waits for an answer nobody wants any more.
struct Inquiry {
  std::string head;
  jobs::Body body;  // never any
  std::unique_ptr<PoolExchange> exchange;
};

// Where `on_abort: drain`, the slot is kept until the service has ended.
awaitable<void> outlast(std::shared_ptr<Inquiry> inquiry, ShardUpstream& service) {
  const TimePoint limit = service.pool->context().timers.now() + service.config->hold();
  co_await inquiry->exchange->settle(limit);
  service.slots->give();
}

class Authorization {
 public:
  Authorization(Transaction& transaction, const SiteRoute& route)
      : transaction_(transaction),
        services_(transaction.services()),
        route_(route),
        settings_(route.config->authorize),
        service_(services_.upstreams[route.auth_service]),
        deadline_(services_.timers().now() + settings_.timeout) {}

  awaitable<bool> run();

 private:
  void make_question();
  bool is_remembered();
  awaitable<bool> take_slot(const bool& gone, Signal*& waiting);
  awaitable<Result<void>> ask(const bool& gone);
  awaitable<Result<void>> read_answer();
  bool conclude(const Result<void>& answered);
  void allow();
  void relay_refusal();

  Transaction& transaction_;
  Services& services_;
  const SiteRoute& route_;
  const config::Authorize& settings_;
  ShardUpstream& service_;
  const TimePoint deadline_;
  std::shared_ptr<Inquiry> inquiry_ = std::make_shared<Inquiry>();
  std::optional<AuthCache::Key> key_;
  int status_ = 0;
  std::string fields_;  // of the answer
  std::string body_;
  bool is_body_whole_ = true;
  bool is_shared_ = false;  // its connection may be anybody's
};

const std::string& request_id_header(Services& services) {
  return services.site.config().request_id.header;
}

void Authorization::make_question() {
  std::string lines;
  append_request_fields(lines, transaction_.head(), transaction_.identity());
  const routes::AuthSubject subject{transaction_.head().method, transaction_.target().text, lines};
  inquiry_->head = routes::auth_question(settings_.method, settings_.target, subject);
}

bool Authorization::is_remembered() {
  if (settings_.cache.count() == 0) return false;
  const std::string core = routes::auth_question_core(inquiry_->head, request_id_header(services_));
  key_ = services_.allowed.key_of(route_.config->name, core);
  const std::string* const copied = services_.allowed.find(*key_, services_.timers().now());
  if (copied) transaction_.copy_fields(settings_.copy_headers, *copied);
  return copied != nullptr;
}

awaitable<bool> Authorization::run() {
  make_question();
  if (is_remembered()) co_return true;
  bool gone = false;
  Signal* waiting = nullptr;
  Result<void> answered = Error(Fault::upstream_timeout, "waiting for a slot");
  {
    ClientWatch watch(transaction_.connection(), services_.timers(), [this, &gone, &waiting] {
      gone = true;
      if (waiting) waiting->notify();
      if (inquiry_->exchange) inquiry_->exchange->abort();
    });
    const bool taken = co_await take_slot(gone, waiting);
    if (taken) answered = co_await ask(gone);
  }
  if (gone) {
    transaction_.set_reason("client_closed");
    transaction_.cut_short();
    co_return false;
  }
  co_return conclude(answered);
}

awaitable<bool> Authorization::take_slot(const bool& gone, Signal*& waiting) {
  if (service_.queue->empty() && service_.slots->try_take()) co_return true;
  const bool taken = co_await service_.queue->take(deadline_, gone, waiting);
  co_return taken;
}

// With a slot, which is given back when the service has done with the question.
awaitable<Result<void>> Authorization::ask(const bool& gone) {
  const TimePoint began = services_.timers().now();
  Call call;
  call.head = inquiry_->head;
  call.body = &inquiry_->body;
  // To be asked twice changes nothing: it is asked for every call.
  call.may_resend = true;
  call.deadline = deadline_;
  call.ends_early = true;
  inquiry_->exchange = std::make_unique<PoolExchange>(*service_.pool, call);
  Result<void> answered = Error(Fault::client_gone, "");
  if (!gone) answered = co_await read_answer();
  std::unique_ptr<UpstreamConnection>& connection = inquiry_->exchange->connection();
  CallEnd end;
  end.connection = connection.get();
  end.done = answered;
  end.client_gone = gone;
  end.is_question = true;
  log_call(transaction_, *service_.config, route_, began, end);
  if (!answered || !connection->body_done()) {
    services_.tasks.spawn(outlast(inquiry_, service_));
    co_return answered;
  }
  if (is_shared_) service_.pool->release(std::move(connection));
  // We have hung up before the slot is free.
  connection.reset();
  service_.slots->give();
  co_return answered;
}

awaitable<Result<void>> Authorization::read_answer() {
  const Result<void> begun = co_await inquiry_->exchange->begin();
  if (!begun) co_return begun;
  UpstreamConnection& connection = *inquiry_->exchange->connection();
  status_ = connection.head().status;
  // Whoever was asked about next over it would be taken for this client.
  is_shared_ = !has_connection_auth(inquiry_->head) &&
               !names_connection_auth(connection.head().fields, "WWW-Authenticate");
  append_response_fields(fields_, connection.head());
  while (true) {
    const Result<std::string_view> piece = co_await connection.read_body();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return Result<void>();
    is_body_whole_ = body_.size() + piece->size() <= refusal_max;
    if (!is_body_whole_) co_return Result<void>();
    body_.append(*piece);
  }
}

bool Authorization::conclude(const Result<void>& answered) {
  if (!answered) {
    transaction_.respond(Problem(503, "authorization_unavailable",
                                 "Whether the call is allowed could not be found out.", nullptr,
                                 "Retry-After: 1\r\n"));
    return false;
  }
  const bool is_allowed = status_ >= 200 && status_ < 300;
  if (is_allowed) {
    allow();
  } else {
    relay_refusal();
  }
  return is_allowed;
}

void Authorization::allow() {
  std::string copied = routes::copied_fields(fields_, settings_.copy_headers);
  if (key_ && routes::may_be_remembered(fields_)) {
    const TimePoint now = services_.timers().now();
    services_.allowed.put(*key_, copied, now, now + settings_.cache);
  }
  transaction_.copy_fields(settings_.copy_headers, std::move(copied));
}

void Authorization::relay_refusal() {
  const auto kept = is_body_whole_ ? routes::AnswerBodyKept::yes : routes::AnswerBodyKept::no;
  std::string fields = routes::relayed_fields(fields_, request_id_header(services_), kept);
  if (!route_.rules->cors.is_empty()) routes::Cors::erase_from(fields);
  if (is_body_whole_) {
    transaction_.set_reason("not_authorized");
    transaction_.respond(status_, fields, body_);
    return;
  }
  transaction_.respond(Problem(status_, "not_authorized",
                               "The call was refused, at a length that is not passed on.", nullptr,
                               std::move(fields)));
}

}  // namespace

awaitable<bool> authorize(Transaction& transaction, const SiteRoute& route) {
  Authorization authorization(transaction, route);
  co_return co_await authorization.run();
}

}  // namespace raincheck::proxy
