#include "routes/template.hpp"

#include <algorithm>
#include <array>

#include "config/suggest.hpp"
#include "jobs/text.hpp"
#include "routes/error_list.hpp"
#include "routes/percent.hpp"

namespace raincheck::routes {
namespace {

using Name = Template::Name;
using Piece = Template::Piece;
using Outcome = Rendering::Outcome;

constexpr std::size_t value_bytes_max = std::size_t{64} * 1024;

struct Word {
  std::string_view text;
  Name name;
};

constexpr std::array<Word, 12> words = {{
    {"request.method", Name::request_method},
    {"request.scheme", Name::request_scheme},
    {"request.host", Name::request_host},
    {"request.path", Name::request_path},
    {"request.query", Name::request_query},
    {"request.target", Name::request_target},
    {"request.url", Name::request_url},
    {"request.id", Name::request_id},
    {"client.address", Name::client_address},
    {"job.id", Name::job_id},
    {"route.name", Name::route_name},
    {"public_url", Name::public_url},
}};

// Names that begin so; what follows is the operator's word.
constexpr std::array<Word, 7> families = {{
    {"client.certificate.", Name::certificate},
    {"path.", Name::path},
    {"query.", Name::query},
    {"header.", Name::header},
    {"cookie.", Name::cookie},
    {"file:", Name::secret},
    {"credential:", Name::secret},
}};

std::string written(std::string_view name) {
  return "'${" + std::string(name) + "}'";
}

std::string unknown(std::string_view name) {
  if (name.starts_with("env.")) {
    return written(name) +
           " is not known; write the environment variable alone: " + written(name.substr(4));
  }
  std::vector<std::string> known;
  for (const Word& word : words) known.emplace_back(word.text);
  for (const DocumentWord& word : document_words) known.emplace_back(word.text);
  for (const Word& family : families) known.emplace_back(family.text);
  const std::size_t joint = name.find_first_of(".:");
  std::string nearest = config::nearest(name, known);
  if (nearest.empty() && joint != name.npos) {
    nearest = config::nearest(name.substr(0, joint + 1), known);
    const bool is_family = !nearest.empty() && (nearest.back() == '.' || nearest.back() == ':');
    nearest = is_family ? nearest + std::string(name.substr(joint + 1)) : "";
  }
  const std::string message = written(name) + " is not known";
  return nearest.empty() ? message : message + "; did you mean " + written(nearest) + "?";
}

std::string check_path_name(std::string_view name, const Scope& scope) {
  std::vector<std::string> known;
  if (scope.pattern != nullptr) known = scope.pattern->names();
  if (std::find(known.begin(), known.end(), name) != known.end()) return "";
  if (scope.pattern == nullptr) {
    return written("path." + std::string(name)) + " cannot be used here: it belongs to a route";
  }
  if (known.empty()) {
    return written("path." + std::string(name)) + ": the route's path has no parameters";
  }
  std::string hint = config::did_you_mean(name, known);
  if (hint.empty()) hint = "it has " + config::one_of(known);
  return "the route's path has no parameter '" + std::string(name) + "'; " + hint;
}

std::string check_certificate_name(const Piece& piece) {
  const std::vector<std::string> known = {"subject", "issuer", "serial", "fingerprint", "san"};
  if (std::find(known.begin(), known.end(), piece.subject) != known.end()) return "";
  const std::string hint = config::did_you_mean(piece.subject, known);
  return "a certificate has no " + written(piece.text) + "; " +
         (hint.empty() ? "it has " + config::one_of(known) : hint);
}

std::string check_subject(const Piece& piece, const Scope& scope) {
  if (piece.subject.empty()) return written(piece.text) + " names nothing";
  if (piece.name == Name::path) return check_path_name(piece.subject, scope);
  if (piece.name == Name::certificate) return check_certificate_name(piece);
  const bool is_word = piece.name == Name::header || piece.name == Name::cookie;
  if (is_word && !is_token(piece.subject)) {
    return written(piece.text) + ": '" + piece.subject + "' is not a name";
  }
  if (piece.name == Name::secret && !scope.secrets) {
    return written(piece.text) + " is a secret and cannot be used here";
  }
  return "";
}

std::string check_document_name(const DocumentWord& word, const Scope& scope) {
  const bool is_error = is_of_error(word.name);
  if (is_error ? scope.error : scope.job) return "";
  return written(word.text) + " cannot be used here: it is known only in documents of " +
         (is_error ? "errors" : "a job");
}

// What only a request has cannot be told without one, nor the id of a job before it has one.
std::string check_request(const Piece& piece, const Scope& scope) {
  if (piece.name == Name::job_id && !scope.has_job_id) {
    return written(piece.text) + " cannot be used here: the job gets its id when it is stored";
  }
  const bool is_of_request =
      (Name::request_method <= piece.name && piece.name <= Name::certificate) ||
      (Name::path <= piece.name && piece.name <= Name::cookie);
  if (scope.has_request || !is_of_request) return "";
  return written(piece.text) + " cannot be used here: the job's request is not at hand";
}

// What stands between ${ and }.
Piece parse_name(std::string_view inner, const Scope& scope, std::string& why) {
  Piece piece;
  const bool is_secret = inner.starts_with("file:") || inner.starts_with("credential:");
  const std::size_t fallback = is_secret ? inner.npos : inner.find(":-");
  piece.text = inner.substr(0, fallback);
  if (fallback != inner.npos) piece.fallback = inner.substr(fallback + 2);
  for (const Word& word : words) {
    if (word.text != piece.text) continue;
    piece.name = word.name;
    why = check_request(piece, scope);
    return piece;
  }
  for (const DocumentWord& word : document_words) {
    if (word.text != piece.text) continue;
    piece.name = Name::document;
    piece.document = word.name;
    why = check_document_name(word, scope);
    return piece;
  }
  for (const Word& family : families) {
    if (!piece.text.starts_with(family.text)) continue;
    piece.name = family.name;
    piece.subject = piece.text.substr(family.text.size());
    why = check_request(piece, scope);
    if (why.empty()) why = check_subject(piece, scope);
    return piece;
  }
  why = unknown(piece.text);
  return piece;
}

// How the text of a value has to be read.
enum class Coding : std::uint8_t {
  plain,
  literal,    // of the template
  component,  // percent-encoded, of a path
  parameter,  // percent-encoded, of a query: '+' is a space
  path,       // ${request.path}: its escapes belong to it
  query,      // ${request.query}
};

struct Found {
  bool is_there = false;
  std::string_view text;
  Coding coding = Coding::plain;
};

Found unless_empty(std::string_view text) {
  return {!text.empty(), text, Coding::plain};
}

Found unless_missing(std::optional<std::string_view> text, Coding coding) {
  return {text.has_value(), text.value_or(""), coding};
}

Found find_cookie(const Fields& fields, std::string_view name) {
  Found found;
  fields.for_each("Cookie", [&](std::string_view list) {
    while (!list.empty() && !found.is_there) {
      const std::string_view pair = list.substr(0, list.find(';'));
      list.remove_prefix(std::min(pair.size() + 1, list.size()));
      const std::size_t equals = pair.find('=');
      if (equals == pair.npos || jobs::trim(pair.substr(0, equals)) != name) continue;
      found = {true, jobs::trim(pair.substr(equals + 1)), Coding::plain};
    }
  });
  return found;
}

// `buffer` holds what has to be put together.
Found find_header(const Fields& fields, std::string_view name, std::string& buffer) {
  const std::size_t count = fields.count(name);
  if (count == 0) return {};
  if (count == 1) return {true, *fields.find(name), Coding::plain};
  fields.for_each(name, [&](std::string_view value) {
    if (!buffer.empty()) buffer += ", ";
    buffer += value;
  });
  return {true, buffer, Coding::plain};
}

Found find_url(const Values& values, std::string& buffer) {
  if (!values.public_url.empty()) {
    buffer.append(values.public_url);
  } else {
    if (values.scheme.empty() || values.host.empty()) return {};
    buffer.append(values.scheme).append("://").append(values.host);
  }
  buffer.append(values.target.text);
  return {true, buffer, Coding::plain};
}

Found find_secret(const Values& values, const Piece& piece, std::string& buffer) {
  if (values.secret == nullptr) return {};
  auto content = (*values.secret)(piece.text);
  if (!content) return {};
  buffer = std::move(*content);
  return {true, buffer, Coding::plain};
}

Found find_in_document(const DocumentValues& document, DocumentName name, std::string& buffer) {
  if (name != DocumentName::error_errors) return unless_empty(document[name]);
  buffer = list_errors(document[name]);
  return unless_empty(buffer);
}

Found find(const Piece& piece, const Values& values, std::string& buffer) {
  static const Fields no_fields;
  const Fields& fields = values.fields != nullptr ? *values.fields : no_fields;
  switch (piece.name) {
    case Name::literal:
      return {true, piece.text, Coding::literal};
    case Name::request_method:
      return unless_empty(values.method);
    case Name::request_scheme:
      return unless_empty(values.scheme);
    case Name::request_host:
      return unless_empty(values.host);
    case Name::request_path:
      return {true, values.target.path, Coding::path};
    case Name::request_query:
      return {true, values.target.query, Coding::query};
    case Name::request_target:
      return {true, values.target.text, Coding::plain};
    case Name::request_url:
      return find_url(values, buffer);
    case Name::request_id:
      return unless_empty(values.request_id);
    case Name::client_address:
      return unless_empty(values.client_address);
    case Name::certificate:
      if (values.certificate == nullptr) return {};
      return unless_missing(values.certificate->find(piece.subject), Coding::plain);
    case Name::job_id:
      return unless_empty(values.job_id);
    case Name::route_name:
      return unless_empty(values.route_name);
    case Name::public_url:
      return unless_empty(values.public_url);
    case Name::path:
      if (values.pattern == nullptr) return {};
      return unless_missing(values.pattern->parameter(piece.subject, values.target.path),
                            Coding::component);
    case Name::query:
      return unless_missing(find_parameter(values.target.query, piece.subject), Coding::parameter);
    case Name::header:
      return find_header(fields, piece.subject, buffer);
    case Name::cookie:
      return find_cookie(fields, piece.subject);
    case Name::secret:
      return find_secret(values, piece, buffer);
    case Name::document:
      if (values.document == nullptr) return {};
      return find_in_document(*values.document, piece.document, buffer);
  }
  return {};
}

// The value as the client meant it.
void append_plain(std::string& out, const Found& found) {
  if (found.coding == Coding::component) {
    append_decoded(out, found.text, Plus::itself);
  } else if (found.coding == Coding::parameter) {
    append_decoded(out, found.text, Plus::space);
  } else {
    out.append(found.text);
  }
}

// What is in normal form stays so in its own place: encoding it again would change what it means.
bool stays_in_url(Coding coding, bool is_in_query) {
  switch (coding) {
    case Coding::literal:
      return true;
    case Coding::component:
    case Coding::path:
      return !is_in_query;
    case Coding::query:
      return is_in_query;
    case Coding::plain:
    case Coding::parameter:
      break;
  }
  return false;
}

void append_to_url(std::string& out, const Found& found, bool is_in_query) {
  if (stays_in_url(found.coding, is_in_query)) {
    out.append(found.text);
    return;
  }
  std::string plain;
  append_plain(plain, found);
  append_encoded(out, plain);
}

constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

// XML has no way to write most control characters, nor U+FFFE and U+FFFF (XML 1.0 section 2.2).
bool is_xml_character(std::string_view sequence) {
  const auto c = static_cast<unsigned char>(sequence.front());
  if (c < ' ') return c == '\t' || c == '\n' || c == '\r';
  return sequence != "\xef\xbf\xbe" && sequence != "\xef\xbf\xbf";
}

// A well-formed sequence of UTF-8 as it is written.
std::string_view in_markup(std::string_view sequence) {
  switch (sequence.front()) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return is_xml_character(sequence) ? sequence : replacement;
  }
}

void append_markup(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const jobs::Utf8Sequence sequence = jobs::first_utf8_sequence(text);
    out += sequence.is_well_formed ? in_markup(text.substr(0, sequence.size)) : replacement;
    text.remove_prefix(sequence.size);
  }
}

// What the template itself says stays as it is.
void append_escaped(std::string& out, const Found& found, Form form) {
  std::string plain;
  append_plain(plain, found);
  if (found.coding == Coding::literal) {
    out += plain;
  } else if (form == Form::markup) {
    append_markup(out, plain);
  } else if (form == Form::entry) {
    append_encoded(out, plain);
  } else {
    std::string quoted;
    jobs::append_json_string(quoted, plain);
    out.append(quoted, 1, quoted.size() - 2);
  }
}

void append_in_form(std::string& out, const Found& found, Form form, bool is_in_query) {
  switch (form) {
    case Form::text:
    case Form::field:
      append_plain(out, found);
      return;
    case Form::json:
    case Form::markup:
    case Form::entry:
      append_escaped(out, found, form);
      return;
    case Form::url:
      append_to_url(out, found, is_in_query);
      return;
  }
}

// Empty: the default stays.
void put_array(std::string_view text, Json& out) {
  auto array = parse_json(text).value;
  if (!array) return;
  out.kind = array->kind;
  out.items = std::move(array->items);
  out.text.clear();
}

}  // namespace

std::string Rendering::why() const {
  switch (outcome) {
    case Outcome::done:
      return "";
    case Outcome::missing:
      return "the request has no " + written(name);
    case Outcome::not_allowed:
      return written(name) + " has no value that can be used";
    case Outcome::unreadable:
      return written(name) + " cannot be read";
  }
  return "";
}

Template Template::compile(const config::TemplateText& text, const Scope& scope, std::string& why) {
  Template out;
  out.written_ = text.written;
  for (const auto& part : text.parts) {
    std::string reason;
    Piece piece;
    if (part.is_name) {
      piece = parse_name(part.text, scope, reason);
    } else {
      piece.text = part.text;
    }
    if (!reason.empty()) {
      why = std::move(reason);
      return {};
    }
    out.pieces_.push_back(std::move(piece));
  }
  return out;
}

Rendering Template::render(const Values& values, Form form, std::string& out) const {
  const std::size_t begin = out.size();
  bool is_in_query = false;
  const auto stop = [&](Outcome outcome, const Piece& piece) {
    out.resize(begin);
    return Rendering{outcome, piece.text};
  };
  for (const Piece& piece : pieces_) {
    std::string buffer;
    Found found = find(piece, values, buffer);
    const bool is_given = found.is_there && !(found.text.empty() && piece.fallback);
    if (!is_given) {
      if (piece.name == Name::secret) return stop(Outcome::unreadable, piece);
      if (!piece.fallback && values.document == nullptr) return stop(Outcome::missing, piece);
      found = {true, piece.fallback ? std::string_view(*piece.fallback) : "", Coding::plain};
    }
    const std::size_t at = out.size();
    append_in_form(out, found, form, is_in_query);
    const bool is_too_long = out.size() - begin > value_bytes_max;
    const bool breaks_out =
        form == Form::field && !is_field_value(std::string_view(out).substr(at));
    if (is_too_long || breaks_out) return stop(Outcome::not_allowed, piece);
    if (piece.name == Name::literal && piece.text.find('?') != piece.text.npos) is_in_query = true;
  }
  return {};
}

Rendering Template::render_json(const Values& values, Json& out) const {
  out.kind = Json::Kind::string;
  out.text.clear();
  const Rendering rendering = render(values, Form::text, out.text);
  const bool is_alone = pieces_.size() == 1 && pieces_.front().name != Name::literal;
  if (!rendering || !is_alone || values.document == nullptr) return rendering;
  const Piece& piece = pieces_.front();
  const bool is_array =
      piece.name == Name::document && piece.document == DocumentName::error_errors;
  const bool is_number = piece.name == Name::document &&
                         document_words.at(static_cast<std::size_t>(piece.document)).is_number;
  if (out.text.empty() && !piece.fallback) {
    out.kind = Json::Kind::null;
  } else if (is_array) {
    put_array((*values.document)[piece.document], out);
  } else if (is_number && parse_json(out.text).value.value_or(Json()).kind == Json::Kind::number) {
    out.kind = Json::Kind::number;
  }
  return rendering;
}

bool Template::is_constant() const {
  return pieces_.empty() || (pieces_.size() == 1 && pieces_.front().name == Name::literal);
}

bool Template::has_secret() const {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [](const Piece& piece) { return piece.name == Name::secret; });
}

}  // namespace raincheck::routes
