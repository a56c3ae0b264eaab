// What the authorization service of a route is told of a request, and what of its answer goes on,
// to the backend or to the client. The one place that says which fields those are. Pure; any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "routes/fields.hpp"

namespace raincheck::routes {

// The request that the service is asked about.
struct AuthSubject {
  std::string_view method;
  std::string_view target;  // in normal form: what the backend would be asked, before any rewriting
  std::string_view lines;   // its end-to-end field lines, with what is said of the client
};

// "METHOD target\r\n" and the field lines of the question: those of the request but for what is
// about its body, ranges, conditions and preferences; then X-Original-Method and -URI (nginx), and
// X-Forwarded-Method and -Uri (Traefik), of which no client's copy gets through.
std::string auth_question(std::string_view method,
                          std::string_view target,
                          const AuthSubject& subject);

// What of a question decides its answer: all but the names of the single request.
std::string auth_question_core(std::string_view question, std::string_view request_id_header);

// The lines of an answer that have one of these names.
std::string copied_fields(std::string_view answer, const std::vector<std::string>& names);

// Takes every field that has one of the names out of `lines`, from `begin` on, and adds `copied`.
void replace_fields(std::string& lines,
                    std::size_t begin,
                    const std::vector<std::string>& names,
                    std::string_view copied);

// The lines of a negative answer that the client gets: without those that we write ourselves and,
// without its body, those that are about one.
enum class AnswerBodyKept { yes, no };
std::string relayed_fields(std::string_view answer,
                           std::string_view request_id_header,
                           AnswerBodyKept body);

// False: the service has said that its answer is not to be kept.
bool may_be_remembered(std::string_view answer);

}  // namespace raincheck::routes
