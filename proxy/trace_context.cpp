#include "proxy/trace_context.hpp"

#include <span>

namespace raincheck::proxy {

namespace {

// version "-" trace-id "-" parent-id "-" flags
constexpr std::size_t trace_begin = 3;
constexpr std::size_t trace_size = 32;
constexpr std::size_t parent_begin = 36;
constexpr std::size_t parent_size = 16;
constexpr std::size_t flags_begin = 53;
constexpr std::size_t whole_size = 55;

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// An id of zeroes means that there is none.
bool is_id(std::string_view text) {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

void append_hex(std::string& out, std::span<const std::uint8_t> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
}

}  // namespace

std::string_view trace_id_in(std::string_view traceparent) {
  if (traceparent.size() < whole_size) return {};
  const std::string_view version = traceparent.substr(0, 2);
  // Later versions may have more, after another dash.
  const bool ends_well =
      traceparent.size() == whole_size || (version != "00" && traceparent[whole_size] == '-');
  const bool has_dashes = traceparent[trace_begin - 1] == '-' &&
                          traceparent[parent_begin - 1] == '-' &&
                          traceparent[flags_begin - 1] == '-';
  const std::string_view trace = traceparent.substr(trace_begin, trace_size);
  const bool is_valid = ends_well && has_dashes && is_hex(version) && version != "ff" &&
                        is_id(trace) && is_id(traceparent.substr(parent_begin, parent_size)) &&
                        is_hex(traceparent.substr(flags_begin, 2));
  return is_valid ? trace : std::string_view();
}

std::string_view trace_id_of(const routes::Fields& fields) {
  if (fields.count("traceparent") != 1) return {};
  bool is_named = false;
  fields.for_each_element("Connection", [&is_named](std::string_view option) {
    is_named = is_named || routes::is_same_name(option, "traceparent");
  });
  if (is_named) return {};
  return trace_id_in(*fields.find("traceparent"));
}

std::string_view trace_id_of(std::string_view stored) {
  routes::Fields fields;
  fields.assign(stored.substr(stored.find("\r\n") + 2));
  return trace_id_of(fields);
}

std::string make_traceparent(std::array<std::uint8_t, 24> random) {
  random[15] |= 1;  // never zeroes
  random[23] |= 1;
  const std::span<const std::uint8_t> ids = random;
  std::string out = "00-";
  append_hex(out, ids.first(16));
  out.push_back('-');
  append_hex(out, ids.last(8));
  return out.append("-01");
}

}  // namespace raincheck::proxy
