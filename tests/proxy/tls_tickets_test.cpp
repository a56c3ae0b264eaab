#include "proxy/tls_tickets.hpp"

#include <doctest/doctest.h>

using namespace raincheck::proxy;
using namespace std::chrono_literals;

TEST_CASE("the key of tickets is replaced, and the one before is good for its last tickets") {
  TicketKeys keys;
  const TicketKeys::Time start{1000h};
  const auto first = keys.current(start);
  CHECK(keys.current(start + TicketKeys::period - 1ns).name == first.name);
  const auto second = keys.current(start + TicketKeys::period);
  CHECK(second.name != first.name);
  CHECK(second.cipher != first.cipher);
  CHECK(second.mac != first.mac);
  const auto found = keys.find(first.name.data(), start + 2 * TicketKeys::period - 1ns);
  REQUIRE(found);
  CHECK(found->cipher == first.cipher);
  CHECK_FALSE(keys.find(first.name.data(), start + 2 * TicketKeys::period));
  CHECK(keys.find(second.name.data(), start + 2 * TicketKeys::period));
  (void)keys.current(start + 2 * TicketKeys::period);
  (void)keys.current(start + 3 * TicketKeys::period);
  CHECK_FALSE(keys.find(second.name.data(), start + TicketKeys::period));
}
