// A text with ${...} of a request in it, compiled when the configuration is loaded and rendered for
// each request. ${NAME} of the environment is in the text already (config/interpolate.hpp); what is
// left here are the names below, ${name:-default} for a value that a request may lack, and $${ for
// a literal ${. Pure; any thread. Secrets are asked for at each rendering and never kept.
//
//   ${request.method}  ${request.scheme}   ${request.host}    host[:port] as the client asked for
//   it
//   ${request.path}    ${request.query}    in normal form, still percent-encoded
//   ${request.target}  ${request.url}      path and query; with the public scheme and host before
//   it
//   ${request.id}      ${client.address}   ${job.id}          ${route.name}     ${public_url}
//   ${path.NAME}       ${query.NAME}       ${header.NAME}     ${cookie.NAME}    ${path.*}: the rest
//   of /a/*
//   ${client.certificate.NAME}             subject, issuer, serial, fingerprint, san: of a valid
//   one
//   ${file:/PATH}      ${credential:NAME}  where the rule may hold secrets
//   those of document_values.hpp           in documents, where what is missing is empty
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/document_values.hpp"
#include "routes/fields.hpp"
#include "routes/json.hpp"
#include "routes/path.hpp"
#include "routes/path_pattern.hpp"

namespace raincheck::routes {

// What a request gives to templates. Views, valid as long as the request; an empty one is a value
// that is missing, but for path and query. The fields are those that the client sent, before any
// rule; for a job, those that were stored.
struct Values {
  std::string_view method;
  std::string_view scheme;               // http or https, as the client spoke it
  std::string_view host;                 // host[:port] that the client asked for
  Target target;                         // in normal form
  const PathPattern* pattern = nullptr;  // that the path matched; null: no parameters
  const Fields* fields = nullptr;
  std::string_view client_address;
  const Fields* certificate = nullptr;  // of the client, by NAME; may be null
  std::string_view request_id;
  std::string_view job_id;  // empty for a plain call
  std::string_view route_name;
  std::string_view public_url;  // without a trailing slash
  // The content of "file:/PATH" or "credential:NAME"; nothing: it cannot be read now.
  const std::function<std::optional<std::string>(std::string_view reference)>* secret = nullptr;
  const DocumentValues* document = nullptr;  // of a document, in which nothing is ever missing
};

// What values become on their way into the text.
enum class Form : std::uint8_t {
  text,    // as they are
  json,    // within a string of JSON or JavaScript: escaped
  markup,  // within text or an attribute of HTML or XML: escaped
  field,   // a field value: nothing with a control character
  url,     // path and, after a literal '?', query: everything but unreserved characters is encoded
  entry,   // of a form (application/x-www-form-urlencoded), encoded likewise
};

struct Rendering {
  enum class Outcome : std::uint8_t {
    done,
    missing,      // the request has no such value, and there is no default
    not_allowed,  // the value cannot stand in this form
    unreadable,   // a file or credential that cannot be read now
  };
  Outcome outcome = Outcome::done;
  std::string_view name;  // of the value that is to blame, without ${}; a view into the template

  explicit operator bool() const { return outcome == Outcome::done; }
  std::string why() const;  // "the request has no '${header.X-Customer}'"; empty: it is done
};

// What a template may speak of, where it stands.
struct Scope {
  const PathPattern* pattern = nullptr;  // whose parameters ${path.NAME} are
  bool secrets = false;                  // ${file:...} and ${credential:...}
  // In documents.
  bool job = false;         // ${job.status} and so on
  bool error = false;       // ${error.type} and so on
  bool has_request = true;  // false: the request is not at hand
  bool has_job_id = true;   // false: the job is not stored yet
};

class Template {
 public:
  Template() = default;  // the empty text

  // On failure `why` says what is wrong, with "did you mean", and the template is the empty text.
  static Template compile(const config::TemplateText& text, const Scope& scope, std::string& why);

  // Appends the text to `out`; on failure `out` is as it was.
  [[nodiscard]] Rendering render(const Values& values, Form form, std::string& out) const;

  // The same as a JSON string, in whose place stands, in a document, a number or null where the
  // template is nothing but one ${name} that has such a value or none.
  [[nodiscard]] Rendering render_json(const Values& values, Json& out) const;

  // The same text for every request.
  bool is_constant() const;
  bool has_secret() const;
  const std::string& written() const { return written_; }  // as it stands in the file

  enum class Name : std::uint8_t {
    literal,
    request_method,
    request_scheme,
    request_host,
    request_path,
    request_query,
    request_target,
    request_url,
    request_id,
    client_address,
    certificate,  // .NAME
    job_id,
    route_name,
    public_url,
    path,    // .NAME
    query,   // .NAME
    header,  // .NAME
    cookie,  // .NAME
    secret,  // file:/PATH or credential:NAME
    document,
  };
  struct Piece {
    Name name = Name::literal;
    std::string text;     // literal: itself; else what stands between ${ and } without the default
    std::string subject;  // NAME of a family
    std::optional<std::string> fallback;
    DocumentName document{};
  };
  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  std::string written_;
  std::vector<Piece> pieces_;
};

}  // namespace raincheck::routes
