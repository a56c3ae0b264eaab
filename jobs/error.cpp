#include "jobs/error.hpp"

namespace raincheck::jobs {

int fault_status(Fault fault) {
  switch (fault) {
    case Fault::internal:
      return 500;
    case Fault::overloaded:
    case Fault::store_full:
    case Fault::store_failed:
    case Fault::stopping:
      return 503;
    case Fault::upstream_unreachable:
    case Fault::upstream_lost:
    case Fault::upstream_protocol_error:
    case Fault::response_too_large:
    case Fault::rewrite_failed:
      return 502;
    case Fault::upstream_timeout:
      return 504;
    case Fault::client_gone:
      return 499;
  }
  return 500;
}

const char* fault_name(Fault fault) {
  switch (fault) {
    case Fault::internal:
      return "internal";
    case Fault::overloaded:
      return "overloaded";
    case Fault::store_full:
      return "store_full";
    case Fault::store_failed:
      return "store_failed";
    case Fault::stopping:
      return "stopping";
    case Fault::upstream_unreachable:
      return "upstream_unreachable";
    case Fault::upstream_lost:
      return "upstream_lost";
    case Fault::upstream_timeout:
      return "upstream_timeout";
    case Fault::upstream_protocol_error:
      return "upstream_protocol_error";
    case Fault::response_too_large:
      return "response_too_large";
    case Fault::rewrite_failed:
      return "rewrite_failed";
    case Fault::client_gone:
      return "client_gone";
  }
  return "internal";
}

}  // namespace raincheck::jobs
