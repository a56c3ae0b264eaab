#include "config/interpolate.hpp"

#include <algorithm>
#include <array>

namespace raincheck::config {
namespace {

constexpr std::size_t longest = std::size_t{64} * 1024;  // of a value with everything put in

bool is_variable_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// Names that have a value only while a request or an answer is there.
bool is_request_name(std::string_view name) {
  constexpr std::array<std::string_view, 10> families = {
      "request", "response", "header", "cookie", "client", "path", "query", "route", "job", "tls"};
  if (name == "public_url") return true;
  const std::string_view family = name.substr(0, name.find('.'));
  return family.size() < name.size() &&
         std::find(families.begin(), families.end(), family) != families.end();
}

struct Value {
  std::string text;
  std::string problem;
  std::string hint;
  bool is_secret = false;
};

Value read_secret(const Environment& environment,
                  const std::string& what,
                  const std::string& path) {
  auto content = environment.file(path);
  if (!content) return {"", what + " cannot be read: '" + path + "'", ""};
  if (!content->empty() && content->back() == '\n') content->pop_back();
  return {std::move(*content), "", "", true};
}

Value resolve(std::string_view inner, const Environment& environment) {
  const std::string written = "'${" + std::string(inner) + "}'";
  if (inner.substr(0, 5) == "file:") {
    return read_secret(environment, written, std::string(inner.substr(5)));
  }
  if (inner.substr(0, 11) == "credential:") {
    const std::string name(inner.substr(11));
    if (name.empty() || name.find('/') != name.npos || name.front() == '.') {
      return {"", written + " does not name a credential", ""};
    }
    const auto directory = environment.variable("CREDENTIALS_DIRECTORY");
    if (!directory) {
      return {"", written + " has no value: $CREDENTIALS_DIRECTORY is not set",
              "systemd sets it when the unit has LoadCredential="};
    }
    return read_secret(environment, written, *directory + "/" + name);
  }
  if (is_request_name(inner)) {
    return {"", written + " is known only when a request is there; it cannot be used here", ""};
  }
  const std::size_t fallback = inner.find(":-");
  const std::string_view name = inner.substr(0, fallback);
  if (!is_variable_name(name)) {
    return {"", written + " is not a name that can be put in",
            "write ${NAME}, ${NAME:-default}, ${file:/path} or ${credential:name}; $${ for itself"};
  }
  const auto value = environment.variable(std::string(name));
  if (value && (!value->empty() || fallback == inner.npos)) return {*value, "", ""};
  if (fallback != inner.npos) return {std::string(inner.substr(fallback + 2)), "", ""};
  return {"", "the environment variable '" + std::string(name) + "' is not set",
          "give it a default: ${" + std::string(name) + ":-value}"};
}

}  // namespace

Interpolated interpolate(std::string_view text, const Environment& environment) {
  Interpolated out;
  const auto stop = [&](std::string problem, std::string hint) {
    out.problem = std::move(problem);
    out.hint = std::move(hint);
    return out;
  };
  while (true) {
    const std::size_t dollar = text.find("${");
    if (dollar == text.npos) break;
    out.is_changed = true;
    if (dollar > 0 && text[dollar - 1] == '$') {
      out.text += std::string(text.substr(0, dollar - 1)) + "${";
      text.remove_prefix(dollar + 2);
      continue;
    }
    out.text += text.substr(0, dollar);
    const std::size_t close = text.find('}', dollar);
    if (close == text.npos) return stop("'${' without '}'", "write $${ for a literal ${");
    Value value = resolve(text.substr(dollar + 2, close - dollar - 2), environment);
    if (!value.problem.empty()) return stop(std::move(value.problem), std::move(value.hint));
    out.text += value.text;
    out.is_secret = out.is_secret || value.is_secret;
    if (out.text.size() > longest) return stop("the value is longer than 64 KiB", "");
    text.remove_prefix(close + 1);
  }
  out.text += text;
  return out;
}

}  // namespace raincheck::config
