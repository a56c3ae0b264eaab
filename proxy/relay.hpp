// Hands a backend's answer, whose head was read, through to a client: streamed, with back-pressure.
// On the shard of both.
#pragma once

#include "proxy/transaction.hpp"
#include "proxy/upstream_connection.hpp"

namespace raincheck::proxy {

// `more_fields` are added to the backend's. Afterwards the connection may be released if it is
// reusable.
awaitable<void> relay(Transaction& transaction,
                      UpstreamConnection& upstream,
                      std::string_view more_fields);

}  // namespace raincheck::proxy
