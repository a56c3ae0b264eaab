#include <doctest/doctest.h>

#include "config/load.hpp"
#include "tests/config/support.hpp"

using namespace raincheck::config;
using namespace raincheck::config::tests;

namespace {

const std::string smallest =
    "upstreams: { legacy: \"http://127.0.0.1:1\" }\ndefault_upstream: legacy\n";

TEST_CASE("what operators use can be elsewhere or off") {
  const Config none = load_alone(smallest).config;
  CHECK(none.monitoring.is_on);
  CHECK_FALSE(none.monitoring.address);
  CHECK(none.admin.socket.empty());

  const Loaded moved =
      load_alone(smallest + "monitoring: { address: \"[::]:9\" }\nadmin: { socket: a.sock }\n");
  CHECK(complaints(moved) == "");
  CHECK(moved.config.monitoring.address == "[::]:9");
  CHECK(moved.config.admin.socket == "a.sock");

  const Loaded off = load_alone(smallest + "monitoring: off\nadmin: off\n");
  CHECK(complaints(off) == "");
  CHECK_FALSE(off.config.monitoring.is_on);
  CHECK_FALSE(off.config.admin.is_on);
}

TEST_CASE("where operators connect must be a place") {
  CHECK(complaints(load_alone(smallest + "monitoring: on\nadmin: { socket: \"\" }\n")) ==
        "x.yaml:3:13: error: monitoring: must be 'off', not 'on'\n"
        "x.yaml:4:18: error: admin.socket: must not be empty\n");
  const std::string wrong = complaints(load_alone(smallest + "monitoring: { address: nowhere }\n"));
  CHECK(wrong.find("monitoring.address: ") != std::string::npos);
}

TEST_CASE("systemd says where the admin socket is") {
  Environment environment = Environment::empty();
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    if (name == "RUNTIME_DIRECTORY") return "/run/raincheck:/run/other";
    return std::nullopt;
  };
  const Loaded loaded = load_text("x.yaml", smallest, environment);
  CHECK(loaded.config.admin.socket == "/run/raincheck/admin.sock");
}

}  // namespace
