// Which jobs a command is about: options that choose them, and asking the running process for them,
// page by page. For cli_*.cpp only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/cli.hpp"
#include "routes/json.hpp"

namespace raincheck::proxy {

class JobSelection {
 public:
  explicit JobSelection(CLI::App& command);

  bool is_empty() const;
  // Calls `take` for each job as it is now, the newest first, `count_max` at most. Gives the exit
  // status, with words on the standard error stream if it is not 0.
  int for_each(const AdminSocket& admin,
               std::uint64_t count_max,
               const std::function<void(const routes::Json& job)>& take) const;

 private:
  struct Options {
    std::string state;
    std::string error;
    std::string route;
    std::string request_id;
    std::string label;
    std::string older_than;
    std::string newer_than;
  };
  std::string query() const;

  std::shared_ptr<Options> options_;
};

// The text or number of a member; empty: there is none.
std::string text_of(const routes::Json& object, std::string_view member);

// Ids that were given, or those of a selection of jobs.
class ChosenJobs {
 public:
  // `states`: of jobs that the command can do something with; the others of a selection are passed
  // over.
  ChosenJobs(CLI::App& command, std::vector<std::string> states);

  // What the command does with one of them: the question, but for the method and "/jobs/ID".
  struct Change {
    std::string method;
    std::string target_suffix;
    std::string done;  // "canceled"
    std::chrono::seconds patience{30};
    // What to print of an answer; null: the id of the job and `done`.
    std::function<std::string(const std::string& id, const AdminAnswer& answer)> tell;
  };
  // Exit status: 0, or 1 if one of them was refused, which is told in words.
  int change(const AdminSocket& admin, const Change& change) const;

 private:
  struct Options {
    std::vector<std::string> ids;
    bool is_all = false;
    bool is_dry_run = false;
  };
  int choose(const AdminSocket& admin, std::vector<std::string>& ids) const;

  JobSelection selection_;
  std::vector<std::string> states_;
  std::shared_ptr<Options> options_;
};

}  // namespace raincheck::proxy
