#include "proxy/body_budget.hpp"

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>

namespace raincheck::proxy {
namespace {

// What comes in one piece with the end of a body.
constexpr std::uint64_t piece_max = config::mib;

std::uint64_t largest(const config::Config& config, config::BodyRules config::Route::*rules) {
  std::uint64_t max = 0;
  for (const config::Route& route : config.routes) max = std::max(max, (route.*rules).max_size);
  return max + piece_max;
}

}  // namespace

std::string BodyBudget::network_of(std::string_view address) {
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address_v6(address, error);
  if (error || parsed.is_v4_mapped()) return std::string(address);
  const auto bytes = parsed.to_bytes();
  return {bytes.begin(), bytes.begin() + 8};
}

void BodyBudget::raise(std::uint64_t max, std::uint64_t client_max) {
  const std::lock_guard lock(mutex_);
  max_ = std::max(max_.load(), max);
  client_max_ = std::max(client_max_.load(), client_max);
}

bool BodyBudget::take(const std::string& client, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > max_ - taken_) return false;
  if (!client.empty() && bytes != 0) {
    std::uint64_t& of_client = clients_[client];
    if (bytes > client_max_ - of_client) {
      if (of_client == 0) clients_.erase(client);
      return false;
    }
    of_client += bytes;
  }
  taken_ += bytes;
  return true;
}

void BodyBudget::give(const std::string& client, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  taken_ -= bytes;
  if (client.empty()) return;
  const auto of_client = clients_.find(client);
  of_client->second -= bytes;
  if (of_client->second == 0) clients_.erase(of_client);
}

// One client leaves room for others, if its bodies are of a usual size.
void BodyBudgets::make_room(const config::Config& config) {
  const std::uint64_t request = largest(config, &config::Route::request_body);
  requests.raise(request, request);
  calls.raise(request);
  answers.raise(largest(config, &config::Route::response_body));
}

}  // namespace raincheck::proxy
