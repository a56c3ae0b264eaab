// Which form of an answer a client prefers (Accept, RFC 9110 section 12.5.1). Pure; any thread.
#pragma once

#include "proxy/message_head.hpp"

namespace raincheck::proxy {

// True if the client asks for an event stream by name and does not like JSON better. What takes
// everything (*/*, text/*) does not ask for one: it would wait for an end that is long in coming.
bool prefers_event_stream(const Fields& fields);

}  // namespace raincheck::proxy
