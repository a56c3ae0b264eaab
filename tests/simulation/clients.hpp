// The clients of a simulation: each speaks HTTP over one end of a socket pair and checks what it
// hears against the model, which is never behind: whatever the proxy says was committed before. One
// thread, never blocks.
#pragma once

#include <functional>
#include <list>
#include <string>

#include "tests/simulation/model.hpp"

namespace raincheck::simulation {

struct Request {
  enum class Kind { submit, status, result, cancel, erase };
  Kind kind = Kind::submit;
  std::string text;       // the whole request
  std::string late_text;  // of it, what is sent by send_rest()
  std::string target;     // submit: the job's
  jobs::JobId id;         // otherwise
  bool keyed = false;
  bool waits = false;  // for the result
};

class Clients {
 public:
  explicit Clients(Model& model, jobs::IdCodec& codec) : model_(model), codec_(codec) {}
  ~Clients() { hang_up_all(); }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // Sends the request over `socket`, which is the client's from now on.
  void ask(int socket, Request request);
  void send_rest();
  // Takes what has come.
  void listen();
  void hang_up_one(std::size_t which);
  void hang_up_all();

  std::size_t open() const { return asked_.size(); }
  // Jobs whose 202 arrived.
  const std::vector<jobs::JobId>& acknowledged() const { return acknowledged_; }
  std::size_t answers() const { return answers_; }

 private:
  struct Asked {
    int socket = -1;
    Request request;
    std::string received;
    bool was_final = false;  // the job, when it was asked about
  };
  struct Answer {
    int status = 0;
    std::string_view head;
    std::string_view body;

    bool is_replay() const { return head.find("\r\nX-Target: ") != std::string_view::npos; }
  };

  // Whole, or at its end.
  bool receive(Asked& asked);
  bool parse(const Asked& asked, Answer& answer) const;
  void take(const Asked& asked, const Answer& answer);
  static bool is_doubtful(const Answer& answer);
  void submitted(const Asked& asked, const Answer& answer);
  void accepted(const Asked& asked, const Answer& answer);
  void told(const Asked& asked, const KnownJob& job, const Answer& answer);
  void check_replay(const KnownJob& job, const Answer& answer);
  void complain(const Asked& asked, const Answer& answer, const std::string& what);

  Model& model_;
  jobs::IdCodec& codec_;
  std::list<Asked> asked_;
  std::vector<jobs::JobId> acknowledged_;
  std::size_t answers_ = 0;
};

}  // namespace raincheck::simulation
