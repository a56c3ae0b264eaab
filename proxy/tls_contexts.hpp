// What one configuration says of TLS, read from its files and made ready: who each listener is and
// whom it lets in, and which servers each upstream believes. Built on whichever thread loads a
// configuration, with everything that is wrong; immutable then, and used from all shards. Owned by
// the Site, which every handshake belongs to and must end before; connections may outlive it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "proxy/certificates.hpp"
#include "proxy/tls.hpp"
#include "proxy/tls_tickets.hpp"

namespace raincheck::proxy {

struct TlsProblem {
  config::Place place;
  std::string path;
  std::string message;
  bool is_warning = false;  // it can serve all the same
};

// When a certificate of ours expires, or a CRL has to be renewed; one for each file.
struct Expiry {
  std::string name;  // its file, without "." and ".."
  jobs::WallTime at;
};

// They are told of so long before. A CRL is renewed much more often.
constexpr std::chrono::hours expires_soon{14 * 24};
constexpr std::chrono::hours crl_expires_soon{24};

// A listener's.
class ServerTls {
 public:
  // For one connection of a client.
  OpensslPtr<SSL> accept() const;
  // Whether a client that was let in under an earlier configuration may stay.
  bool lets_in(const Tls& tls) const { return tls.is_let_in_by(*contexts_.front()); }

 private:
  friend class TlsContexts;

  static int on_server_name(SSL* ssl, int*, void* tls);

  std::vector<OpensslPtr<SSL_CTX>> contexts_;  // one for each certificate
  ServerNames names_;
  std::unique_ptr<TicketKeys> tickets_ = std::make_unique<TicketKeys>();
};

// An upstream's.
class ClientTls {
 public:
  // For one connection to `server`. `resumed` may be null.
  OpensslPtr<SSL> connect(const config::Server& server, SSL_SESSION* resumed) const;

 private:
  friend class TlsContexts;

  OpensslPtr<SSL_CTX> context_;
  std::string server_name_;  // empty: the server's host
};

class TlsContexts {
 public:
  // The whole content of a file; nothing: it cannot be read.
  using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

  TlsContexts(const config::Config& config, const ReadFile& read, jobs::WallTime now);

  // With an error among them, this must not serve.
  const std::vector<TlsProblem>& problems() const { return problems_; }
  // Null: it speaks no TLS. By the index in Config.
  const ServerTls* of_listener(std::size_t index) const { return listeners_[index].get(); }
  const ClientTls* of_upstream(std::size_t index) const { return upstreams_[index].get(); }
  const std::vector<Expiry>& expiries() const { return expiries_; }
  const std::vector<Expiry>& crl_expiries() const { return crl_expiries_; }
  // Warns of those that expire soon.
  void log_expiries(jobs::WallTime now) const;

 private:
  class Builder;

  std::vector<std::unique_ptr<ServerTls>> listeners_;
  std::vector<std::unique_ptr<ClientTls>> upstreams_;
  std::vector<Expiry> expiries_;
  std::vector<Expiry> crl_expiries_;
  std::vector<TlsProblem> problems_;
};

}  // namespace raincheck::proxy
