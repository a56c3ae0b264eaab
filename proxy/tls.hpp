// TLS on one connection, in place of its plain reads and writes: between a Connection, which owns
// it and whose socket it uses, and whoever reads and writes there. Never waits: what the socket
// does not take or have now is tried again when the Connection hears of it. Lives on the shard.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "proxy/handshake_failure.hpp"
#include "proxy/openssl.hpp"

namespace raincheck::proxy {

class Connection;
class Parts;
struct Transfer;
enum class Io : std::uint8_t;

class Tls {
 public:
  // `ssl` is set up to accept or to connect. `received` is what was read from the socket already.
  Tls(Connection& connection, OpensslPtr<SSL> ssl, std::string received);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  enum class Handshake : std::uint8_t { done, wants_read, wants_write, failed };
  Handshake shake_hands();

  // Connection::try_read() and try_write(), after the handshake. An end without close_notify is no
  // end but Io::reset: the stream may have been cut off by anybody. Up to 16 KiB become one record.
  Transfer read(std::span<char> into);
  Transfer write(const Parts& parts);
  // What there is to read, with whatever of TLS's own comes before it read over.
  enum class Look : std::uint8_t { nothing, data, end };
  Look look();
  // Says that nothing more is sent (close_notify). False: the socket does not take it now.
  bool end();

  // Something waits for the socket to do the opposite of what was asked for.
  bool is_crossed() const { return is_crossed_; }
  // Why the handshake or the connection failed, in words; empty: it did not.
  const std::string& why() const { return why_; }
  // Likewise in one word, of a handshake that a client began and that failed.
  HandshakeFailure failure() const { return failure_; }
  // The server does not take our certificate, or wants one: it has read nothing of what was sent.
  // In TLS 1.3 it says so when our handshake is over already.
  bool is_refused() const { return is_refused_; }
  // "TLSv1.3".
  std::string_view version() const;
  // Of the client, verified: client_certificate_lines(). Empty: it has shown none.
  const std::string& client_certificate() const { return client_certificate_; }
  // Whether a listener with these rules would have let this client in, with its certificate or
  // without one. After the handshake.
  bool is_let_in_by(const SSL_CTX& rules) const;
  // What the next connection to the same server resumes; null: not yet known.
  OpensslPtr<SSL_SESSION> session() const;

 private:
  static const BIO_METHOD* socket_method();
  static int receive(BIO* bio, char* into, int size);
  static int send(BIO* bio, const char* bytes, int size);
  static long control(BIO* bio, int command, long, void*);

  Io outcome(int result, int crossed);
  void fail(int error);

  Connection& connection_;
  const OpensslPtr<SSL> ssl_;
  std::string received_;
  std::string why_;
  HandshakeFailure failure_ = HandshakeFailure::closed;
  std::string client_certificate_;
  bool is_established_ = false;
  bool is_crossed_ = false;
  bool is_refused_ = false;
};

}  // namespace raincheck::proxy
