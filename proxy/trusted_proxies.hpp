// The networks whose forwarding fields (X-Forwarded-For and its kin) are believed. Immutable; any
// thread.
#pragma once

#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace raincheck::proxy {

class TrustedProxies {
 public:
  // Networks in CIDR form or single addresses. Throws std::runtime_error on anything else.
  explicit TrustedProxies(const std::vector<std::string>& networks);

  // `address` without a port. A unix socket's peer is on this machine and may be written "unix".
  bool contains(std::string_view address) const;

 private:
  std::vector<boost::asio::ip::network_v4> v4_;
  std::vector<boost::asio::ip::network_v6> v6_;
};

}  // namespace raincheck::proxy
