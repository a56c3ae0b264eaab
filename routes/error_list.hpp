// What append_errors() wrote, as people read it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace raincheck::routes {

// "X-Customer: is required; /id: must be of type integer"; empty: there is no error.
std::string list_errors(std::string_view errors);

}  // namespace raincheck::routes
