#include "tests/simulation/simulation.hpp"

#include <filesystem>

#include "tests/simulation/clients.hpp"
#include "tests/simulation/world.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_directory.hpp"

namespace raincheck::simulation {

using namespace std::chrono_literals;
using jobs::milliseconds;
using test::Process;

namespace {

constexpr int steps = 80;
// A dispatcher tries again so much later, at most, after a claim that failed.
constexpr milliseconds claim_again{1'000};

constexpr const char* routes[] = {"safe", "high", "unsafe", "follow", "again", "once"};

const char* method_of(const std::string& route) {
  return route == "safe" || route == "high" || route == "once" ? "PUT" : "POST";
}

class Simulation {
 public:
  Simulation(std::uint64_t seed, Sabotage sabotage);
  ~Simulation() { end_process(); }

  Outcome run();

 private:
  void start();
  void end_process();
  void copy_store();
  void crash();
  void restart();
  void step();
  void submit();
  void submit_again();
  void ask();
  void hang_up();
  void send(Request request, const std::string& method, const std::string& body);
  void change_store();
  void move_clock();
  bool advance_to_next_timer();
  void prune();
  void pause_or_resume();
  void act_once();
  void act(std::size_t times);
  void run_until_quiet();
  void check();
  void check_at_rest();
  void settle();
  void end_retention();
  bool failed() const { return !model_.complaint().empty(); }

  struct UsedKey {
    std::string route;
    std::string target;
    std::string body;
  };

  const Sabotage sabotage_;
  Dice dice_;
  const bool even_wall_clock_;
  const std::size_t shards_;
  test::ManualClock clock_;
  test::TemporaryDirectory directory_;
  int generation_ = 0;
  Model model_;
  WatchedBackend::Faults faults_;
  Mood mood_ = Mood::healthy;
  std::vector<std::unique_ptr<WatchedPeer>> peers_;
  WatchedBackend* backend_ = nullptr;
  std::unique_ptr<Process> process_;
  std::optional<jobs::IdCodec> codec_;
  std::unique_ptr<Clients> clients_;
  std::vector<UsedKey> keys_;
  std::size_t submissions_ = 0;
  jobs::TimePoint last_refusal_{};
  Outcome outcome_;
};

Simulation::Simulation(std::uint64_t seed, Sabotage sabotage)
    : sabotage_(sabotage),
      dice_(seed),
      even_wall_clock_(dice_.one_in(2)),
      shards_(1 + dice_.below(2)),
      model_(make_rules(even_wall_clock_), clock_) {
  start();
  copy_store();
  codec_.emplace(process_->store().backend().secret());
  clients_ = std::make_unique<Clients>(model_, *codec_);
}

void Simulation::start() {
  faults_ = {};
  peers_.clear();
  for (std::size_t upstream = 0; upstream < 2; ++upstream) {
    peers_.push_back(std::make_unique<WatchedPeer>(model_, upstream));
    peers_.back()->script = [this](const test::ScriptedCall& call) {
      return draw_script(mood_, call.target, dice_);
    };
  }
  test::ProcessParts parts;
  parts.config = make_config(sabotage_);
  parts.directory = directory_ / std::to_string(generation_);
  parts.shards = shards_;
  parts.clock = &clock_;
  parts.peer = [this](std::size_t upstream) -> test::ScriptedPeer& { return *peers_[upstream]; };
  parts.wrap = [this](std::unique_ptr<store::Backend> to) {
    auto watched =
        std::make_unique<WatchedBackend>(std::move(to), model_, faults_, sabotage_, dice_.engine());
    backend_ = watched.get();
    return watched;
  };
  process_ = std::make_unique<Process>(std::move(parts));
}

// What the process still does after this is seen by nobody, and takes no time.
void Simulation::end_process() {
  if (!process_) return;
  if (clients_) clients_->hang_up_all();
  backend_->mute();
  for (const auto& peer : peers_) peer->mute();
  const test::ManualClock now = clock_;
  process_.reset();
  clock_ = now;
}

// What a kill at this moment would leave on the disk, for the next generation.
void Simulation::copy_store() {
  const std::string to = directory_ / std::to_string(generation_ + 1);
  std::filesystem::remove_all(to);
  std::filesystem::copy(directory_ / std::to_string(generation_), to,
                        std::filesystem::copy_options::recursive);
  std::filesystem::remove(to + "/raincheck.db-shm");
}

void Simulation::crash() {
  ++outcome_.crashes;
  const std::string before = directory_ / std::to_string(generation_);
  if (sabotage_ != Sabotage::lose_commits) copy_store();
  ++generation_;
  model_.process_ended(true);
  end_process();
  std::filesystem::remove_all(before);
  if (dice_.one_in(3)) clock_.advance(dice_.up_to(10s));
  start();
}

// In order: what runs has a moment to end by itself, and is given up then.
void Simulation::restart() {
  ++outcome_.restarts;
  faults_.full = false;
  process_->stop(dice_.up_to(5s));
  clients_->listen();
  check();
  model_.process_ended(false);
  end_process();
  start();
}

void Simulation::send(Request request, const std::string& method, const std::string& body) {
  std::string rest = "Host: here\r\nConnection: close\r\n";
  if (request.kind == Request::Kind::submit) {
    rest += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  const bool in_two = !body.empty() && dice_.one_in(4);
  request.text = method + request.text + rest + "\r\n";
  (in_two ? request.late_text : request.text) += body;
  clients_->ask(process_->connect(dice_.below(shards_)), std::move(request));
}

void Simulation::submit() {
  const std::string route = dice_.one_in(7) ? "unsafe" : dice_.one_of(routes);
  UsedKey use;
  use.route = route;
  use.target = "/" + route + "/" + std::to_string(++submissions_);
  use.body = "work " + std::string(dice_.below(2) * 100, 'x');
  Request request;
  request.target = use.target;
  request.text = " " + use.target + " HTTP/1.1\r\n";
  if (dice_.one_in(2)) {
    request.keyed = true;
    request.text += "Idempotency-Key: key-" + std::to_string(keys_.size()) + "\r\n";
    request.waits = dice_.one_in(4);
    if (request.waits) request.text += "Prefer: wait=20\r\n";
    keys_.push_back(use);
  }
  send(std::move(request), method_of(route), use.body);
}

// A key again: of the same request, or of another one.
void Simulation::submit_again() {
  if (keys_.empty()) return;
  const std::size_t which = dice_.below(keys_.size());
  UsedKey use = keys_[which];
  const bool other = dice_.one_in(4);
  if (other) use.target = "/" + use.route + "/other-" + std::to_string(++submissions_);
  Request request;
  request.target = use.target;
  request.keyed = true;
  request.text = " " + use.target + " HTTP/1.1\r\n";
  request.text += "Idempotency-Key: key-" + std::to_string(which) + "\r\n";
  send(std::move(request), method_of(use.route), use.body);
}

void Simulation::ask() {
  const std::vector<jobs::JobId>& known = clients_->acknowledged();
  if (known.empty()) return;
  static constexpr Request::Kind kinds[] = {Request::Kind::status, Request::Kind::status,
                                            Request::Kind::result, Request::Kind::result,
                                            Request::Kind::cancel, Request::Kind::erase};
  Request request;
  request.kind = dice_.one_of(kinds);
  // Rather a recent one.
  const std::size_t among = dice_.one_in(2) ? known.size() : std::min<std::size_t>(known.size(), 4);
  request.id = known[known.size() - 1 - dice_.below(among)];
  const bool of_result =
      request.kind == Request::Kind::result || request.kind == Request::Kind::erase;
  const bool waits = request.kind == Request::Kind::status && dice_.one_in(3);
  request.text = " /_jobs/";
  request.text += jobs::view(codec_->encode(request.id));
  request.text += of_result ? "/result" : waits ? "?wait=30" : "";
  request.text += " HTTP/1.1\r\n";
  const bool reads = request.kind == Request::Kind::status || request.kind == Request::Kind::result;
  send(std::move(request), reads ? "GET" : "DELETE", "");
}

void Simulation::hang_up() {
  if (clients_->open() != 0) clients_->hang_up_one(dice_.below(clients_->open()));
}

void Simulation::change_store() {
  switch (dice_.below(6)) {
    case 0:
    case 1:
      faults_.full = !faults_.full;
      model_.note(faults_.full ? "the disk is full" : "the disk is not full");
      break;
    case 2:
    case 3:
      if (backend_->checkpoint_due() || dice_.one_in(2)) backend_->checkpoint();
      break;
    default:
      (dice_.one_in(2) ? faults_.fails_now : faults_.fails_late) = dice_.one_in(3);
  }
}

bool Simulation::advance_to_next_timer() {
  jobs::TimePoint next = jobs::TimePoint::max();
  for (std::size_t i = 0; i < process_->shard_count(); ++i) {
    next = std::min(next, process_->shard(i).timers().next().value_or(next));
  }
  if (next == jobs::TimePoint::max()) return false;
  const auto wait = std::chrono::ceil<milliseconds>(next - clock_.now());
  if (wait.count() > 0) clock_.advance(wait);
  return true;
}

void Simulation::move_clock() {
  const std::size_t how = dice_.below(20);
  if (how < 10) {
    clock_.advance(dice_.up_to(2s));
  } else if (how < 16) {
    advance_to_next_timer();
  } else if (how < 18) {
    clock_.advance(dice_.up_to(3min));
  } else if (how == 18 || even_wall_clock_) {
    clock_.advance(dice_.up_to(20min));
  } else {
    const milliseconds jump = dice_.up_to(1h);
    clock_.set_wall(dice_.one_in(2) ? jump : -jump);
    model_.note("the wall clock jumped");
  }
}

proxy::awaitable<void> prune_once(test::TestShard& shard, std::uint32_t count_max) {
  store::Prune command;
  command.now = shard.timers().wall_now();
  command.count_max = count_max;
  co_await shard.store().apply(std::move(command));
}

void Simulation::prune() {
  test::TestShard& shard = process_->shard();
  shard.tasks().spawn(prune_once(shard, dice_.one_in(2) ? 2 : 256));
}

// What is on its way when a route is paused may begin still.
void Simulation::pause_or_resume() {
  const std::string route = dice_.one_of(routes);
  const bool paused = !model_.is_paused(route);
  if (!paused) model_.pause(route, false);
  if (sabotage_ != Sabotage::forget_pauses) process_->pause_route(route, paused);
  if (!paused) return;
  run_until_quiet();
  model_.pause(route, true);
}

// The smallest thing that can happen: one handler, one group of commits, one batch of reads, ...
void Simulation::act_once() {
  test::TestShard& shard = process_->shard(dice_.below(shards_));
  switch (dice_.below(8)) {
    case 0:
      process_->commit();
      break;
    case 1:
      process_->read();
      break;
    case 2:
      process_->file_work();
      break;
    case 3:
      shard.timers().run_due();
      shard.timers().sweep();
      break;
    default:
      shard.poll_one();
  }
  if (backend_->refused()) last_refusal_ = clock_.now();
}

void Simulation::act(std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) act_once();
  if (dice_.one_in(2)) clients_->send_rest();
  clients_->listen();
}

void Simulation::run_until_quiet() {
  clients_->send_rest();
  process_->run();
  clients_->listen();
  if (backend_->refused()) last_refusal_ = clock_.now();
}

void Simulation::step() {
  const std::size_t what = dice_.below(100);
  const jobs::TimePoint before = clock_.now();
  if (what < 34) {
    submit();
  } else if (what < 42) {
    submit_again();
  } else if (what < 59) {
    ask();
  } else if (what < 62) {
    pause_or_resume();
  } else if (what < 64) {
    hang_up();
  } else if (what < 84) {
    move_clock();
  } else if (what < 88) {
    change_store();
  } else if (what < 94) {
    static constexpr Mood moods[] = {Mood::healthy, Mood::flaky, Mood::flaky,
                                     Mood::down,    Mood::busy,  Mood::slow};
    mood_ = dice_.one_of(moods);
  } else if (what < 97) {
    prune();
  } else if (what < 99) {
    crash();
  } else {
    restart();
  }
  if (sabotage_ == Sabotage::lose_commits && dice_.one_in(3)) copy_store();
  if (clock_.now() != before) model_.note("the clock moved");
  act(dice_.below(30));
  // A crash at any moment of what a step began.
  if (dice_.one_in(30)) crash();
  if (dice_.one_in(3)) {
    run_until_quiet();
    if (!process_->store().failed()) check_at_rest();
  }
  if (process_->store().failed()) crash();
}

void Simulation::check() {
  if (!process_->store().failed()) model_.check(process_->store().backend());
}

void Simulation::check_at_rest() {
  model_.check_calls_are_wanted();
  if (process_->pending() != static_cast<std::int64_t>(model_.pending())) {
    model_.complain("pending: counted " + std::to_string(process_->pending()) + " of " +
                    std::to_string(model_.pending()));
  }
  if (clock_.now() < last_refusal_ + claim_again || faults_.full) return;
  for (const auto& [key, job] : model_.jobs()) {
    const proxy::Slots& slots = process_->slots(job.upstream);
    const bool lies = job.state == jobs::State::queued && !job.was_requeued &&
                      !model_.is_paused(route_of(job.target));
    if (lies && !slots.held() && slots.taken() < slots.max()) {
      model_.complain("a job lies while there is a slot for it: " + job.target);
    }
  }
}

// With nothing wrong any more, everything comes to its end.
void Simulation::settle() {
  faults_ = {};
  mood_ = Mood::healthy;
  for (const char* const route : routes) {
    model_.pause(route, false);
    process_->pause_route(route, false);
  }
  const auto is_settled = [this] {
    return model_.pending() == 0 && process_->slots(0).taken() == 0 &&
           process_->slots(1).taken() == 0;
  };
  run_until_quiet();
  for (int i = 0; i < 1'000 && !failed() && !is_settled(); ++i) {
    // At first as time goes; then faster, for a wall clock that was set back puts off retries.
    if (i > 200 || !advance_to_next_timer()) clock_.advance(30s);
    run_until_quiet();
  }
  check();
  check_at_rest();
  if (failed() || is_settled()) return;
  for (const auto& [key, job] : model_.jobs()) {
    if (!jobs::is_final(job.state)) model_.complain("P2: never ends: " + job.target);
  }
  model_.complain("slots are not given back");
}

void Simulation::end_retention() {
  clock_.advance(2h);
  for (const auto& [key, job] : model_.jobs()) {
    if (job.expires_at > clock_.wall_now()) clock_.advance(job.expires_at - clock_.wall_now());
  }
  process_->shard().tasks().spawn(prune_once(process_->shard(), 10'000));
  run_until_quiet();
  backend_->checkpoint();
  check();
  for (const auto& [key, job] : model_.jobs()) {
    if (!job.gone) model_.complain("never erased: " + job.target);
  }
  if (process_->store().spool().has_files()) model_.complain("files of no job are left");
}

Outcome Simulation::run() {
  for (int i = 0; i < steps && !failed(); ++i) {
    step();
    check();
  }
  if (!failed()) settle();
  if (!failed()) end_retention();
  outcome_.complaint = model_.complaint();
  outcome_.history = model_.history();
  outcome_.jobs = model_.jobs().size();
  outcome_.acknowledged = clients_->acknowledged().size();
  outcome_.answers = clients_->answers();
  outcome_.calls = model_.calls_begun();
  outcome_.executions = model_.executions();
  return outcome_;
}

}  // namespace

Outcome simulate(std::uint64_t seed, Sabotage sabotage) {
  return Simulation(seed, sabotage).run();
}

}  // namespace raincheck::simulation
