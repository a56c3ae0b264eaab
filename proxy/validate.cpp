#include "proxy/validate.hpp"

#include "routes/content_coding.hpp"

namespace raincheck::proxy {

bool is_valid(Transaction& transaction,
              const routes::RequestCheck& check,
              std::optional<std::string_view> body) {
  if (check.is_empty()) return true;
  const RequestHead& head = transaction.head();
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  for (const Field& field : head.fields) headers.emplace_back(field.name, field.value);
  routes::CheckedRequest request;
  request.query = transaction.target().query;
  request.headers = headers;
  request.content_type = head.fields.find("Content-Type").value_or("");
  request.body = body;
  // A body that came compressed is looked at as what it stands for.
  routes::Decoded decoded;
  if (body && check.needs_body()) {
    const auto encoding = head.fields.find("Content-Encoding");
    const auto coding = routes::parse_content_encoding(encoding.value_or(""));
    if (coding) decoded = routes::decode(*coding, *body, seen_max + 1);
    if (!coding || decoded.bad ||
        (!decoded.is_whole && body->size() <= seen_max && decoded.bytes.size() <= seen_max)) {
      transaction.respond(Problem(415, "invalid_request", "The body cannot be decoded."));
      return false;
    }
    request.body = decoded.bytes;
  }
  const routes::RequestVerdict verdict = check.check(request);
  if (verdict) return true;
  Problem problem(verdict.status, "invalid_request", "The request is not what this route takes.");
  routes::append_errors(problem.errors, verdict.problems);
  transaction.respond(problem);
  return false;
}

}  // namespace raincheck::proxy
