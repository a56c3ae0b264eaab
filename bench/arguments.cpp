#include "bench/arguments.hpp"

#include <sysexits.h>

#include <charconv>
#include <cstdlib>
#include <iostream>

namespace raincheck::bench {
namespace {

// The usage text names an option that takes a value as "--name VALUE" and a flag as "--name"
// followed by two spaces.
enum class Takes { unknown, nothing, value };

Takes takes(std::string_view usage, std::string_view name) {
  for (std::size_t at = usage.find(name); at != std::string_view::npos;
       at = usage.find(name, at + 1)) {
    const std::string_view rest = usage.substr(at + name.size());
    if (rest.starts_with("  ")) return Takes::nothing;
    if (rest.starts_with(" ")) return Takes::value;
  }
  return Takes::unknown;
}

}  // namespace

Arguments::Arguments(int argc, char** argv, std::string_view usage) : usage_(usage) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help") {
      std::cout << usage_;
      std::exit(EX_OK);
    }
    if (!argument.starts_with("--")) {
      positional_.emplace_back(argument);
      continue;
    }
    const std::size_t equals = argument.find('=');
    const std::string name(argument.substr(0, equals));
    const Takes kind = takes(usage_, name);
    if (kind == Takes::unknown) refuse("unknown option " + name);
    if (equals != std::string_view::npos) {
      options_[name] = argument.substr(equals + 1);
    } else if (kind == Takes::nothing) {
      options_[name] = "";
    } else if (++i < argc) {
      options_[name] = argv[i];
    } else {
      refuse(name + " needs a value");
    }
  }
}

const std::string* Arguments::find(std::string_view name) const {
  const auto found = options_.find(name);
  return found == options_.end() ? nullptr : &found->second;
}

bool Arguments::has(std::string_view name) const {
  return find(name) != nullptr;
}

std::string Arguments::text(std::string_view name, std::string_view otherwise) const {
  const std::string* given = find(name);
  return given ? *given : std::string(otherwise);
}

std::uint64_t Arguments::number(std::string_view name, std::uint64_t otherwise) const {
  const std::string* given = find(name);
  return given ? scaled(name, *given, {{"", 1}}) : otherwise;
}

std::size_t Arguments::bytes(std::string_view name, std::size_t otherwise) const {
  const std::string* given = find(name);
  return given ? scaled(name, *given, {{"", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}}) : otherwise;
}

std::chrono::nanoseconds Arguments::duration(std::string_view name,
                                             std::chrono::nanoseconds otherwise) const {
  const std::string* given = find(name);
  if (!given) return otherwise;
  const std::uint64_t count = scaled(name, *given,
                                     {{"ns", 1},
                                      {"us", 1'000},
                                      {"ms", 1'000'000},
                                      {"s", 1'000'000'000},
                                      {"m", 60'000'000'000},
                                      {"h", 3'600'000'000'000}});
  return std::chrono::nanoseconds(count);
}

std::vector<std::uint64_t> Arguments::list(std::string_view name) const {
  std::vector<std::uint64_t> numbers;
  const std::string* given = find(name);
  if (!given) return numbers;
  std::string_view rest = *given;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    numbers.push_back(scaled(name, rest.substr(0, comma), {{"", 1}}));
    rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
  }
  return numbers;
}

std::uint64_t Arguments::scaled(std::string_view name,
                                std::string_view text,
                                const std::map<std::string_view, std::uint64_t>& units) const {
  std::uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [unit_begin, error] = std::from_chars(text.data(), end, count);
  const auto unit = units.find(std::string_view(unit_begin, end));
  if (error != std::errc() || unit == units.end() ||
      (count != 0 && count * unit->second / count != unit->second)) {
    refuse(std::string(name) + " does not understand '" + std::string(text) + "'");
  }
  return count * unit->second;
}

void Arguments::refuse(const std::string& why) const {
  std::cerr << why << "\n\n" << usage_;
  std::exit(EX_USAGE);
}

}  // namespace raincheck::bench
