// One request of a client and its response: read it through the gate, find who answers it, answer.
// What the answers are is in submit.cpp (jobs), forward.cpp (plain calls) and job_endpoints.cpp
// (status and result); this class gives them the request and takes the response. A Session has one
// while it is not idle, from its shard's pool; lives on the shard.
#pragma once

#include <string>
#include <string_view>

#include "proxy/body_decoder.hpp"
#include "proxy/connection.hpp"
#include "proxy/fields.hpp"
#include "proxy/input_buffer.hpp"
#include "proxy/pace.hpp"
#include "proxy/pinned.hpp"
#include "proxy/request_parser.hpp"
#include "proxy/services.hpp"
#include "routes/path.hpp"

namespace raincheck::proxy {

// A problem (RFC 9457) as an answer. `type` is a word of the closed list; `reason` the access
// log's.
struct Problem {
  // A constructor, not an aggregate: g++ 12 destroys those twice in a statement with co_await.
  Problem() = default;
  Problem(int of_status,
          const char* of_type,
          std::string text,
          const char* why = nullptr,
          std::string more = {})
      : status(of_status),
        type(of_type),
        detail(std::move(text)),
        reason(why),
        fields(std::move(more)) {}

  int status = 500;
  const char* type = "internal";
  std::string detail;
  const char* reason = nullptr;  // default: type
  std::string fields;            // further fields of the answer, "Name: value\r\n" each
  std::string errors;    // a JSON array: each thing that is wrong; empty: detail says it all
  std::string instance;  // default: the id of the request
};

// The client's side of a connection, as its Session holds it.
struct ClientConnection {
  ClientConnection(const config::Listener& of, Descriptor socket, ShardContext& shard)
      : listener(&of),
        connection(std::move(socket), shard.timers, shard.readiness),
        input(shard.buffers) {}

  const config::Listener* listener;  // of the configuration that serves
  Connection connection;
  InputBuffer input;
  PinnedConnections pinned;
  std::string peer;
  bool peer_trusted = false;
  bool last = false;       // no further request is read from it
  bool is_misled = false;  // it speaks plain HTTP where TLS is spoken
  bool is_older = false;   // than the configuration that serves: whom its listener lets in, it says
};

class Transaction {
 public:
  explicit Transaction(Services& services) : services_(services) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // The next request, of which at least a byte is there or coming. False: the connection is at its
  // end.
  awaitable<bool> serve(ClientConnection& client);

  // For the handlers.
  Services& services() { return services_; }
  const RequestHead& head() const { return parser_.head(); }
  const routes::Target& target() const { return target_; }
  const std::string& request_id() const { return request_id_; }
  // Of the trace that the request belongs to; empty: to none.
  std::string_view trace_id() const;
  Identity identity() const;
  // As far as it can be believed.
  const std::string& client_address() const { return address_; }
  // The request in the form in which jobs keep it: "METHOD target\r\n" and its end-to-end fields,
  // with ours.
  void append_stored(std::string& out) const;
  const config::Listener& listener() const { return *client_->listener; }
  Connection& connection() { return client_->connection; }
  const Connection& connection() const { return client_->connection; }
  InputBuffer& input() { return client_->input; }
  PinnedConnections& pinned() { return client_->pinned; }
  TimePoint arrived() const { return arrived_; }

  // The body may be this long; a longer one is answered 413.
  void limit_body(std::uint64_t bytes) { body_max_ = bytes; }
  // False if Content-Length alone says that it is over the limit.
  bool body_fits() const {
    return head().framing != Framing::length || head().content_length <= body_max_;
  }
  bool has_body() const { return head().framing != Framing::none; }
  // All of the body, when all of it was received along with the head and it is no longer than this;
  // without waiting.
  std::optional<std::string_view> body_at_hand(std::uint64_t size_max = UINT64_MAX);
  // The next piece, valid until the next call; empty at the end. Asks for it (100 Continue) when
  // the client waits.
  awaitable<jobs::Result<std::string_view>> read_body();
  bool body_done() const { return body_done_; }
  // The next read_body() finds bytes that were received already.
  bool has_more_at_hand() const { return client_->input.view().size() > to_consume_; }
  // What follows the head in input() is not HTTP.
  void take_head();

  // One answer with a body in memory, sent when the handler returns. `fields` are
  // "Name: value\r\n" each; framing and connection fields are added.
  void respond(int status, std::string_view fields, std::string_view body);
  void respond(const Problem& problem);
  // An answer piece by piece: the head, which says how the body is framed and goes out with the
  // first piece, or before it with flush(); ...
  enum class Length { known, chunked, none };
  void begin_response(int status,
                      std::string_view reason,
                      std::string_view fields,
                      Length length,
                      std::uint64_t size = 0);
  awaitable<Io> flush();
  // ... then the pieces, and the end, which is sent when the handler returns. A body that cannot be
  // finished: cut_short().
  awaitable<Io> write_piece(std::string_view piece);
  void end_response();
  void cut_short();
  // The head of a 101; what follows is not HTTP.
  awaitable<Io> begin_tunnel(std::string_view fields);
  // True if chunked framing can be used with this client.
  bool speaks_chunked() const { return head().minor_version >= 1; }
  bool response_begun() const { return status_ != 0; }

  // Fields that the answer gets whoever makes it, "Name: value\r\n" each.
  std::string more_fields;
  // The answer tells a browser what `cors` says, whatever its backend told. Null: it tells nothing.
  void set_cors(const routes::Cors* cors) { cors_ = cors && !cors->is_empty() ? cors : nullptr; }

  // From now on the call has these fields, "Name: value\r\n" each, in place of any that the client
  // sent under `names`, which must outlive it.
  void copy_fields(const std::vector<std::string>& names, std::string lines) {
    copied_names_ = &names;
    copied_ = std::move(lines);
  }
  // Problems are shown as the documents of this route say. Null: as they are.
  void set_documents(const SiteRoute* route) { documents_of_ = route; }

  // For the access log and the metrics.
  void set_reason(const char* reason) { reason_ = reason; }
  void set_route(const SiteRoute& route);
  void set_job(std::string_view id) { job_id_.assign(id); }
  const std::string& job() const { return job_id_; }
  std::uint64_t bytes_out() const { return bytes_out_; }
  std::uint64_t body_bytes() const { return body_read_; }
  void add_bytes_out(std::uint64_t bytes) { bytes_out_ += bytes; }
  // The connection is not kept after this exchange.
  void close_after() { keep_alive_ = false; }

 private:
  void reset(ClientConnection& client);
  void keep_head();
  RequestLimits parser_limits() const;
  Parse parse_head();
  awaitable<bool> read_head();
  void begin_body();
  awaitable<void> dispatch();
  bool answer_preflight();
  routes::Asked asked() const;
  awaitable<void> no_route(const routes::RouteMatch& match);
  void identify();
  void identify_request();
  bool end();
  awaitable<void> linger();
  awaitable<Io> receive_body();
  awaitable<Io> write(Parts parts);
  jobs::Result<std::string_view> refuse_body(const Problem& problem);
  Problem too_large() const;
  std::size_t listener_index() const;
  bool is_let_in() const;
  void log();
  void count();
  void begin_fields(int status, std::string_view reason);
  void end_fields(int status, Length length, std::uint64_t size);

  Services& services_;
  ClientConnection* client_ = nullptr;
  RequestParser parser_;
  std::string kept_head_;
  BodyDecoder decoder_;
  TimePoint arrived_{};
  jobs::WallTime arrived_wall_{};
  std::string normalized_;
  routes::Target target_;
  std::string request_id_;
  std::string traceparent_;  // that we made
  std::string address_;      // of the client, as far as it can be believed
  std::uint64_t body_max_ = 0;
  std::uint64_t body_read_ = 0;
  Pace body_pace_;
  std::size_t to_consume_ = 0;
  bool body_done_ = true;
  bool continue_sent_ = false;
  bool keep_alive_ = true;
  std::string unsent_;    // of the response
  bool streams_ = false;  // the response is made piece by piece
  bool chunked_response_ = false;
  int status_ = 0;
  std::uint64_t bytes_out_ = 0;
  Pace answer_pace_;
  const char* reason_ = "ok";
  const SiteRoute* route_ = nullptr;
  const routes::Cors* cors_ = nullptr;
  const std::vector<std::string>* copied_names_ = nullptr;  // copy_fields()
  std::string copied_;
  const SiteRoute* documents_of_ = nullptr;
  std::string job_id_;
};

// Standard reason phrase of a status; empty for one that has none.
std::string_view reason_phrase(int status);

}  // namespace raincheck::proxy
