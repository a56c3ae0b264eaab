// What a route does to bodies: `response_body` and `request_body` of the configuration, compiled.
// JSON rules need the whole body, text substitution streams. The order is json_patch, merge_patch,
// replace. Immutable, any thread; the bytes are the caller's to read and send.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "routes/content_coding.hpp"
#include "routes/json_patch.hpp"
#include "routes/json_template.hpp"
#include "routes/replacer.hpp"

namespace raincheck::routes {

class BodyRules {
 public:
  BodyRules() = default;  // changes nothing
  explicit BodyRules(const config::BodyRules& rules);

  bool is_empty() const { return !has_json_rules() && needles_.size() == 0; }
  // The texts with ${...}, in the order in which a rewriter wants what they stand for.
  std::vector<std::string> texts() const;
  std::uint64_t max_size() const { return config_.max_size; }

 private:
  friend class BodyRewriter;
  friend struct BodyPlan;

  bool has_json_rules() const { return !patch_.is_empty() || merge_.has_value(); }

  config::BodyRules config_;
  JsonPatch patch_;
  std::optional<JsonTemplate> merge_;
  Needles needles_;
};

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
  bool has_json = false;  // the JSON rules apply
  bool has_text = false;  // the text rules apply
  ContentCoding coding = ContentCoding::identity;
  std::string why;  // for the log, if a rule should apply and cannot
};

// One body on its way. The rules must outlive it.
class BodyRewriter {
 public:
  // One value for each of rules.texts().
  BodyRewriter(const BodyRules& rules, const BodyPlan& plan, std::vector<std::string> values);

  // A whole body. Without a new one `why` says what the matter is, and `is_refused` what the route
  // wants then: that the old one is passed on, or refused.
  struct Rewritten {
    std::optional<std::string> body;
    std::string why;
    bool is_refused = false;
  };
  Rewritten rewrite(std::string_view body);
  // What became longer than max_size() and so cannot be rewritten.
  Rewritten too_long() const;

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
  Rewritten failed(std::string why) const;
  std::string change_json(std::string& text) const;

  const BodyRules& rules_;
  const BodyPlan plan_;
  const std::vector<std::string> values_;
  std::optional<Replacer> replacer_;
  const std::unique_ptr<ContentDecoder> decoder_;  // null: the body is not coded
  const std::unique_ptr<ContentEncoder> encoder_;
  bool has_begun_ = false;
};

}  // namespace raincheck::routes
