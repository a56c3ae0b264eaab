// What an answer means where the backend goes on with a call after it has answered 202: the rules
// of `follow`, compiled, and one table for the dialects there are (Location, Operation-Location,
// Azure-AsyncOperation, Content-Location). Owned by the RouteRules. Pure; any thread. It never
// decides whether a URL may be asked (UrlMap) nor what becomes of the job (jobs::decide()).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "routes/fields.hpp"
#include "routes/json_pointer.hpp"

namespace raincheck::routes {

// What was asked for: the call itself, where the backend tells of it, or what has come of it.
enum class FollowStage : std::uint8_t { call, monitor, result };

struct FollowedAnswer {
  int status = 0;
  const Fields* fields = nullptr;
  std::string_view body;      // decoded; its beginning, if needs_body()
  bool is_whole = true;       // the body ends with these bytes
  bool knows_result = false;  // the call was answered with the URL of the result too
  bool tells_status = false;  // an answer before this was a document with a status
};

struct FollowStep {
  enum class Kind : std::uint8_t {
    result,   // the answer is the result
    pending,  // the result is not there yet: ask at `url`
    moved,    // the result is there, or elsewhere: ask for it at `url`
  };
  Kind kind = Kind::result;
  std::string url;       // as the backend wrote it; empty: the one that it has named before
  std::string result;    // of a pending call: where the result will be, if that was said
  std::string rejected;  // of a result: why the backend calls it no success; empty: it may be one
};

// The head of the GET that asks for `target` with what the call itself carries, as the rules of
// its route have made it: all but what speaks of its body, and its conditions.
std::string question_of(std::string_view call, std::string_view target);

class FollowRules {
 public:
  explicit FollowRules(const config::Follow& settings = {});

  bool enabled() const { return settings_.enabled; }

  // Whether bytes of the body must be seen.
  bool needs_body(FollowStage stage, int status, std::string_view content_type) const;
  FollowStep read(FollowStage stage, const FollowedAnswer& answer) const;

  // Until it is asked again, after `count` times without the result; `told` is Retry-After.
  std::chrono::milliseconds pause(std::optional<std::chrono::milliseconds> told,
                                  std::uint32_t count) const;

 private:
  FollowStep read_pending(const Fields& fields) const;
  FollowStep read_document(const FollowedAnswer& answer) const;

  config::Follow settings_;
  JsonPointer status_;
  JsonPointer result_;
};

}  // namespace raincheck::routes
