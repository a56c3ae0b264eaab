#include "jobs/decide.hpp"

#include <algorithm>

#include "jobs/date.hpp"
#include "jobs/mix.hpp"
#include "jobs/text.hpp"

namespace raincheck::jobs {
namespace {

constexpr milliseconds retry_after_max = std::chrono::hours(24);

bool lists(const Rules& rules, int status) {
  return std::find(rules.on_status.begin(), rules.on_status.end(), status) != rules.on_status.end();
}

bool is_success(const Rules& rules, int status) {
  return std::any_of(rules.success.begin(), rules.success.end(), [status](const auto& range) {
    return range.first <= status && status <= range.second;
  });
}

// Exponential with full jitter: anything from nothing to the whole interval, so that jobs which
// failed together do not come back together.
milliseconds backoff(const Attempt& attempt, const Rules& rules) {
  const auto max = static_cast<std::uint64_t>(std::max<std::int64_t>(rules.max_backoff.count(), 0));
  auto interval = static_cast<std::uint64_t>(std::max<std::int64_t>(rules.backoff.count(), 0));
  for (std::uint32_t i = 1; i < attempt.number && 0 < interval && interval < max; ++i)
    interval *= 2;
  interval = std::min(interval, max);
  const std::uint64_t dice = mix(attempt.seed + attempt.number * 0x9e3779b97f4a7c15);
  return milliseconds(static_cast<std::int64_t>(dice % (interval + 1)));
}

Decision fail(ErrorType error) {
  Decision decision;
  decision.error = error;
  return decision;
}

Decision fail_with_response(bool rejected) {
  Decision decision = fail(rejected ? ErrorType::upstream_rejected : ErrorType::upstream_status);
  decision.keep_response = true;
  return decision;
}

Decision requeue(WallTime due_at, bool counts) {
  Decision decision;
  decision.action = Decision::Action::requeue;
  decision.state = State::queued;
  decision.due_at = due_at;
  decision.counts = counts;
  return decision;
}

// The call surely was not executed, and the upstream is not available: that is no fault of the job,
// so it burns no attempt. It comes due when its time is over at the latest, for the dispatcher to
// see that.
Decision hold(const Attempt& attempt, milliseconds hold_for) {
  const bool is_first = attempt.number <= 1;
  const WallTime over =
      is_first ? std::min(attempt.start_by, attempt.finish_by) : attempt.finish_by;
  const WallTime due_at = std::max(attempt.now, std::min(attempt.now + hold_for, over));
  Decision decision = requeue(due_at, false);
  decision.hold_upstream = true;
  decision.hold_for = hold_for;
  return decision;
}

Decision retry_or(const Decision& otherwise,
                  const Outcome& outcome,
                  const Attempt& attempt,
                  const Rules& rules) {
  if (attempt.number >= rules.max_attempts) return otherwise;
  const milliseconds delay =
      std::max(backoff(attempt, rules), outcome.retry_after.value_or(milliseconds(0)));
  const WallTime due_at = attempt.now + delay;
  return due_at < attempt.finish_by ? requeue(due_at, true) : otherwise;
}

Decision decide_response(const Outcome& outcome, const Attempt& attempt, const Rules& rules) {
  const int status = outcome.status;
  const bool is_good = is_success(rules, status);
  if (is_good && !outcome.rejected) {
    Decision decision;
    decision.state = State::succeeded;
    decision.keep_response = true;
    return decision;
  }
  const Decision kept = fail_with_response(is_good || status < 400);
  if (!lists(rules, status)) return kept;
  if (status == 429 || (status == 503 && outcome.retry_after)) {
    return hold(attempt, outcome.retry_after.value_or(milliseconds(0)));
  }
  return attempt.may_resend ? retry_or(kept, outcome, attempt, rules) : kept;
}

Decision decide_unreachable(const Attempt& attempt, const Rules& rules) {
  return rules.on_connect_failure ? hold(attempt, milliseconds(0))
                                  : fail(ErrorType::upstream_unreachable);
}

Decision decide_lost(const Outcome& outcome, const Attempt& attempt, const Rules& rules) {
  if (!outcome.sent) return decide_unreachable(attempt, rules);
  if (!attempt.may_resend) return fail(ErrorType::outcome_unknown);
  const Decision lost = fail(ErrorType::upstream_unreachable);
  return rules.on_connect_failure || lists(rules, 502) ? retry_or(lost, outcome, attempt, rules)
                                                       : lost;
}

// A time limit that passed before anything was sent tells of the upstream, not of the call.
Decision decide_timeout(const Outcome& outcome, const Attempt& attempt, const Rules& rules) {
  if (!outcome.sent && rules.on_connect_failure) return hold(attempt, milliseconds(0));
  const Decision late = fail(ErrorType::upstream_timeout);
  return rules.on_timeout && (attempt.may_resend || !outcome.sent)
             ? retry_or(late, outcome, attempt, rules)
             : late;
}

// An answer came that is none: it is a failure of the backend's, as a 502 is.
Decision decide_unusable(ErrorType error,
                         const Outcome& outcome,
                         const Attempt& attempt,
                         const Rules& rules) {
  const Decision garbled = fail(error);
  return attempt.may_resend && lists(rules, 502) ? retry_or(garbled, outcome, attempt, rules)
                                                 : garbled;
}

// A fault of ours says nothing of the call, so it burns no attempt; only the job's own time limits
// end what keeps failing here.
Decision decide_ours(const Outcome& outcome, const Attempt& attempt, milliseconds delay) {
  if (outcome.sent && !attempt.may_resend) return fail(ErrorType::outcome_unknown);
  return requeue(attempt.now + delay, false);
}

// The backend goes on whatever becomes of a question, which changes nothing and may be asked again
// until the job's time is over.
Decision ask(const Outcome& outcome, const Attempt& attempt, bool hold_upstream) {
  if (attempt.now >= attempt.finish_by) return fail(ErrorType::expired);
  Decision decision;
  decision.action = Decision::Action::ask;
  decision.state = State::running;
  decision.hold_upstream = hold_upstream;
  decision.hold_for = outcome.retry_after.value_or(milliseconds(0));
  return decision;
}

Decision decide_followed(const Outcome& outcome, const Attempt& attempt, const Rules& rules) {
  if (!outcome.fault) {
    if (!lists(rules, outcome.status)) return decide_response(outcome, attempt, rules);
    const bool is_busy = outcome.status == 429 || (outcome.status == 503 && outcome.retry_after);
    return ask(outcome, attempt, is_busy);
  }
  switch (*outcome.fault) {
    case Fault::upstream_unreachable:
    case Fault::overloaded:
      return ask(outcome, attempt, true);
    case Fault::upstream_lost:
    case Fault::upstream_timeout:
    case Fault::upstream_protocol_error:
    case Fault::internal:
    case Fault::store_full:
    case Fault::store_failed:
      return ask(outcome, attempt, false);
    case Fault::response_too_large:
      return fail(ErrorType::response_too_large);
    case Fault::rewrite_failed:
      return fail(ErrorType::rewrite_failed);
    case Fault::stopping:
    case Fault::client_gone:
      return requeue(attempt.now, true);
  }
  return fail(ErrorType::outcome_unknown);
}

}  // namespace

Decision decide(const Outcome& outcome, const Attempt& attempt, const Rules& rules) {
  if (outcome.astray) return fail(ErrorType::upstream_protocol_error);
  if (attempt.followed) return decide_followed(outcome, attempt, rules);
  if (!outcome.fault) return decide_response(outcome, attempt, rules);
  switch (*outcome.fault) {
    case Fault::upstream_unreachable:
      return decide_unreachable(attempt, rules);
    case Fault::upstream_lost:
      return decide_lost(outcome, attempt, rules);
    case Fault::upstream_timeout:
      return decide_timeout(outcome, attempt, rules);
    case Fault::upstream_protocol_error:
      return decide_unusable(ErrorType::upstream_protocol_error, outcome, attempt, rules);
    case Fault::rewrite_failed:
      return decide_unusable(ErrorType::rewrite_failed, outcome, attempt, rules);
    case Fault::response_too_large:
      return fail(ErrorType::response_too_large);
    case Fault::overloaded:
      // Without a socket or a place of ours, the next job would fare no better.
      if (!outcome.sent) return hold(attempt, milliseconds(0));
      return decide_ours(outcome, attempt, rules.backoff);
    case Fault::internal:
    case Fault::store_full:
    case Fault::store_failed:
      return decide_ours(outcome, attempt, rules.backoff);
    case Fault::stopping:
    case Fault::client_gone:
      return decide_ours(outcome, attempt, milliseconds(0));
  }
  return fail(ErrorType::outcome_unknown);
}

Decision decide_orphan(bool may_resend, bool followed, WallTime now) {
  return may_resend || followed ? requeue(now, true) : fail(ErrorType::outcome_unknown);
}

std::optional<milliseconds> parse_retry_after(std::string_view value, WallTime now) {
  value = trim(value);
  if (const auto seconds = parse_seconds(value, retry_after_max)) return seconds;
  const std::optional<WallTime> date = parse_http_date(value, now);
  if (!date) return std::nullopt;
  return std::clamp(*date - now, milliseconds(0), retry_after_max);
}

}  // namespace raincheck::jobs
