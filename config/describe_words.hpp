// The closed lists of words that settings take, and how a setting may be left out. For describe.hpp
// and its parts only.
#pragma once

#include "config/config.hpp"
#include "config/kinds.hpp"
#include "config/rules.hpp"

namespace raincheck::config {

enum class Use {
  optional,  // the default
  own,       // optional, and never a default of others
  required,  // and never a default of others
};

enum class AnyShape {
  value,
  pointers,  // a map whose keys are JSON Pointers
};

inline const Words<OnAbort> on_abort_words{{{OnAbort::close, "close"}, {OnAbort::drain, "drain"}},
                                           {}};
inline const Words<ProxyProtocol> proxy_protocol_words{
    {{ProxyProtocol::none, "none"}, {ProxyProtocol::v1, "v1"}, {ProxyProtocol::v2, "v2"}}, {}};
inline const Words<ClientAuth> client_auth_words{{{ClientAuth::none, "none"},
                                                  {ClientAuth::optional, "optional"},
                                                  {ClientAuth::require, "require"}},
                                                 {}};
inline const Words<TlsVersion> tls_version_words{
    {{TlsVersion::v1_2, "1.2"}, {TlsVersion::v1_3, "1.3"}}, {}};
inline const Words<LbPolicy> lb_policy_words{{{LbPolicy::round_robin, "round_robin"},
                                              {LbPolicy::least_conn, "least_conn"},
                                              {LbPolicy::hash, "hash"}},
                                             {}};
inline const Words<Mode> mode_words{
    {{Mode::always, "always"}, {Mode::prefer, "prefer"}, {Mode::never, "never"}}, {}};
inline const Words<Resend> resend_words{
    {{Resend::idempotent, "idempotent"}, {Resend::always, "always"}, {Resend::never, "never"}}, {}};
inline const Words<Priority> priority_words{
    {{Priority::high, "high"}, {Priority::normal, "normal"}, {Priority::low, "low"}}, {}};
inline const Words<Completion> completion_words{
    {{Completion::redirect, "redirect"}, {Completion::inline_, "inline"}},
    {"resource", "envelope"}};
inline const Words<OnFailure> on_failure_words{
    {{OnFailure::pass, "pass"}, {OnFailure::refuse, "refuse"}}, {}};
inline const Words<PatchOp> patch_op_words{{{PatchOp::add, "add"},
                                            {PatchOp::remove, "remove"},
                                            {PatchOp::replace, "replace"},
                                            {PatchOp::move, "move"},
                                            {PatchOp::copy, "copy"},
                                            {PatchOp::test, "test"}},
                                           {}};
inline const Words<LogLevel> log_level_words{{{LogLevel::trace, "trace"},
                                              {LogLevel::debug, "debug"},
                                              {LogLevel::info, "info"},
                                              {LogLevel::warn, "warn"},
                                              {LogLevel::error, "error"}},
                                             {}};
inline const Words<LogFormat> log_format_words{
    {{LogFormat::text, "text"}, {LogFormat::json, "json"}}, {}};
inline const Words<AccessFormat> access_format_words{
    {{AccessFormat::text, "text"}, {AccessFormat::json, "json"}}, {}};
inline const Words<AccessOutput> access_output_words{
    {{AccessOutput::stdout_, "stdout"}, {AccessOutput::none, "none"}}, {}};
// In place of a section.
inline const Words<bool> off_word{{{false, "off"}}, {}};
inline const Words<AcceptId> accept_id_words{
    {{AcceptId::trusted, "trusted"}, {AcceptId::always, "always"}, {AcceptId::never, "never"}}, {}};

inline const NameRule field_names{check_header_name, "^[!-~]+$", NameRule::Case::ignored};
inline const NameRule changed_fields{check_changed_field, "", NameRule::Case::ignored};
inline const NameRule parameter_names{check_parameter_name, "."};
inline const NameRule label_names{check_name, "^[A-Za-z0-9][\\w.-]*$"};
inline const NameRule upstream_names{check_name, "^[A-Za-z0-9][\\w.-]*$"};
inline const NameRule cookie_paths{check_exact_path, "^/"};

}  // namespace raincheck::config
