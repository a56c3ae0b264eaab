// Which jobs an operator asks for, as the parameters of GET /jobs say it, and where a page of them
// ends. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/operations_server.hpp"
#include "store/listing.hpp"

namespace raincheck::proxy {

// Fills in `list`. Otherwise what is wrong, in words.
std::string read_job_query(const OperationRequest& request, jobs::WallTime now, store::List& list);

std::string cursor_text(const std::vector<std::uint64_t>& cursor);

}  // namespace raincheck::proxy
