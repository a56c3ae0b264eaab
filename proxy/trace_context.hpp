// The trace that a request belongs to (W3C Trace Context). We make no spans, so traceparent goes on
// as it came: to every attempt of a job the same, for a parent of our own would be a span that
// nobody recorded, and the backend's would hang in the air. Attempts are told apart by their
// number, in the access log, where the trace stands too. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "routes/fields.hpp"

namespace raincheck::proxy {

// The trace id, a view into `fields`; empty if they have not exactly one valid traceparent: then
// neither it nor tracestate may go on. What Connection names is not there.
std::string_view trace_id_of(const routes::Fields& fields);
// The same of a request as jobs keep it: "METHOD target\r\n" and its field lines.
std::string_view trace_id_of(std::string_view stored);
// The trace id in the value of a traceparent; empty if it is not valid.
std::string_view trace_id_in(std::string_view traceparent);

// A traceparent that begins a trace, from 24 random bytes: sampled, for it stands in our log.
std::string make_traceparent(std::array<std::uint8_t, 24> random);

}  // namespace raincheck::proxy
