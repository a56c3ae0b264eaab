// One question to a running raincheck, over its admin socket or its monitoring listener: how the
// subcommands of the command line reach it. Blocks; nothing of the server uses it.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>

namespace raincheck::proxy {

struct AdminAnswer {
  int status = 0;
  std::string content_type;
  std::string body;

  bool is_success() const { return status >= 200 && status < 300; }
};

// Nothing was answered. what() is a sentence for people: what is wrong, and what can be done.
class AdminUnreachable : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct AdminQuestion {
  std::string method = "GET";
  std::string target;  // "/jobs?state=failed", encoded
  std::string body;
  std::string content_type = "application/json";  // of a body, if there is one
  std::chrono::seconds timeout{30};               // for the whole exchange
};

// `socket` is the path of the admin socket. Throws AdminUnreachable.
AdminAnswer ask_admin(const std::string& socket, const AdminQuestion& question);

// `address` is as config::Monitoring has it. Throws AdminUnreachable.
AdminAnswer ask_monitoring(const std::string& address, const AdminQuestion& question);

// The `detail` of a problem document, else the body itself: what a command shows of a refusal.
std::string refusal_text(const AdminAnswer& answer);

}  // namespace raincheck::proxy
