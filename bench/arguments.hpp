// The command line of the bench programs: `--name value`, `--name=value` or `--flag`. Whatever is
// wrong with it is told on stderr together with the usage text, and ends the program with EX_USAGE.
// Used by main before anything runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace raincheck::bench {

class Arguments {
 public:
  // `usage` is printed for --help; an option is known if the usage text names it.
  Arguments(int argc, char** argv, std::string_view usage);

  bool has(std::string_view name) const;
  std::string text(std::string_view name, std::string_view otherwise) const;
  std::uint64_t number(std::string_view name, std::uint64_t otherwise) const;
  // 12, 4KiB, 1MiB
  std::size_t bytes(std::string_view name, std::size_t otherwise) const;
  // 200ms, 60s, 1h
  std::chrono::nanoseconds duration(std::string_view name,
                                    std::chrono::nanoseconds otherwise) const;
  std::vector<std::uint64_t> list(std::string_view name) const;
  const std::vector<std::string>& positional() const { return positional_; }

  [[noreturn]] void refuse(const std::string& why) const;

 private:
  const std::string* find(std::string_view name) const;
  std::uint64_t scaled(std::string_view name,
                       std::string_view text,
                       const std::map<std::string_view, std::uint64_t>& units) const;

  std::string_view usage_;
  std::map<std::string, std::string, std::less<>> options_;
  std::vector<std::string> positional_;
};

}  // namespace raincheck::bench
