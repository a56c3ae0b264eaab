// What a route does to bodies: `request_body` and `response_body` of the configuration, compiled.
// JSON rules need the whole body, text substitution streams. The order is json_patch, merge_patch,
// replace. Immutable, any thread; the bytes are the caller's to read and send.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/content_coding.hpp"
#include "routes/json_patch.hpp"
#include "routes/json_template.hpp"
#include "routes/replacer.hpp"
#include "routes/route_problem.hpp"
#include "routes/template.hpp"

namespace raincheck::routes {

struct BodyPlan;

// What the rules of a route put into the bodies of one request or its answer.
struct BodyValues {
  JsonPatch::Rendered patch;
  std::optional<Json> merge;         // nothing: the merge patch is passed over
  std::vector<std::string> replace;  // one for each replacement
};

class BodyRules {
 public:
  BodyRules() = default;  // changes nothing

  // `setting` is the name of the rules within their route: "request_body" or "response_body".
  static BodyRules compile(const config::BodyRules& rules,
                           const std::string& setting,
                           const Scope& scope,
                           std::vector<RuleProblem>& problems);

  bool is_empty() const { return !has_json_rules() && needles_.size() == 0; }
  std::uint64_t max_size() const { return config_.max_size; }
  // What they cannot be applied to is refused, not passed on as it is.
  bool refuses() const { return config_.on_failure == config::OnFailure::refuse; }

  enum class Outcome : unsigned char {
    done,
    refused,     // the request lacks a value, and the route refuses what its rules cannot change
    unreadable,  // a secret cannot be read now
  };

  // What a rewriter of that plan puts in. Where the request has no value and the rule no default,
  // that operation, the whole merge patch or that replacement is passed over, and `why` says so,
  // for the log. Not done: the body must not be sent on, and `why` says why. Of a job's request at
  // each attempt, so that secrets are read then and never stored; of its answer before that is
  // stored, for the request may be erased then.
  [[nodiscard]] Outcome render(const BodyPlan& plan,
                               const Values& values,
                               BodyValues& out,
                               std::string& why) const;

 private:
  friend class BodyRewriter;
  friend struct BodyPlan;

  bool has_json_rules() const { return !patch_.is_empty() || merge_.has_value(); }
  void render_json(const Values& values, BodyValues& out, Unapplied& unapplied) const;
  void render_texts(const Values& values, Form form, BodyValues& out, Unapplied& unapplied) const;

  config::BodyRules config_;
  JsonPatch patch_;
  std::optional<JsonTemplate> merge_;
  Needles needles_;
  std::vector<Template> texts_;  // one for each needle
};

// The form of what is put into a body of that media type.
Form form_of(std::string_view media_type);
// Text without a structure that a value could change.
bool is_plain_text(std::string_view media_type);

// What is known of a message before its body.
struct BodyFacts {
  std::string_view content_type;
  std::string_view content_encoding;
  bool is_partial = false;  // it has a Content-Range, or status 206
};

struct BodyPlan {
  enum class Way : unsigned char {
    untouched,  // no rule applies, or none can be applied and the route lets such a body pass
    whole,      // collect up to max_size() bytes, then BodyRewriter::rewrite()
    streamed,   // BodyRewriter::write() and finish()
    refused,    // no rule can be applied, and the route refuses such a body
  };
  static BodyPlan make(const BodyRules& rules, const BodyFacts& facts);

  Way way = Way::untouched;
  bool has_json = false;   // the JSON rules apply
  bool has_text = false;   // the text rules apply
  Form form = Form::text;  // of what they put in, so that no value breaks out of its place
  ContentCoding coding = ContentCoding::identity;
  std::string why;  // for the log, if a rule should apply and cannot
  int status = 0;   // then, for who sent the body: 415, or 422

  // The body becomes another one, or should.
  bool changes() const { return way == Way::whole || way == Way::streamed; }
};

// One body on its way. The rules must outlive it.
class BodyRewriter {
 public:
  // The values are those that the rules rendered for this plan.
  BodyRewriter(const BodyRules& rules, const BodyPlan& plan, BodyValues values);

  // A whole body. Without a new one `why` says what the matter is, and `is_refused` what the route
  // wants then: that the old one is passed on, or refused.
  struct Rewritten {
    std::optional<std::string> body;
    std::string why;
    bool is_refused = false;
    int status = 0;  // for who sent it: 413 too long, 415 not in its coding, 422
  };
  Rewritten rewrite(std::string_view body);
  // What became longer than max_size() and so cannot be rewritten.
  Rewritten too_long() const;
  // What write() or finish() says against.
  Rewritten undecodable(std::string why) const;

  // A body in pieces. What is returned says why the body cannot be decoded; empty: all is well.
  // Something may have been sent by then, so the message can only be cut short.
  std::string write(std::string_view in, std::string& out);
  void flush(std::string& out);  // lets the receiver see what was written, in a slow stream
  std::string finish(std::string& out);

 private:
  enum class End : unsigned char { open, flushed, finished };

  template <class Take>
  std::string decode(std::string_view in, const Take& take);
  void encode(std::string_view in, End end, std::string& out);
  bool is_complete() const;
  Rewritten failed(int status, std::string why) const;
  std::string change_json(std::string& text) const;
  std::string replace_texts(std::string& text);

  const BodyRules& rules_;
  const BodyPlan plan_;
  const BodyValues values_;
  std::optional<Replacer> replacer_;
  const std::unique_ptr<ContentDecoder> decoder_;  // null: the body is not coded
  const std::unique_ptr<ContentEncoder> encoder_;
  bool has_begun_ = false;
};

}  // namespace raincheck::routes
