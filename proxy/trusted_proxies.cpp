#include "proxy/trusted_proxies.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <stdexcept>

namespace raincheck::proxy {

namespace ip = boost::asio::ip;

TrustedProxies::TrustedProxies(const std::vector<std::string>& networks) {
  for (const std::string& text : networks) {
    const std::size_t slash = text.find('/');
    boost::system::error_code error;
    const ip::address address = ip::make_address(text.substr(0, slash), error);
    const unsigned long bits = address.is_v4() ? 32 : 128;
    const unsigned long length =
        slash == std::string::npos ? bits : std::stoul(text.substr(slash + 1));
    if (error || length > bits) throw std::runtime_error("not a network: " + text);
    if (address.is_v4()) {
      v4_.emplace_back(address.to_v4(), static_cast<unsigned short>(length));
    } else {
      v6_.emplace_back(address.to_v6(), static_cast<unsigned short>(length));
    }
  }
}

bool TrustedProxies::contains(std::string_view text) const {
  if (text == "unix") return true;
  boost::system::error_code error;
  ip::address address = ip::make_address(std::string(text), error);
  if (error) return false;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = ip::make_address_v4(ip::v4_mapped, address.to_v6());
  }
  if (address.is_v4()) {
    return std::any_of(v4_.begin(), v4_.end(), [&](const ip::network_v4& network) {
      return ip::network_v4(address.to_v4(), network.prefix_length()).canonical() ==
             network.canonical();
    });
  }
  return std::any_of(v6_.begin(), v6_.end(), [&](const ip::network_v6& network) {
    return ip::network_v6(address.to_v6(), network.prefix_length()).canonical() ==
           network.canonical();
  });
}

}  // namespace raincheck::proxy
