// The values of single fields, as strangers send them: lists of preferences, media ranges, codings,
// addresses, ranges of bytes, dates, keys. Each is understood or ignored, within its bounds.
// The input is the value.
#include <algorithm>

#include "jobs/date.hpp"
#include "jobs/decide.hpp"
#include "jobs/idempotency.hpp"
#include "jobs/prefer.hpp"
#include "proxy/accept.hpp"
#include "proxy/byte_range.hpp"
#include "proxy/fields.hpp"
#include "routes/body_fields.hpp"
#include "routes/cors.hpp"
#include "routes/media_type.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace raincheck;
using fuzz::require;

namespace {

constexpr jobs::WallTime now{std::chrono::hours(24 * 365 * 50)};

void prefer(std::string_view value) {
  const std::string_view values[] = {value};
  const jobs::Prefer all = jobs::parse_prefer(values);
  require(!all.wait || (all.wait->count() >= 0 && *all.wait <= jobs::prefer_wait_max),
          "a wait has bounds");
}

void range(std::string_view value) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, UINT64_MAX / 2}) {
    const proxy::RangeAnswer answer = proxy::choose_range(value, size);
    if (answer.kind != proxy::RangeAnswer::Kind::part) continue;
    require(answer.range.size > 0 && answer.range.first < size &&
                answer.range.size <= size - answer.range.first,
            "a part lies within the whole");
  }
}

void time(std::string_view value) {
  if (const auto wait = jobs::parse_retry_after(value, now)) {
    require(wait->count() >= 0, "nobody is asked to come back earlier");
  }
  const auto date = jobs::parse_http_date(value, now);
  // Others are written as the nearest that we ever tell.
  if (!date || *date < jobs::WallTime{} || *date > now + std::chrono::hours(24 * 365 * 1000))
    return;
  const auto again = jobs::parse_http_date(jobs::http_date(*date), now);
  require(again == date, "a date is written so that it reads the same");
}

void key(std::string_view value) {
  const jobs::IdempotencyKey parsed = jobs::parse_idempotency_key(value);
  if (!parsed) return;
  require(!parsed.text.empty() && parsed.text.size() <= jobs::idempotency_key_max,
          "a key has bounds");
}

void codings(std::string_view value) {
  const std::string known = routes::known_encodings(value);
  require(routes::is_field_value(known), "what may be asked for is a field value");
  require(routes::known_encodings(known) == known, "and is all known");
  if (const auto weak = routes::weak_etag(value)) {
    require(routes::weak_etag(*weak) == weak, "a weak tag stays as it is");
  }
}

void addresses(std::string_view value) {
  proxy::RequestHead head;
  head.fields.push_back({"X-Forwarded-For", value});
  const auto client = proxy::client_address(head, "192.0.2.1", [](auto) { return true; });
  require(client.empty() || client.data() != nullptr, "an address");
}

void browser(std::string_view value) {
  config::Cors settings;
  settings.allow_origins = {"https://*.example.com"};
  const routes::Cors cors(settings);
  routes::Fields fields;
  fields.push_back({"Origin", value});
  fields.push_back({"Access-Control-Request-Method", value});
  fields.push_back({"Access-Control-Request-Headers", value});
  std::string out;
  cors.append_preflight(fields, "GET, POST", out);
  cors.append_answer(fields, out);
  routes::Fields told;
  told.assign(out);
  std::string again;
  told.append_to(again);
  require(again == out, "what browsers are told is whole lines");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> copy(data, data + size);
  const std::string_view value(copy.data(), copy.size());
  // Nothing else comes through the gate.
  if (!routes::is_field_value(value)) return 0;
  prefer(value);
  range(value);
  time(value);
  key(value);
  codings(value);
  addresses(value);
  browser(value);
  proxy::Fields accept;
  accept.push_back({"Accept", value});
  (void)proxy::prefers_event_stream(accept);
  (void)routes::matches_media_type("application/json", routes::media_type(value));
  (void)proxy::if_range_holds(value, "ETag: \"a\"\r\n");
  return 0;
}
