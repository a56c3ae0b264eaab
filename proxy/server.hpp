// The whole program once its configuration is read: opens the store, recovers, builds the shards,
// serves, reloads, drains, stops. Lives on the main thread, which only waits for signals.
// Construction throws std::runtime_error; run() does not.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/file_watch.hpp"
#include "proxy/operations_server.hpp"
#include "proxy/passed_sockets.hpp"
#include "proxy/recovery.hpp"
#include "proxy/shard.hpp"
#include "proxy/vitals.hpp"

namespace raincheck::proxy {

// The store cannot be opened, or what it holds cannot be taken over.
class StoreUnusable : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Server {
 public:
  // `file`: where the configuration was read, to be read again; "-" cannot be. `files`: what was
  // read with it.
  Server(config::Config config, std::string file, FileWatch files);
  ~Server();

  // Serves until SIGTERM, SIGINT or SIGQUIT, then drains; a second one ends the process at once.
  // SIGHUP reloads. Gives the exit status: 0, or EX_IOERR (74) after the store has failed, so that
  // a new process reads what is true.
  int run();

 private:
  const config::Config& config() const { return generation_->site().config(); }
  std::vector<std::function<void()>> wake_for(std::size_t upstream) const;
  void recover();
  // Sockets of listeners that were not open, for each shard, and where they are, for people.
  struct Opened {
    std::vector<Shard::Sockets> sockets;
    std::vector<std::string> places;
  };
  Opened open_listeners(const Generation& generation) const;
  template <class F>
  void on_every_shard(F call);
  void serve(std::shared_ptr<Generation> generation, Opened opened);

  // All or nothing: what is wrong with the new configuration, or what changes with it, in lines.
  struct Reloaded {
    bool is_done = false;
    std::string text;
  };
  // server_reload.cpp. A rehearsal goes as far as to know what would come of it.
  Reloaded reload();
  Reloaded try_reload(bool is_rehearsal);
  std::string fate_of_jobs(const Generation& next) const;
  void watch_files();

  // What operators can ask and do: server_operations.cpp.
  void open_operations();
  std::vector<Operation> monitoring_operations();
  std::vector<Operation> admin_operations();
  void answer_reload(const OperationRequest& request, const OperationReply& reply);
  // More of them: server_control.cpp.
  std::vector<Operation> control_operations();
  void show_stats(const OperationReply& reply);
  void drain(const OperationReply& reply);
  // server_pauses.cpp
  void pause_upstream(const OperationRequest& request, bool paused, const OperationReply& reply);
  void pause_route(const OperationRequest& request, bool paused, const OperationReply& reply);
  void pause(const std::string& what, bool paused, const OperationReply& reply);
  std::string record_paused(const std::string& what, bool paused);
  void recall_paused();
  void forget_paused(const Generation& before);

  void open_passed(const std::string& name, const std::string& key, Opened& opened) const;
  void warn_of_unused_sockets() const;
  void show_health(const OperationRequest& request, const OperationReply& reply) const;
  void show_readiness(const OperationRequest& request, const OperationReply& reply) const;
  void show_metrics(const OperationReply& reply);
  // What must get on for anything to happen, and what must hold for a 202.
  std::vector<Vital> vitals(jobs::milliseconds within) const;
  std::vector<Vital> readiness() const;
  // Tells systemd how it is, as long as it is well.
  void watch_vitals();
  void tell_systemd();
  std::string status_text() const;
  void await_signal();
  void on_signal(int number);
  void watch_store();
  void tell_of_space();
  void tell_of_expiries();
  void begin_drain();
  void tell_drain();
  void poll_drain();
  void finish();

  const PassedSockets passed_ = PassedSockets::take();
  boost::asio::io_context io_{1};
  const std::string file_;
  std::shared_ptr<spdlog::logger> access_logger_;
  std::unique_ptr<store::Store> store_;
  Pending pending_;
  BodyBudgets bodies_;
  const std::size_t shard_count_;
  Metrics metrics_;
  RecoveredCounts recovered_;
  std::vector<std::unique_ptr<Shard>> shards_;
  Known known_;
  std::shared_ptr<Generation> generation_;
  std::vector<Recovered::Followed> followed_;
  std::set<std::string> paused_;     // of the configuration: "upstream NAME", "route NAME"
  std::set<std::string> listeners_;  // that are open, by key
  Opened opened_;                    // until they are the shards'
  FileWatch files_;                  // of the configuration that was read last
  std::string files_read_;           // as they were then
  std::string files_seen_;           // as they were when last looked at
  std::unique_ptr<OperationsServer> monitoring_;
  std::unique_ptr<OperationsServer> admin_;
  boost::asio::signal_set signals_{io_};
  boost::asio::steady_timer timer_{io_};
  boost::asio::steady_timer store_timer_{io_};
  boost::asio::steady_timer files_timer_{io_};
  boost::asio::steady_timer vitals_timer_{io_};
  jobs::milliseconds watchdog_{0};  // how often systemd wants to hear of us; 0: never
  std::string told_status_;
  bool was_well_ = true;
  std::chrono::steady_clock::time_point drain_until_{};
  std::chrono::steady_clock::time_point tell_drain_at_{};
  bool draining_ = false;
  bool aborted_ = false;
  bool is_full_ = false;  // the store takes no new jobs, or did not lately
  std::chrono::steady_clock::time_point full_at_{};
  std::chrono::steady_clock::time_point tell_expiries_at_{};
  int status_ = 0;
};

}  // namespace raincheck::proxy
