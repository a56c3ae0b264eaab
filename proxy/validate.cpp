#include "proxy/validate.hpp"

#include "routes/content_coding.hpp"

namespace raincheck::proxy {

routes::RequestVerdict check_request(const RequestHead& head,
                                     std::string_view query,
                                     const routes::RequestCheck& check,
                                     std::optional<std::string_view> body) {
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  for (const Field& field : head.fields) headers.emplace_back(field.name, field.value);
  routes::CheckedRequest request;
  request.query = query;
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
      using Where = routes::RequestProblem::Where;
      return {415, {{Where::header, "Content-Encoding", "the body cannot be decoded"}}};
    }
    request.body = decoded.bytes;
  }
  return check.check(request);
}

bool is_valid(Transaction& transaction,
              const routes::RequestCheck& check,
              std::optional<std::string_view> body) {
  if (check.is_empty()) return true;
  const routes::RequestVerdict verdict =
      check_request(transaction.head(), transaction.target().query, check, body);
  if (verdict) return true;
  Problem problem(verdict.status, "invalid_request", "The request is not what this route takes.");
  routes::append_errors(problem.errors, verdict.problems);
  transaction.respond(problem);
  return false;
}

}  // namespace raincheck::proxy
