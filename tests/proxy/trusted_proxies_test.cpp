#include "proxy/trusted_proxies.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using raincheck::proxy::TrustedProxies;

TEST_CASE("an address is trusted within its network, and not one beyond it") {
  const TrustedProxies trusted({"10.1.0.0/16", "192.168.7.0/30"});
  CHECK(trusted.contains("10.1.0.0"));
  CHECK(trusted.contains("10.1.255.255"));
  CHECK_FALSE(trusted.contains("10.0.255.255"));
  CHECK_FALSE(trusted.contains("10.2.0.0"));
  CHECK(trusted.contains("192.168.7.3"));
  CHECK_FALSE(trusted.contains("192.168.7.4"));
}

TEST_CASE("a single address is a network of its own") {
  const TrustedProxies trusted({"10.1.2.3", "::1"});
  CHECK(trusted.contains("10.1.2.3"));
  CHECK_FALSE(trusted.contains("10.1.2.4"));
  CHECK(trusted.contains("::1"));
  CHECK_FALSE(trusted.contains("::2"));
}

TEST_CASE("a network written with bits of a host in it is the network") {
  const TrustedProxies trusted({"10.1.2.3/16", "fd00::17/64"});
  CHECK(trusted.contains("10.1.200.1"));
  CHECK(trusted.contains("fd00::1:2:3:4"));
  CHECK_FALSE(trusted.contains("fd00:0:0:1::1"));
}

TEST_CASE("the widest network holds every address of its kind, and none of the other") {
  const TrustedProxies four({"0.0.0.0/0"});
  CHECK(four.contains("203.0.113.9"));
  CHECK_FALSE(four.contains("2001:db8::1"));
  const TrustedProxies six({"::/0"});
  CHECK(six.contains("2001:db8::1"));
  CHECK_FALSE(six.contains("203.0.113.9"));
}

TEST_CASE("an IPv4 address that came over an IPv6 socket is the IPv4 address") {
  const TrustedProxies trusted({"127.0.0.0/8"});
  CHECK(trusted.contains("::ffff:127.0.0.1"));
  CHECK_FALSE(trusted.contains("::ffff:128.0.0.1"));
}

TEST_CASE("the peer of a unix socket is on this machine") {
  CHECK(TrustedProxies({}).contains("unix"));
}

TEST_CASE("what is no address is not trusted") {
  const TrustedProxies trusted({"0.0.0.0/0", "::/0"});
  for (const char* const text : {"", "localhost", "127.0.0.1:80", "127.1", "[::1]", " 127.0.0.1"}) {
    CAPTURE(text);
    CHECK_FALSE(trusted.contains(text));
  }
}

TEST_CASE("what is no network is refused") {
  for (const char* const text :
       {"", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/x", "10.0.0.0/", "10.0.0/8"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(TrustedProxies({text}), std::exception);
  }
}
