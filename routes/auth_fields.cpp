#include "routes/auth_fields.hpp"

#include <algorithm>
#include <initializer_list>

namespace raincheck::routes {
namespace {

bool begins_with(std::string_view name, std::string_view beginning) {
  return name.size() >= beginning.size() &&
         is_same_name(name.substr(0, beginning.size()), beginning);
}

bool is_any_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [name](std::string_view other) { return is_same_name(name, other); });
}

bool is_asked(std::string_view name) {
  for (const std::string_view beginning : {"Content-", "If-", "X-Original-"}) {
    if (begins_with(name, beginning)) return false;
  }
  return !is_any_of(name, {"Range", "Expect", "Prefer", "X-Forwarded-Method", "X-Forwarded-Uri"});
}

// About a body, or how long it may be kept.
bool is_about_body(std::string_view name) {
  return begins_with(name, "Content-") ||
         is_any_of(name, {"ETag", "Last-Modified", "Accept-Ranges", "Cache-Control", "Expires"});
}

bool is_named(std::string_view name, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(),
                     [name](const std::string& other) { return is_same_name(name, other); });
}

template <class F>
std::string lines_if(std::string_view lines, const F& is_kept) {
  Fields fields;
  fields.assign(lines);
  fields.erase_if([&is_kept](const Field& field) { return !is_kept(field.name); });
  std::string out;
  fields.append_to(out);
  return out;
}

}  // namespace

std::string auth_question(std::string_view method,
                          std::string_view target,
                          const AuthSubject& subject) {
  std::string out;
  out.reserve(subject.lines.size() + 2 * subject.target.size() + 256);
  out.append(method).append(" ").append(target).append("\r\n");
  out.append(lines_if(subject.lines, is_asked));
  (void)append_field(out, "X-Original-Method", subject.method);
  (void)append_field(out, "X-Original-URI", subject.target);
  (void)append_field(out, "X-Forwarded-Method", subject.method);
  (void)append_field(out, "X-Forwarded-Uri", subject.target);
  return out;
}

std::string auth_question_core(std::string_view question, std::string_view request_id_header) {
  const std::size_t line = question.find("\r\n") + 2;
  std::string out(question.substr(0, line));
  out.append(lines_if(question.substr(line), [request_id_header](std::string_view name) {
    return !is_same_name(name, request_id_header) &&
           !is_any_of(name, {"traceparent", "tracestate"});
  }));
  return out;
}

std::string copied_fields(std::string_view answer, const std::vector<std::string>& names) {
  return lines_if(answer, [&names](std::string_view name) { return is_named(name, names); });
}

void replace_fields(std::string& lines,
                    std::size_t begin,
                    const std::vector<std::string>& names,
                    std::string_view copied) {
  const std::string kept =
      lines_if(std::string_view(lines).substr(begin),
               [&names](std::string_view name) { return !is_named(name, names); });
  lines.resize(begin);
  lines.append(kept).append(copied);
}

std::string relayed_fields(std::string_view answer,
                           std::string_view request_id_header,
                           AnswerBodyKept body) {
  return lines_if(answer, [&](std::string_view name) {
    const bool is_ours = is_same_name(name, "Date") || is_same_name(name, request_id_header);
    return !is_ours && (body == AnswerBodyKept::yes || !is_about_body(name));
  });
}

bool may_be_remembered(std::string_view answer) {
  Fields fields;
  fields.assign(answer);
  bool may = true;
  fields.for_each_element("Cache-Control", [&may](std::string_view directive) {
    may = may && !is_any_of(directive.substr(0, directive.find('=')), {"no-store", "no-cache"});
  });
  return may;
}

}  // namespace raincheck::routes
