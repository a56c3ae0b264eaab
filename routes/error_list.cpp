#include "routes/error_list.hpp"

#include "routes/json.hpp"

namespace raincheck::routes {

std::string list_errors(std::string_view errors) {
  const Json array = parse_json(errors).value.value_or(Json());
  std::string list;
  for (const Json& error : array.items) {
    if (!list.empty()) list += "; ";
    for (const char* where : {"header", "parameter", "pointer"}) {
      const Json* const name = error.find(where);
      if (name && !name->text.empty()) list.append(name->text).append(": ");
    }
    if (const Json* const detail = error.find("detail")) list += detail->text;
  }
  return list;
}

}  // namespace raincheck::routes
