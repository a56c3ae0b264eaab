#include "routes/json_schema_documents.hpp"

#include <algorithm>

#include "config/load.hpp"
#include "routes/json_pointer.hpp"

namespace raincheck::routes {
namespace {

constexpr JsonLimits limits{std::size_t{4} << 20, 128};

// The length of "scheme:", or 0.
std::size_t scheme_length(std::string_view uri) {
  const std::size_t end = uri.find_first_of(":/?#");
  return end == uri.npos || uri[end] != ':' ? 0 : end + 1;
}

// The length of "scheme://authority", or 0 for the path of a file.
std::size_t origin_length(std::string_view uri) {
  const std::size_t scheme = scheme_length(uri);
  if (uri.substr(scheme, 2) != "//") return scheme;
  return std::min(uri.find('/', scheme + 2), uri.size());
}

std::string without_dots(std::string_view path) {
  std::vector<std::string_view> kept;
  const bool is_absolute = !path.empty() && path.front() == '/';
  bool is_open = false;  // it ends with a slash
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view segment = path.substr(0, end);
    is_open = segment.empty() || segment == "." || segment == ".." || end < path.size();
    path.remove_prefix(std::min(end + 1, path.size()));
    if (segment == ".." && !kept.empty() && kept.back() != "..") {
      kept.pop_back();
    } else if (segment == ".." && !is_absolute) {
      kept.push_back(segment);
    } else if (!segment.empty() && segment != "." && segment != "..") {
      kept.push_back(segment);
    }
  }
  std::string out = is_absolute ? "/" : "";
  for (std::size_t i = 0; i < kept.size(); ++i) out += (i > 0 ? "/" : "") + std::string(kept[i]);
  if (is_open && !kept.empty()) out += '/';
  return out;
}

std::string percent_decoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  const auto value = [&](char c) { return digits.find(static_cast<char>(c | 0x20)); };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape =
        text[i] == '%' && i + 2 < text.size() && value(text[i + 1]) < 16 && value(text[i + 2]) < 16;
    if (!is_escape) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(value(text[i + 1]) * 16 + value(text[i + 2]));
    i += 2;
  }
  return out;
}

bool is_map_of_schemas(std::string_view keyword) {
  return keyword == "properties" || keyword == "patternProperties" || keyword == "definitions" ||
         keyword == "dependencies";
}

std::string_view without_fragment(std::string_view uri) {
  return uri.substr(0, uri.find('#'));
}

}  // namespace

std::string resolve_reference(std::string_view base, std::string_view reference) {
  if (scheme_length(reference) > 0) return std::string(reference);
  base = without_fragment(base);
  if (reference.empty()) return std::string(base);
  if (reference.substr(0, 2) == "//") {
    return std::string(base.substr(0, scheme_length(base))) + std::string(reference);
  }
  const std::size_t origin = origin_length(base);
  const std::string_view path = base.substr(origin);
  const bool is_absolute = reference.front() == '/';
  std::string_view folder = path.substr(0, path.rfind('/') + 1);  // npos + 1 is 0
  if (path.empty() && origin > 0) folder = "/";
  return std::string(base.substr(0, origin)) +
         without_dots((is_absolute ? "" : std::string(folder)) + std::string(reference));
}

void SchemaDocuments::refuse(const SchemaPlace& place,
                             std::string_view below,
                             std::string message) {
  errors_.push_back({place.file, place.pointer + std::string(below), std::move(message)});
}

// Notes where each value stands, and which have names of their own. In a map of schemas the names
// are the author's, elsewhere they are keywords.
void SchemaDocuments::index(const Json& value, const SchemaPlace& from, bool is_map) {
  SchemaPlace place = from;
  const Json* id = value.find("$id");
  if (!is_map && id != nullptr && id->kind == Json::Kind::string && value.find("$ref") == nullptr) {
    const std::string_view text = id->text;
    if (text.substr(0, 1) == "#") {
      names_.emplace(place.base + id->text, &value);
    } else {
      place.base = resolve_reference(place.base, without_fragment(text));
      names_.emplace(place.base, &value);
    }
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const Json& item = value.items[i];
    SchemaPlace inner = place;
    append_pointer_token(inner.pointer,
                         value.kind == Json::Kind::object ? item.name : std::to_string(i));
    if (!is_map && (item.name == "enum" || item.name == "const")) continue;  // no schemas
    index(item, inner, !is_map && is_map_of_schemas(item.name));
  }
  places_.emplace(&value, std::move(place));
}

const Json* SchemaDocuments::open(const std::string& file, const SchemaPlace& from) {
  const auto known = files_.find(file);
  if (known != files_.end()) return known->second.get();
  if (files_.size() == JsonSchema::files_max) {
    refuse(from, "", "the schema has too many files");
    return nullptr;
  }
  std::unique_ptr<const Json>& kept = files_[file];
  const auto text = read_(file);
  if (!text) {
    refuse(from, "", "cannot read '" + file + "'" + config::why_unreadable(file));
    return nullptr;
  }
  ParsedJson parsed = parse_json(*text, limits);
  if (!parsed) {
    refuse({file, "", ""}, "", "is not JSON: " + parsed.why);
    return nullptr;
  }
  kept = std::make_unique<const Json>(std::move(*parsed.value));
  names_.emplace(file, kept.get());
  index(*kept, {file, "", file}, false);
  return kept.get();
}

const Json* SchemaDocuments::resolve(std::string_view reference, const SchemaPlace& from) {
  const std::size_t hash = std::min(reference.find('#'), reference.size());
  const std::string fragment =
      percent_decoded(reference.substr(std::min(hash + 1, reference.size())));
  const std::string_view address = reference.substr(0, hash);
  const std::string uri = resolve_reference(from.base, address);
  const Json* document = nullptr;
  if (const auto named = names_.find(uri); named != names_.end()) {
    document = named->second;
  } else if (scheme_length(address) > 0) {
    refuse(from, "/$ref",
           "'" + uri +
               "' is not the $id of a schema that was read, and no URL is "
               "ever fetched: name a file");
    return nullptr;
  } else {
    document = open(resolve_reference(from.file, percent_decoded(address)), from);
    if (document == nullptr) return nullptr;
  }
  const auto named = names_.find(uri + "#" + fragment);
  if (!fragment.empty() && named != names_.end()) return named->second;
  const auto pointer = JsonPointer::parse(fragment);
  const Json* found = pointer ? pointer->find(*document) : nullptr;
  // What stands within "enum" or "const" is no schema.
  if (found != nullptr && places_.count(found) > 0) return found;
  refuse(from, "/$ref", "there is no '" + std::string(reference) + "'");
  return nullptr;
}

}  // namespace raincheck::routes
