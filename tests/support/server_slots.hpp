// Slots for the servers of an upstream, that wake nobody.
#pragma once

#include "proxy/slots.hpp"

namespace raincheck::test {

inline proxy::ServerSlots make_server_slots(const config::Upstream& upstream) {
  proxy::ServerSlots slots;
  for (const config::Server& server : upstream.servers) {
    slots.push_back(std::make_shared<proxy::Slots>(proxy::slots_of_server(server.max_concurrency)));
  }
  return slots;
}

}  // namespace raincheck::test
