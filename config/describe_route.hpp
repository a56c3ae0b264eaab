// The part of describe.hpp that describes a route.
#pragma once

#include <limits>
#include <string>

#include "config/describe_words.hpp"
#include "config/rules.hpp"

namespace raincheck::config {

template <class V>
void describe(V& v, Match& m) {
  v.shorthand(m, MatchText{});
  v.list("methods", m.methods, Many<Text>{{check_method, "^[A-Z][A-Z-]*$"}, false},
         "HTTP methods. Default: every method.");
  v.field("path", m.path, Text{check_match_path, "^/[^ ]*$"},
          "/exact, /prefix/*, /with/{segment} or /with/{rest...}.", Use::required);
  v.list("hosts", m.hosts, Many<Text>{{check_match_host, "^(\\*\\.)?[^*/ ]+$"}, false},
         "Hosts that are asked for: api.example.com, or *.example.com for all below it. Default: "
         "every host.");
  v.entries("headers", m.headers, field_names, Text{check_field_text},
            "Header fields and the values that they must have.");
  v.entries("query", m.query, parameter_names, Text{check_field_text},
            "Query parameters and the values that they must have.");
}

template <class V>
void describe(V& v, IdempotencyKey& k) {
  v.field("header", k.header, Text{check_header_name},
          "Name of the header that holds a submission's key: the same key, the same job.");
  v.field("required", k.required, Flag{}, "Whether a submission without a key is refused.");
  for (const char* key : {"from", "window"}) v.unbuilt(key);
}

template <class V>
void describe(V& v, RetryAfter& r) {
  v.field("min", r.min, Duration{}, "Shortest Retry-After that clients are told.");
  v.field("max", r.max, Duration{}, "Longest Retry-After that clients are told.");
}

inline const Many<Text> media_types{{check_media_type, "^[^/ ]+/[^/ ]+$"}};

template <class V>
void describe_success(V& v, Success& s) {
  v.list("status", s.status, Statuses{}, "Statuses and ranges of statuses.");
  v.list("content_types", s.content_types, media_types,
         "Media types, such as text/* or application/*+json. Default: any.");
  v.field("body_matches", s.body_matches, Text{check_pattern},
          "Pattern (RE2) that must be found in the first 64 KiB of the body.");
  v.field("body_excludes", s.body_excludes, Text{check_pattern},
          "Pattern (RE2) that must not be found in the first 64 KiB of the body.");
  v.any("json", s.json,
        "Values that a JSON body must have within its first 64 KiB: { /pointer: value }.",
        AnyShape::pointers);
}

template <class V>
void describe(V& v, Follow& f) {
  v.toggle(f.enabled);
  v.list("headers", f.headers, Many<Text>{{check_header_name}, false},
         "Headers of a 202 that say where to ask how far the call is; the first that is there.");
  v.field("interval", f.interval, Duration{},
          "Time until it is asked, doubled each time. Retry-After counts instead, within "
          "interval and max_interval.");
  v.field("max_interval", f.max_interval, Duration{},
          "Longest time from one question to the next.");
  v.field("status", f.status, Text{check_json_pointer, "^(/.*)?$"},
          "JSON Pointer to the word in an answer of 200 that says how far the call is.");
  v.list(
      "pending", f.pending, Many<Text>{{check_field_text}},
      "Words that mean: not done yet, in capitals or not. Empty: an answer of 200 is the result.");
  v.list("failed", f.failed, Many<Text>{{check_field_text}},
         "Words that mean: it came to nothing. The job fails, with this answer as its result.");
  v.field("result", f.result, Text{check_json_pointer, "^(/.*)?$"},
          "JSON Pointer to the URL of the result, beside any other word.");
}

template <class V>
void describe(V& v, Async& a) {
  v.field("mode", a.mode, mode_words,
          "always: every call becomes a job; prefer: only with Prefer: respond-async; never: plain "
          "proxy.");
  v.field("wait", a.wait, Duration{Zero::allowed},
          "Hybrid: answer in line when the backend begins its answer by then, else 202. 0s: 202 at "
          "once.");
  v.field("dialect", a, Dialect{},
          "The wire form: native (poll answers 200, then 302 to the result) or location (202, then "
          "the result itself).");
  v.field("pending_status", a.pending_status, Choice{{200, 202}},
          "Status of a poll while pending.");
  v.field(
      "completion", a.completion, completion_words,
      "What a poll answers when the job is done: a redirect to the result, or the result itself.");
  v.field("redirect_status", a.redirect_status, Choice{{302, 303}},
          "Status of the redirect to the result.");
  v.group("success", "What counts as a success of the backend.",
          [&](auto& g) { describe_success(g, a.success); });
  v.section("follow", a.follow,
            "Whether a backend that answers 202 and the URL where it tells of the call is asked "
            "there until it has the result, which is the job's then. Default: its 202 is the "
            "result.");
  v.field("resend", a.resend, resend_words,
          "Whether a call that may have been executed is sent again: idempotent: when its method "
          "allows it; always; never.");
  v.field("job_timeout", a.job_timeout, Duration{},
          "From 202 to the final state, waiting and retries included.");
  v.field("queue_timeout", a.queue_timeout, Duration{},
          "Longest time in the queue before the first attempt. Default: job_timeout.");
  v.field("priority", a.priority, priority_words, "Whose turn it is among waiting jobs.");
  v.section("idempotency_key", a.idempotency_key, "How repeated submissions are recognised.");
  v.section("retry_after", a.retry_after, "Bounds of Retry-After.");
  v.entries(
      "labels", a.labels, label_names, RequestText{},
      "Names and values by which jobs can be found; 8 at most. A value that is missing, empty "
      "or longer than 128 bytes is left out.");
  v.group("retention", "How long what is left of a job is kept.", [&](auto& g) {
    g.field("result", a.retention_result, Duration{},
            "Job and result, after the end. Default: jobs.retention.result.");
  });
  for (const char* key : {"fairness_key", "concurrency", "owner", "callback"}) {
    v.unbuilt(key);
  }
}

template <class V>
void describe(V& v, Retry& r) {
  v.field("max_attempts", r.max_attempts, Count{1, 1000},
          "Attempts of one job, the first included.");
  v.list("on", r, RetryCauses{},
         "What is tried again: connect_failure, timeout, and statuses. Within what resend allows.");
  v.field("backoff", r.backoff, Duration{},
          "Pause before the second attempt; doubles, with jitter.");
  v.field("max_backoff", r.max_backoff, Duration{}, "Longest pause between attempts.");
}

template <class V>
void describe(V& v, HeaderChanges& h) {
  v.entries("rename", h.rename, changed_fields, Text{check_changed_field},
            "Fields and the names that they get, before anything else is done.");
  v.list("remove", h.remove, Many<Text>{{check_removed_field}},
         "Fields that are taken out: X-Debug, or X-Internal-* for all that begin so.");
  v.entries("set", h.set, changed_fields, RequestText{},
            "Fields that get this value instead of any that they have. Without the field if a "
            "value that is put in is missing.");
  v.entries("add", h.add, changed_fields, RequestText{}, "Fields that are there once more.");
  v.entries("default", h.default_, changed_fields, RequestText{},
            "Fields that get this value if they are not there.");
}

template <class V>
void describe(V& v, RewriteCookies& c) {
  v.field("domain", c.domain, RequestText{},
          "Domain of cookies in place of the backend's own; empty: none, so that the cookie is the "
          "public host's alone.");
  v.entries("path", c.path, cookie_paths, Text{check_exact_path},
            "Beginnings of the path of cookies and what they become.");
}

template <class V>
void describe(V& v, ResponseHeaders& r) {
  describe(v, r.changes);
  v.field("rewrite_location", r.rewrite_location, Flag{},
          "Whether URLs of the backend in Location, Content-Location, Link and Refresh become "
          "public ones.");
  v.section("rewrite_cookies", r.rewrite_cookies, "What is changed in cookies of the backend.");
}

template <class V>
void describe(V& v, Rewrite& r) {
  v.field("host", r.host, RequestText{},
          "Host of the call; ${request.host}: as the client asked. Default: the server's own.");
  v.field("path", r.path, RequestText{},
          "Path of the call: /new/${path.name}. The query is kept unless this has one.");
}

template <class V>
void describe(V& v, RouteLimits& l) {
  v.field("body", l.body, Size{}, "Size of a request body. Default: the listener's.");
}

template <class V>
void describe(V& v, ValueRule& r) {
  v.shorthand(r, ValueRuleText{});
  v.field("required", r.required, Flag{}, "Whether it must be there.");
  v.field("pattern", r.pattern, Text{check_pattern},
          "Pattern (RE2) of each whole value. Default: any value.");
}

template <class V>
void describe(V& v, Validate& c) {
  v.list("content_types", c.content_types, media_types,
         "Media types of a body, such as application/*+json; beyond them 415. Default: any.");
  v.named("headers", c.headers, ValueRule{}, field_names,
          "What headers must be, by name: required, a pattern, or both as a map.");
  v.named("query", c.query, ValueRule{}, parameter_names,
          "What query parameters must be, by name: required, a pattern, or both as a map.");
  v.field("json_schema", c.json_schema, Text{check_file_path},
          "File with the JSON Schema (draft 7) of the body; beside this file if not absolute.");
}

template <class V>
void describe(V& v, Authorize& a) {
  v.field("url", a.url, Text{check_call_url, "^https?://[^/?#@ ]+(/[!-\"$-~]*)?$"},
          "The service that is asked: http[s]://host[:port]/path. 2xx: the call goes on; any other "
          "answer is the client's.");
  v.field("upstream", a.upstream, Text{check_name},
          "Instead of url: the upstream that is asked, the backend itself for one. Each question "
          "takes one of its slots.");
  v.field("path", a.path, Text{check_call_path, "^/[!-~]*$"}, "What that upstream is asked for.");
  v.field("method", a.method, Text{check_method, "^[A-Z][A-Z-]*$"},
          "Method of the question, which never has a body.");
  v.field("timeout", a.timeout, Duration{},
          "For the whole answer. Beyond it, and without a valid answer, the client gets 503.");
  v.list("copy_headers", a.copy_headers, Many<Text>{{check_copied_field}},
         "Fields of a positive answer that are put onto the call. What the client sent under these "
         "names is always taken out.");
  v.field("polls", a.polls, Flag{},
          "Whether each request for a job of this route, its result, or its end is asked about "
          "too.");
  v.field("cache", a.cache, Duration{Zero::allowed},
          "How long a positive answer is good for the same question, 1m at most. 0s: it is not "
          "remembered.");
}

template <class V>
void describe(V& v, PatchOperation& o) {
  v.field("op", o.op, patch_op_words, "What is done (RFC 6902).", Use::required);
  v.field("path", o.path, Text{check_json_pointer, "^(/.*)?$"},
          "JSON Pointer to what is changed; empty: the whole document.", Use::required);
  v.field("from", o.from, Text{check_json_pointer, "^(/.*)?$"},
          "JSON Pointer to what is moved or copied.");
  v.any("value", o.value, "The value to add, to put in place or to compare with.");
  v.field("optional", o.optional, Flag{},
          "Whether the operation is skipped where what it speaks of is missing.");
}

template <class V>
void describe(V& v, Replacement& r) {
  v.field("from", r.from, Text{check_needle}, "Text to look for, as bytes.", Use::required);
  v.field("to", r.to, RequestText{}, "Text to put in its place.", Use::required);
}

template <class V>
void describe(V& v, BodyRules& b) {
  v.list("content_types", b.content_types, media_types,
         "Media types of the bodies that are changed. Default: JSON for json_patch and "
         "merge_patch; text, JSON, XML and JavaScript for replace.");
  v.field("max_size", b.max_size, Size{kib, gib},
          "Longest body that json_patch and merge_patch can change; it is held in memory.");
  v.field("on_failure", b.on_failure, on_failure_words,
          "What becomes of a body that the rules cannot change: pass it on as it is, or refuse.");
  v.items("json_patch", b.json_patch, PatchOperation{}, "Operations of RFC 6902, in order.",
          Use::optional);
  v.any("merge_patch", b.merge_patch, "A merge patch (RFC 7386); after json_patch.");
  v.items("replace", b.replace, Replacement{},
          "Texts to replace, in bodies of any size; after the others.", Use::optional);
}

template <class V>
void describe(V& v, Document& d) {
  v.field("content_type", d.content_type, Text{check_content_type, "^[^/ ]+/[^/ ]+"},
          "Its Content-Type, such as 'text/xml; charset=utf-8'. Default: application/json. What is "
          "put into a text is escaped as this type needs.");
  v.any("json", d.json, "The document: any value, whose strings may hold ${...}.");
  v.field("text", d.text, RequestText{true}, "The document as a text that may hold ${...}.");
}

template <class V>
void describe(V& v, StateWords& s) {
  const Text word{check_state_word, "."};
  v.field("queued", s.queued, word, "Of a job that waits.");
  v.field("running", s.running, word, "Of a job whose call is under way.");
  v.field("succeeded", s.succeeded, word, "Of a job that ended well.");
  v.field("failed", s.failed, word, "Of a job that failed.");
  v.field("canceled", s.canceled, word, "Of a job that was canceled.");
}

template <class V>
void describe(V& v, Documents& d) {
  v.section("accepted", d.accepted, "The body of the 202.");
  v.section("status", d.status, "What a poll is shown, pending or final.");
  v.section("error", d.error, "What a client is shown of every error that is ours.");
  v.section("states", d.states, "The words of ${job.status}.");
}

template <class V>
void describe(V& v, Cors& c) {
  v.list("allow_origins", c.allow_origins, Many<Text>{{check_allowed_origin}},
         "Origins whose pages may call: https://app.example.com, https://*.example.com for every "
         "host one label below, or * for all.");
  v.field("allow_credentials", c.allow_credentials, Flag{},
          "Whether their calls may carry cookies and Authorization. Not with *.");
  v.list("allow_headers", c.allow_headers, Many<Text>{{check_header_name}},
         "Fields that their requests may have. Default: whichever they ask for.");
  v.list("expose_headers", c.expose_headers, Many<Text>{{check_header_name}},
         "Fields of answers that they may read, beside Location, Retry-After and ETag.");
  v.field("max_age", c.max_age, Duration{Zero::allowed},
          "How long a browser may remember the answer to its preflight.");
}

template <class V>
void describe(V& v, Route& r) {
  v.field("name", r.name, Text{check_label}, "Label in logs and metrics. Default: the match.",
          Use::own);
  v.section("match", r.match, "Which requests take this route. The most specific route wins.",
            Use::required);
  v.field("upstream", r.upstream, Text{check_name}, "Name of the upstream that is called.");
  v.section("async", r.async, "When and how calls become jobs.");
  v.section("retry", r.retry, "When a job's call is tried again.");
  v.section("limits", r.limits, "Limits of requests on this route.");
  v.section("validate", r.validate, "What is asked of requests before anything is stored.");
  v.section("authorize", r.authorize, "Who is asked whether a call may go on.");
  v.section("rewrite", r.rewrite, "What the backend is asked for.");
  v.section("request_headers", r.request_headers, "What is changed in the header of calls.");
  v.section("response_headers", r.response_headers, "What is changed in the header of answers.");
  v.section("request_body", r.request_body, "What is changed in the bodies of calls.");
  v.section("response_body", r.response_body, "What is changed in the bodies of responses.");
  v.section("documents", r.documents,
            "What clients are shown in place of our own documents: templates.");
  v.section("cors", r.cors, "Which pages of other origins may use this route from a browser.");
}

}  // namespace raincheck::config
