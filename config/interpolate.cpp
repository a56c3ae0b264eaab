#include "config/interpolate.hpp"

#include <algorithm>
#include <array>

namespace raincheck::config {
namespace {

constexpr std::size_t longest = std::size_t{64} * 1024;  // of a value with everything put in
constexpr const char* too_long = "the value is longer than 64 KiB";

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
  constexpr std::array<std::string_view, 10> families = {"request", "response", "header", "cookie",
                                                         "client",  "path",     "query",  "route",
                                                         "job",     "error"};
  if (name == "public_url") return true;
  const std::string_view family = name.substr(0, name.find('.'));
  return family.size() < name.size() &&
         std::find(families.begin(), families.end(), family) != families.end();
}

// NAME or NAME:-default. All else in a template belongs to requests.
bool is_environment_name(std::string_view inner) {
  const std::string_view name = inner.substr(0, inner.find(":-"));
  return name != "public_url" && is_variable_name(name);
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

struct Value {
  std::string text;
  std::string problem;
  std::string hint;
  bool is_secret = false;
};

bool is_secret_name(std::string_view name) {
  return name.starts_with("file:") || name.starts_with("credential:");
}

Value read_file(const Environment& environment, const std::string& what, const std::string& path) {
  auto content = environment.file(path);
  if (!content) return {"", what + " cannot be read: '" + path + "'" + why_unreadable(path), ""};
  if (!content->empty() && content->back() == '\n') content->pop_back();
  return {std::move(*content), "", "", true};
}

Value resolve_secret(std::string_view inner, const Environment& environment) {
  const std::string written = "'${" + std::string(inner) + "}'";
  if (inner.starts_with("file:")) {
    return read_file(environment, written, std::string(inner.substr(5)));
  }
  const std::string name(inner.substr(std::string_view("credential:").size()));
  if (name.empty() || name.find('/') != name.npos || name.front() == '.') {
    return {"", written + " does not name a credential", ""};
  }
  const auto directory = environment.variable("CREDENTIALS_DIRECTORY");
  if (!directory) {
    return {"", written + " has no value: $CREDENTIALS_DIRECTORY is not set",
            "systemd sets it when the unit has LoadCredential="};
  }
  return read_file(environment, written, *directory + "/" + name);
}

Value resolve(std::string_view inner, const Environment& environment) {
  const std::string written = "'${" + std::string(inner) + "}'";
  if (is_secret_name(inner)) return resolve_secret(inner, environment);
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

// Calls literal(text) and name(text) for the parts of a text, in order, until one of them says
// false. False if a name has no end.
template <class Literal, class Name>
bool split(std::string_view text, const Literal& literal, const Name& name) {
  while (true) {
    const std::size_t dollar = text.find("${");
    if (dollar == text.npos) break;
    if (dollar > 0 && text[dollar - 1] == '$') {
      literal(text.substr(0, dollar - 1));
      literal("${");
      text.remove_prefix(dollar + 2);
      continue;
    }
    literal(text.substr(0, dollar));
    const std::size_t close = text.find('}', dollar);
    if (close == text.npos) return false;
    if (!name(text.substr(dollar + 2, close - dollar - 2))) return true;
    text.remove_prefix(close + 1);
  }
  literal(text);
  return true;
}

constexpr const char* unclosed = "'${' without '}'";
constexpr const char* unclosed_hint = "write $${ for a literal ${";

}  // namespace

Interpolated interpolate(std::string_view text, const Environment& environment) {
  Interpolated out;
  const auto literal = [&](std::string_view part) { out.text += part; };
  const auto name = [&](std::string_view inner) {
    Value value = resolve(inner, environment);
    out.problem = std::move(value.problem);
    out.hint = std::move(value.hint);
    out.text += value.text;
    out.is_secret = out.is_secret || value.is_secret;
    if (out.text.size() > longest) out.problem = too_long;
    return out.problem.empty();
  };
  out.is_changed = text.find("${") != text.npos;
  if (!split(text, literal, name)) {
    out.problem = unclosed;
    out.hint = unclosed_hint;
  }
  return out;
}

InterpolatedTemplate interpolate_template(std::string_view text, const Environment& environment) {
  InterpolatedTemplate out;
  auto& parts = out.text.parts;
  const auto literal = [&](std::string_view part) {
    if (part.empty()) return;
    if (parts.empty() || parts.back().is_name) parts.emplace_back();
    parts.back().text += part;
  };
  const auto name = [&](std::string_view inner) {
    const bool stays = is_secret_name(inner) || !is_environment_name(inner);
    if (stays) parts.push_back({true, std::string(inner)});
    if (stays && !is_secret_name(inner)) return true;
    Value value = resolve(inner, environment);
    out.problem = std::move(value.problem);
    out.hint = std::move(value.hint);
    if (!stays) literal(value.text);
    if (value.text.size() > longest) out.problem = too_long;
    if (std::any_of(value.text.begin(), value.text.end(), is_control)) {
      out.problem = "'${" + std::string(inner) + "}' holds control characters";
    }
    return out.problem.empty();
  };
  out.text.written = text;
  if (!split(text, literal, name)) {
    out.problem = unclosed;
    out.hint = unclosed_hint;
  }
  return out;
}

std::optional<std::string> read_secret(std::string_view reference, const Environment& environment) {
  Value value = resolve_secret(reference, environment);
  if (!value.problem.empty()) return std::nullopt;
  return std::move(value.text);
}

}  // namespace raincheck::config
