// What the texts of single settings must be: each function says what is wrong with one, or nothing.
// Pure; used by describe.hpp as rules of config::Text.
#pragma once

#include <string>
#include <string_view>

namespace raincheck::config {

std::string check_name(std::string_view text);   // of an upstream, listener or label
std::string check_label(std::string_view text);  // of a route, in logs and metrics
std::string check_method(std::string_view text);
std::string check_match_path(
    std::string_view text);  // the grammar is that of routes/path_pattern.hpp
std::string check_call_path(std::string_view text);
std::string check_exact_path(std::string_view text);
std::string check_base_path(std::string_view text);
std::string check_header_name(std::string_view text);
std::string check_changed_field(std::string_view text);  // a name that a rule may set or rename
std::string check_removed_field(std::string_view text);  // the same, or a beginning and '*'
std::string check_field_text(std::string_view text);     // a value that is compared
std::string check_match_host(std::string_view text);
std::string check_allowed_origin(std::string_view text);  // as browsers write one, or a pattern
std::string check_listen_address(std::string_view text);
std::string check_network(std::string_view text);
std::string check_public_url(std::string_view text);
std::string check_server_url(std::string_view text);
std::string check_host_name(std::string_view text);  // or an IP address
std::string check_call_url(std::string_view text);   // an origin, and a path as it is asked for
std::string check_copied_field(
    std::string_view text);  // a name that authorize.copy_headers may have
std::string check_file_path(std::string_view text);
std::string check_include(std::string_view text);
std::string check_media_type(std::string_view text);      // a pattern: text/*, application/*+json
std::string check_content_type(std::string_view text);    // of a document: with parameters
std::string check_state_word(std::string_view text);      // of a job, as clients know it
std::string check_json_pointer(std::string_view text);    // RFC 6901
std::string check_pattern(std::string_view text);         // RE2
std::string check_parameter_name(std::string_view text);  // of a query
std::string check_needle(std::string_view text);

// Fields that frame a message, belong to one connection or tell proxies where a request has been.
// No rule can touch them.
bool is_reserved_field(std::string_view name);

}  // namespace raincheck::config
