// Which fields of a message are no longer true when a rule has changed its body, and what becomes
// of them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "routes/fields.hpp"

namespace raincheck::routes {

enum class FieldFate : unsigned char { kept, removed, weakened };

// What becomes of a field, by its name in any case, once the content has changed.
//   Content-Length                             removed: whoever sends the body writes its framing
//   Content-MD5, Digest, Content-Digest, Repr-Digest (RFC 9530)    removed: they are of other bytes
//   Accept-Ranges                              removed: ranges are ours to offer, not the backend's
//   Content-Encoding                           removed, unless the body was encoded again
//   ETag                                       weakened
// A strong ETag promises that the bytes are the same (RFC 9110 section 8.8.1), and those of a rule
// change with the configuration. Weak it still serves If-None-Match, as nginx has it. Last-Modified
// promises less and stays. Content-Range never meets a changed body: plan_body() leaves those
// alone.
FieldFate fate_of_field(std::string_view name, bool is_encoded_again);

// W/"x" of "x"; a weak one stays as it is. Nothing of what is no entity tag.
std::optional<std::string> weak_etag(std::string_view value);

// The fields of a request that would have the backend answer with what no rule can change: parts of
// a body. They are not passed on where rules change response bodies.
bool asks_for_ranges(std::string_view name);

// The value of Content-Encoding; of several such fields what is no coding that we know, so that no
// rule takes a body for another than its reader does.
std::string_view content_encoding_of(const Fields& fields);

// What may be asked of a backend whose answers are to be changed: the elements of a client's
// Accept-Encoding that can be decoded, with their weights. "identity" if there are none.
std::string known_encodings(std::string_view accept_encoding);

}  // namespace raincheck::routes
