#include "proxy/tls.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <array>

#include "proxy/certificates.hpp"
#include "proxy/connection.hpp"

namespace raincheck::proxy {
namespace {

constexpr std::size_t record_max = SSL3_RT_MAX_PLAIN_LENGTH;

// The first record's worth of `parts` in one piece, so that head and body are one record. A write
// that has to be tried again finds the same bytes at another place, which is allowed.
std::string_view gather(const Parts& parts) {
  static thread_local std::array<char, record_max> gathered;
  std::size_t size = 0;
  for (const std::string_view part : parts.all()) {
    if (size == 0 && part.size() >= std::min(parts.size(), record_max)) {
      return part.substr(0, record_max);
    }
    size += part.copy(gathered.data() + size, record_max - size);
  }
  return {gathered.data(), size};
}

}  // namespace

std::string take_openssl_error() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* const reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason ? reason : "";
}

Tls::Tls(Connection& connection, OpensslPtr<SSL> ssl, std::string received)
    : connection_(connection), ssl_(std::move(ssl)), received_(std::move(received)) {
  BIO* const bio = BIO_new(socket_method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
}

Tls::~Tls() = default;

const BIO_METHOD* Tls::socket_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    BIO_meth_set_read(made, receive);
    BIO_meth_set_write(made, send);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

int Tls::receive(BIO* bio, char* into, int size) {
  Tls& tls = *static_cast<Tls*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const auto room = static_cast<std::size_t>(size);
  if (!tls.received_.empty()) {
    const std::size_t taken = tls.received_.copy(into, room);
    tls.received_.erase(0, taken);
    return static_cast<int>(taken);
  }
  const Transfer transfer = tls.connection_.receive({into, room});
  if (transfer.size != 0) return static_cast<int>(transfer.size);
  if (transfer.io == Io::end) return 0;
  if (transfer.io == Io::ok) BIO_set_retry_read(bio);
  return -1;
}

int Tls::send(BIO* bio, const char* bytes, int size) {
  Tls& tls = *static_cast<Tls*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const Transfer transfer = tls.connection_.send(Parts({bytes, static_cast<std::size_t>(size)}));
  if (transfer.size != 0) return static_cast<int>(transfer.size);
  if (transfer.io == Io::ok) BIO_set_retry_write(bio);
  return -1;
}

long Tls::control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

Tls::Handshake Tls::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    is_established_ = true;
    // What came along with the end of the handshake: no event tells of it again.
    if (SSL_has_pending(ssl_.get()) == 1) connection_.readable_ = true;
    if (SSL_is_server(ssl_.get()) == 1) {
      const OpensslPtr<X509> certificate(SSL_get1_peer_certificate(ssl_.get()));
      if (certificate) client_certificate_ = client_certificate_lines(*certificate);
    }
    return Handshake::done;
  }
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ) return Handshake::wants_read;
  if (error == SSL_ERROR_WANT_WRITE) return Handshake::wants_write;
  fail(error);
  return Handshake::failed;
}

Transfer Tls::read(std::span<char> into) {
  if (!why_.empty()) return {Io::reset, 0};
  ERR_clear_error();
  std::size_t size = 0;
  const int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &size);
  if (result != 1) {
    const Io io = outcome(result, SSL_ERROR_WANT_WRITE);
    // An end is there to be read again.
    connection_.readable_ = io != Io::ok;
    return {io, 0};
  }
  // What was read ahead: no event tells of it again.
  if (SSL_has_pending(ssl_.get()) == 1) connection_.readable_ = true;
  return {Io::ok, size};
}

Transfer Tls::write(const Parts& parts) {
  if (!why_.empty()) return {Io::reset, 0};
  if (parts.empty()) return {Io::ok, 0};
  ERR_clear_error();
  const std::string_view bytes = gather(parts);
  std::size_t size = 0;
  const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size);
  if (result == 1) return {Io::ok, size};
  const Io io = outcome(result, SSL_ERROR_WANT_READ);
  connection_.writable_ = false;
  return {io == Io::end ? Io::reset : io, 0};
}

Tls::Look Tls::look() {
  if (!why_.empty()) return Look::end;
  ERR_clear_error();
  char byte = 0;
  std::size_t size = 0;
  const int result = SSL_peek_ex(ssl_.get(), &byte, 1, &size);
  const Io io = result == 1 ? Io::ok : outcome(result, SSL_ERROR_WANT_WRITE);
  connection_.readable_ = result == 1 || io != Io::ok;
  if (io != Io::ok) return Look::end;
  return result == 1 ? Look::data : Look::nothing;
}

// Of what did not succeed: ok, it has to be tried again; else what the connection came to.
Io Tls::outcome(int result, int crossed) {
  const int error = SSL_get_error(ssl_.get(), result);
  switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      is_crossed_ = error == crossed;
      return Io::ok;
    case SSL_ERROR_ZERO_RETURN:
      return Io::end;
    default:
      fail(error);
      return Io::reset;
  }
}

void Tls::fail(int error) {
  const long verified = SSL_get_verify_result(ssl_.get());
  const bool is_client = SSL_is_server(ssl_.get()) == 0;
  if (!is_established_) failure_ = handshake_failure(verified, ERR_peek_error());
  if (!is_established_ && verified != X509_V_OK) {
    why_ = certificate_problem(verified);
    ERR_clear_error();
  } else if (error == SSL_ERROR_SYSCALL) {
    why_ = is_established_ ? "the TLS stream was cut off, without close_notify"
                           : "the connection ended within the TLS handshake";
  } else {
    is_refused_ = is_client && refuses_certificate(ERR_peek_error());
    why_ = handshake_problem(take_openssl_error());
  }
}

// A session that was resumed has no chain: who needs one has to make a whole handshake.
bool Tls::is_let_in_by(const SSL_CTX& rules) const {
  const int mode = SSL_CTX_get_verify_mode(&rules);
  if ((mode & SSL_VERIFY_PEER) == 0) return true;
  const OpensslPtr<X509> certificate(SSL_get1_peer_certificate(ssl_.get()));
  if (!certificate) return (mode & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) == 0;
  const OpensslPtr<X509_STORE_CTX> verifying(X509_STORE_CTX_new());
  const bool is_good =
      X509_STORE_CTX_init(verifying.get(), SSL_CTX_get_cert_store(&rules), certificate.get(),
                          SSL_get_peer_cert_chain(ssl_.get())) == 1 &&
      X509_STORE_CTX_set_default(verifying.get(), "ssl_client") == 1 &&
      X509_verify_cert(verifying.get()) == 1;
  ERR_clear_error();
  return is_good;
}

bool Tls::end() {
  if (!is_established_ || !why_.empty()) return true;
  ERR_clear_error();
  const int result = SSL_shutdown(ssl_.get());
  return result >= 0 || SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_WRITE;
}

std::string_view Tls::version() const {
  return SSL_get_version(ssl_.get());
}

OpensslPtr<SSL_SESSION> Tls::session() const {
  OpensslPtr<SSL_SESSION> session(SSL_get1_session(ssl_.get()));
  if (session && SSL_SESSION_is_resumable(session.get()) == 0) session.reset();
  return session;
}

}  // namespace raincheck::proxy
