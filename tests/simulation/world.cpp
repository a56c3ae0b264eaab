#include "tests/simulation/world.hpp"

#include "tests/support/proxy_fixture.hpp"

namespace raincheck::simulation {

using namespace std::chrono_literals;
using test::Script;
using Kind = Script::Kind;

config::Config make_config(Sabotage sabotage) {
  config::Config config;
  const std::uint32_t more = sabotage == Sabotage::overbook ? 1 : 0;
  config.upstreams.push_back(test::an_upstream("plain", 2 + more));
  config.upstreams.push_back(test::an_upstream("drained", 3 + more));
  config.upstreams[1].on_abort = config::OnAbort::drain;
  config.upstreams[1].abort_hold = 2min;
  config.store.inline_max = 64;
  config.jobs.retention.result = 30min;

  config.routes.push_back(test::a_route("safe", "PUT", "plain"));
  config.routes.push_back(test::a_route("high", "PUT", "plain"));
  config.routes.back().async.priority = config::Priority::high;
  config.routes.push_back(test::a_route("unsafe", "POST", "plain"));
  if (sabotage == Sabotage::resend_unsafe) {
    config.routes.back().async.resend = config::Resend::always;
  }
  config.routes.push_back(test::a_route("follow", "POST", "plain"));
  config.routes.back().async.follow.enabled = true;
  config.routes.push_back(test::a_route("again", "POST", "drained"));
  config.routes.back().async.resend = config::Resend::always;
  config.routes.back().async.retention_result = 5min;
  config.routes.back().retry.on_timeout = true;
  config.routes.push_back(test::a_route("once", "PUT", "drained"));
  config.routes.back().async.resend = config::Resend::never;
  config.routes.back().async.priority = config::Priority::low;
  config.routes.back().async.job_timeout = 10min;
  config.routes.back().async.queue_timeout = 2min;
  return config;
}

Rules make_rules(bool even_wall_clock) {
  Rules rules;
  rules.even_wall_clock = even_wall_clock;
  rules.upstreams = {{2, false, 0ms}, {3, true, 2min}};
  rules.routes["safe"] = {0, true};
  rules.routes["high"] = {0, true};
  rules.routes["unsafe"] = {0, false};
  rules.routes["follow"] = {0, false};
  rules.routes["again"] = {1, true};
  rules.routes["once"] = {1, false};
  return rules;
}

namespace {

Script draw_flaky(Dice& dice) {
  static constexpr Kind kinds[] = {Kind::refuse,  Kind::lost_unsent, Kind::lost_unread, Kind::lost,
                                   Kind::garbage, Kind::truncated,   Kind::too_large};
  static constexpr int statuses[] = {200, 201, 404, 500, 502, 503, 429};
  Script script;
  if (dice.one_in(2)) {
    script.kind = dice.one_of(kinds);
  } else {
    script.status = dice.one_of(statuses);
    if (dice.one_in(2)) script.retry_after = std::to_string(dice.below(10));
  }
  return script;
}

// Of a backend that goes on with a call: its answer to it, or to who asks for the result.
void draw_202(const std::string& target, Dice& dice, Script& script) {
  if (script.kind != Kind::answer || script.status != 200 || dice.one_in(3)) return;
  script.status = 202;
  if (dice.one_in(2)) script.retry_after = std::to_string(dice.below(100));
  if (!is_question(target)) script.fields = "Location: " + target + "?result\r\n";
}

}  // namespace

Script draw_script(Mood mood, const std::string& target, Dice& dice) {
  Script script;
  switch (mood) {
    case Mood::healthy:
      break;
    case Mood::flaky:
      script = draw_flaky(dice);
      break;
    case Mood::down:
      script.kind = Kind::refuse;
      break;
    case Mood::busy:
      script.status = dice.one_in(2) ? 429 : 503;
      script.retry_after = std::to_string(1 + dice.below(20));
      break;
    case Mood::slow:
      script.after = dice.one_in(3) ? Script::never : dice.up_to(90s);
      break;
  }
  if (mood != Mood::slow && dice.one_in(2)) script.after = dice.up_to(5s);
  if (route_of(target) == "follow") draw_202(target, dice, script);
  script.body = target + " " + std::to_string(dice.below(1'000'000));
  if (dice.one_in(2)) script.body.append(dice.below(200), '.');
  return script;
}

}  // namespace raincheck::simulation
