// The Range request field (RFC 9110 section 14), for one range of bytes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace raincheck::proxy {

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t size = 0;
};

struct RangeAnswer {
  enum class Kind : std::uint8_t {
    whole,  // not a range of bytes, malformed, or several: the field is ignored, as the RFC allows
    part,
    unsatisfiable,  // 416
  };
  Kind kind = Kind::whole;
  ByteRange range;
};

RangeAnswer choose_range(std::string_view value, std::uint64_t size);

// Whether the condition of If-Range holds for a result with these fields ("Name: value\r\n" each):
// a strong ETag or a Last-Modified that is equal to the letter. True without a condition.
bool if_range_holds(std::optional<std::string_view> if_range, std::string_view fields);

}  // namespace raincheck::proxy
