// The whole program once its configuration is read: opens the store, recovers, builds the shards,
// serves, drains, stops. Lives on the main thread, which only waits for signals. Construction
// throws std::runtime_error; run() does not.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <stdexcept>
#include <vector>

#include "config/config.hpp"
#include "proxy/operations_server.hpp"
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
  explicit Server(config::Config config);
  ~Server();

  // Serves until SIGTERM, SIGINT or SIGQUIT, then drains; a second one ends the process at once.
  // Gives the exit status: 0, or EX_IOERR (74) after the store has failed, so that a new process
  // reads what is true.
  int run();

 private:
  std::vector<Recovered::Followed> recover();
  void open_listeners();
  // What operators can ask and do: server_operations.cpp.
  void open_operations();
  std::vector<Operation> monitoring_operations();
  std::vector<Operation> admin_operations();
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
  void watch_store();
  void begin_drain();
  void poll_drain();
  void finish();

  boost::asio::io_context io_{1};
  std::shared_ptr<spdlog::logger> access_logger_;
  const config::Config config_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Site> site_;
  Pending pending_;
  BodyBudgets bodies_{config_};
  const std::size_t shard_count_;
  Metrics metrics_;
  RecoveredCounts recovered_;
  std::vector<std::unique_ptr<Slots>> slots_;
  std::vector<ServerSlots> server_slots_;
  std::vector<std::unique_ptr<Outliers>> outliers_;
  std::vector<std::unique_ptr<ConnectionCounts>> connections_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::unique_ptr<OperationsServer> monitoring_;
  std::unique_ptr<OperationsServer> admin_;
  boost::asio::signal_set signals_{io_};
  boost::asio::steady_timer timer_{io_};
  boost::asio::steady_timer store_timer_{io_};
  boost::asio::steady_timer vitals_timer_{io_};
  jobs::milliseconds watchdog_{0};  // how often systemd wants to hear of us; 0: never
  std::string told_status_;
  bool was_well_ = true;
  std::chrono::steady_clock::time_point drain_until_{};
  bool draining_ = false;
  bool aborted_ = false;
  int status_ = 0;
};

}  // namespace raincheck::proxy
