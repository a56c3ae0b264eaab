#include "routes/json.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>
#include <limits>

#include "jobs/text.hpp"
#include "routes/decimal.hpp"

namespace raincheck::routes {
namespace {

using boost::json::error_code;
using View = boost::json::string_view;

std::string_view to_view(View text) {
  return {text.data(), text.size()};
}

// What the parser of Boost.JSON calls, and what builds the tree.
struct Builder {
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = max_object_size;
  static constexpr std::size_t max_key_size = max_object_size;
  static constexpr std::size_t max_string_size = max_object_size;

  Json root;
  std::vector<Json*> open;  // the containers around the next value; their items move no more
  std::string text;         // the part of a text that was seen already
  std::string key;
  std::size_t values_left = 0;
  std::string why;

  bool fail(std::string reason, error_code& ec) {
    why = std::move(reason);
    ec = boost::json::error::exception;
    return false;
  }

  // A place for the next value; null: there are too many.
  Json* add(Json::Kind kind, error_code& ec) {
    if (values_left == 0) {
      fail("it holds too many values", ec);
      return nullptr;
    }
    --values_left;
    Json* json = &root;
    if (!open.empty()) {
      json = &open.back()->items.emplace_back();
      json->name = std::move(key);
      key.clear();
    }
    json->kind = kind;
    return json;
  }

  bool begin(Json::Kind kind, error_code& ec) {
    Json* json = add(kind, ec);
    if (json != nullptr) open.push_back(json);
    return json != nullptr;
  }
  bool add_text(Json::Kind kind, View last, error_code& ec) {
    Json* json = add(kind, ec);
    if (json == nullptr) return false;
    json->text = std::move(text);
    json->text += to_view(last);
    text.clear();
    return true;
  }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_array_begin(error_code& ec) { return begin(Json::Kind::array, ec); }
  bool on_array_end(std::size_t, error_code&) {
    open.pop_back();
    return true;
  }
  bool on_object_begin(error_code& ec) { return begin(Json::Kind::object, ec); }
  bool on_object_end(std::size_t, error_code& ec) {
    std::vector<std::string_view> names;
    names.reserve(open.back()->items.size());
    for (const Json& member : open.back()->items) names.push_back(member.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) {
      return fail("the member '" + std::string(twice->substr(0, 64)) + "' is there twice", ec);
    }
    open.pop_back();
    return true;
  }
  bool on_string_part(View part, std::size_t, error_code&) {
    text += to_view(part);
    return true;
  }
  bool on_string(View last, std::size_t, error_code& ec) {
    return add_text(Json::Kind::string, last, ec);
  }
  bool on_key_part(View part, std::size_t, error_code&) {
    text += to_view(part);
    return true;
  }
  bool on_key(View last, std::size_t, error_code&) {
    key = std::move(text);
    key += to_view(last);
    text.clear();
    return true;
  }
  bool on_number_part(View part, error_code&) {
    text += to_view(part);
    return true;
  }
  bool on_int64(std::int64_t, View last, error_code& ec) {
    return add_text(Json::Kind::number, last, ec);
  }
  bool on_uint64(std::uint64_t, View last, error_code& ec) {
    return add_text(Json::Kind::number, last, ec);
  }
  bool on_double(double, View last, error_code& ec) {
    return add_text(Json::Kind::number, last, ec);
  }
  bool on_bool(bool value, error_code& ec) {
    Json* json = add(Json::Kind::boolean, ec);
    if (json != nullptr) json->is_true = value;
    return json != nullptr;
  }
  bool on_null(error_code& ec) { return add(Json::Kind::null, ec) != nullptr; }
  bool on_comment_part(View, error_code&) { return true; }
  bool on_comment(View, error_code&) { return true; }
};

std::string place_in(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const std::size_t column = offset - (before.rfind('\n') + 1);  // npos + 1 is 0
  return "line " + std::to_string(lines + 1) + ", column " + std::to_string(column + 1);
}

// Members by name, for comparing; `json` must outlive them.
std::vector<const Json*> sorted_members(const Json& json) {
  std::vector<const Json*> members;
  members.reserve(json.items.size());
  for (const Json& member : json.items) members.push_back(&member);
  std::sort(members.begin(), members.end(),
            [](const Json* a, const Json* b) { return a->name < b->name; });
  return members;
}

void append_canonical(std::string& out, const Json& json) {
  switch (json.kind) {
    case Json::Kind::number:
      out += Decimal(json.text).canonical();
      return;
    case Json::Kind::array:
      out += '[';
      for (const Json& item : json.items) {
        append_canonical(out, item);
        out += ',';
      }
      out += ']';
      return;
    case Json::Kind::object:
      out += '{';
      for (const Json* member : sorted_members(json)) {
        jobs::append_json_string(out, member->name);
        out += ':';
        append_canonical(out, *member);
        out += ',';
      }
      out += '}';
      return;
    case Json::Kind::null:
    case Json::Kind::boolean:
    case Json::Kind::string:
      append_json(out, json);
      return;
  }
}

}  // namespace

Json Json::string(std::string text) {
  Json json;
  json.kind = Kind::string;
  json.text = std::move(text);
  return json;
}

const Json* Json::find(std::string_view member) const {
  if (kind != Kind::object) return nullptr;
  const auto found = std::find_if(items.begin(), items.end(),
                                  [&](const Json& item) { return item.name == member; });
  return found == items.end() ? nullptr : &*found;
}

Json* Json::find(std::string_view member) {
  return const_cast<Json*>(static_cast<const Json*>(this)->find(member));
}

namespace {

ParsedJson parse(std::string_view text, const JsonLimits& limits, bool is_whole) {
  if (text.size() > limits.bytes) {
    return {std::nullopt, "it is longer than " + std::to_string(limits.bytes) + " bytes"};
  }
  boost::json::parse_options options;
  options.max_depth = limits.depth;
  boost::json::basic_parser<Builder> parser(options);
  parser.handler().values_left = limits.values();
  error_code ec;
  const std::size_t used = parser.write_some(!is_whole, text.data(), text.size(), ec);
  if (!ec && used < text.size()) ec = boost::json::error::extra_data;
  if (!ec) return {std::move(parser.handler().root), ""};
  std::string why = std::move(parser.handler().why);
  if (ec == boost::json::error::too_deep) why = "it is nested too deeply";
  if (why.empty()) why = text.empty() ? "it is empty" : ec.message();
  return {std::nullopt, why + " at " + place_in(text, used)};
}

}  // namespace

ParsedJson parse_json(std::string_view text, const JsonLimits& limits) {
  return parse(text, limits, true);
}

ParsedJson parse_json_beginning(std::string_view text, const JsonLimits& limits) {
  return parse(text, limits, false);
}

void append_json(std::string& out, const Json& json) {
  const char* separator = "";
  switch (json.kind) {
    case Json::Kind::null:
      out += "null";
      return;
    case Json::Kind::boolean:
      out += json.is_true ? "true" : "false";
      return;
    case Json::Kind::number:
      out += json.text;
      return;
    case Json::Kind::string:
      jobs::append_json_string(out, json.text);
      return;
    case Json::Kind::array:
      out += '[';
      for (const Json& item : json.items) {
        out += separator;
        append_json(out, item);
        separator = ",";
      }
      out += ']';
      return;
    case Json::Kind::object:
      out += '{';
      for (const Json& member : json.items) {
        out += separator;
        jobs::append_json_string(out, member.name);
        out += ':';
        append_json(out, member);
        separator = ",";
      }
      out += '}';
      return;
  }
}

std::string to_text(const Json& json) {
  std::string out;
  append_json(out, json);
  return out;
}

bool is_equal(const Json& a, const Json& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  switch (a.kind) {
    case Json::Kind::null:
      return true;
    case Json::Kind::boolean:
      return a.is_true == b.is_true;
    case Json::Kind::number:
      return a.text == b.text || Decimal(a.text) == Decimal(b.text);
    case Json::Kind::string:
      return a.text == b.text;
    case Json::Kind::array:
      return std::equal(a.items.begin(), a.items.end(), b.items.begin(), is_equal);
    case Json::Kind::object: {
      const auto left = sorted_members(a);
      const auto right = sorted_members(b);
      return std::equal(left.begin(), left.end(), right.begin(), [](const Json* x, const Json* y) {
        return x->name == y->name && is_equal(*x, *y);
      });
    }
  }
  return false;
}

std::string canonical(const Json& json) {
  std::string out;
  append_canonical(out, json);
  return out;
}

std::size_t count_values(const Json& json) {
  std::size_t count = 1;
  for (const Json& item : json.items) count += count_values(item);
  return count;
}

}  // namespace raincheck::routes
