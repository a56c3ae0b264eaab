// Why an operation gave no value. The set is closed: fault_status() gives each fault its HTTP
// status and retry answer by switches without default, so that a new one does not compile until it
// has answered. `detail` is for the log and never reaches a client.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace raincheck::jobs {

enum class Fault : std::uint8_t {
  internal,      // ours; the default, so that a forgotten one is loud
  overloaded,    // a queue or limit of ours is full
  store_full,    // the disk or the store's own limit is full: may be tried again when space returns
  store_failed,  // a write or sync failed: what is stored is unknown until a new process reads it
  stopping,      // the process is on its way down
  upstream_unreachable,  // no connection: not a byte of the request was sent
  upstream_lost,         // the connection ended after something was sent and before an answer began
  upstream_timeout,      // a time limit of the upstream passed
  upstream_protocol_error,  // the answer is not HTTP, or was cut short
  response_too_large,
  rewrite_failed,  // the rules of the route cannot be applied to the answer, which it refuses then
  client_gone,     // the client's connection ended or failed
};

struct Error {
  Error() = default;
  Error(Fault why, std::string text) : fault(why), detail(std::move(text)) {}
  Fault fault = Fault::internal;
  std::string detail;
};

// boost::system::result wants this for value() on an error; nothing of ours calls value()
// unchecked.
[[noreturn]] inline void throw_exception_from_error(const Error& error,
                                                    const boost::source_location&) {
  throw std::runtime_error(error.detail);
}

template <class T>
using Result = boost::system::result<T, Error>;

// The status with which a client hears of the fault when there is nothing better to replay.
int fault_status(Fault fault);

// It ends by itself: space, descriptors and room in a queue come back.
constexpr bool is_passing(Fault fault) {
  return fault == Fault::store_full || fault == Fault::overloaded;
}

// The fault's word, as it stands in logs and metrics.
const char* fault_name(Fault fault);

}  // namespace raincheck::jobs
