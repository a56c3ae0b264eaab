// What a route asks of requests before they become jobs. On the shard of the transaction; never
// waits.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "proxy/transaction.hpp"
#include "routes/request_check.hpp"

namespace raincheck::proxy {

// So much of a body is looked at; what is longer is refused, which a byte more tells.
constexpr std::size_t seen_max = routes::RequestCheck::json_body_max;

// Pure. `query` is without '?'; `body` is as for is_valid().
routes::RequestVerdict check_request(const RequestHead& head,
                                     std::string_view query,
                                     const routes::RequestCheck& check,
                                     std::optional<std::string_view> body);

// False: the request is not what is asked for, and the client was told everything that is wrong.
// `body` is as it was sent, as much as needs_body() asks for; nothing: the request has none.
bool is_valid(Transaction& transaction,
              const routes::RequestCheck& check,
              std::optional<std::string_view> body);
// The same of all but what is in the body, before that is read.
bool is_head_valid(Transaction& transaction, const routes::RequestCheck& check);

}  // namespace raincheck::proxy
