// Names and values by which operators find a job, kept with it as text: lines "name=value\n", and
// nothing for a job without any. Pure, any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace raincheck::jobs {

constexpr std::size_t label_value_max = 128;  // bytes

// UTF-8 without control characters, so that it stays in its line; neither empty nor too long.
bool is_label_value(std::string_view value);

// `name` has no '=' and no control character, and none of `labels` has it.
void append_label(std::string& labels, std::string_view name, std::string_view value);

// The first "name=value", which is taken off; `labels` is not empty.
std::string_view take_label(std::string_view& labels);

}  // namespace raincheck::jobs
