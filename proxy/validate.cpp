#include "proxy/validate.hpp"

#include "routes/body_fields.hpp"
#include "routes/content_coding.hpp"

namespace raincheck::proxy {

namespace {

using HeaderList = std::vector<std::pair<std::string_view, std::string_view>>;

// `headers` has to live as long as what is returned.
routes::CheckedRequest checked(const RequestHead& head,
                               std::string_view query,
                               HeaderList& headers) {
  for (const Field& field : head.fields) headers.emplace_back(field.name, field.value);
  routes::CheckedRequest request;
  request.query = query;
  request.headers = headers;
  request.content_type = head.fields.find("Content-Type").value_or("");
  return request;
}

bool tell(Transaction& transaction, const routes::RequestVerdict& verdict) {
  if (verdict) return true;
  Problem problem(verdict.status, "invalid_request", "The request is not what this route takes.");
  routes::append_errors(problem.errors, verdict.problems);
  transaction.respond(problem);
  return false;
}

}  // namespace

routes::RequestVerdict check_request(const RequestHead& head,
                                     std::string_view query,
                                     const routes::RequestCheck& check,
                                     std::optional<std::string_view> body) {
  HeaderList headers;
  routes::CheckedRequest request = checked(head, query, headers);
  request.body = body;
  // A body that came compressed is looked at as what it stands for.
  routes::Decoded decoded;
  if (body && check.needs_body()) {
    const auto coding = routes::parse_content_encoding(routes::content_encoding_of(head.fields));
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
  return tell(transaction,
              check_request(transaction.head(), transaction.target().query, check, body));
}

bool is_head_valid(Transaction& transaction, const routes::RequestCheck& check) {
  if (check.is_empty()) return true;
  HeaderList headers;
  routes::CheckedRequest request = checked(transaction.head(), transaction.target().query, headers);
  if (transaction.has_body()) request.body = "";
  return tell(transaction, check.check_head(request));
}

}  // namespace raincheck::proxy
