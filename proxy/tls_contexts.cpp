#include "proxy/tls_contexts.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "config/load.hpp"
#include "config/text.hpp"
#include "jobs/date.hpp"

namespace raincheck::proxy {
namespace {

// Mozilla's "intermediate" 5.8, without what this OpenSSL does not know.
constexpr const char* ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* groups = "X25519MLKEM768:X25519:P-256:P-384";
constexpr const char* older_groups = "X25519:P-256:P-384";

constexpr std::string_view http_1_1("\x08http/1.1", 9);

int on_alpn(SSL*,
            const unsigned char** out,
            unsigned char* out_size,
            const unsigned char* offered,
            unsigned offered_size,
            void*) {
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(
      &chosen, out_size, reinterpret_cast<const unsigned char*>(http_1_1.data()),
      static_cast<unsigned>(http_1_1.size()), offered, offered_size);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

OpensslPtr<SSL_CTX> make_context(const SSL_METHOD* method) {
  OpensslPtr<SSL_CTX> context(SSL_CTX_new(method));
  SSL_CTX* const made = context.get();
  SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
  SSL_CTX_set_options(made, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                             SSL_MODE_RELEASE_BUFFERS);
  // A record is read with one system call, not with two.
  SSL_CTX_set_read_ahead(made, 1);
  SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
  return context;
}

bool is_address(const std::string& host) {
  return config::parse_ip(host).has_value();
}

std::string date_of(jobs::WallTime time) {
  return jobs::http_date(time);
}

// One for each file, whatever listeners share it: the first end, if there are several in it.
void note(std::vector<Expiry>& all, const std::string& file, jobs::WallTime at) {
  const std::string name = std::filesystem::path(file).lexically_normal();
  const auto known = std::find_if(all.begin(), all.end(),
                                  [&name](const Expiry& each) { return each.name == name; });
  if (known == all.end()) {
    all.push_back({name, at});
  } else {
    known->at = std::min(known->at, at);
  }
}

void log_if_soon(std::string_view what,
                 const std::vector<Expiry>& all,
                 std::chrono::hours soon,
                 jobs::WallTime now) {
  for (const Expiry& expiry : all) {
    if (expiry.at > now + soon) continue;
    spdlog::warn("the {} in '{}' {} {}: renew it", what, expiry.name,
                 expiry.at > now ? "expires" : "has expired", date_of(expiry.at));
  }
}

// Who one is: a certificate with those between it and its CA, and its key.
struct OwnCertificate {
  std::vector<OpensslPtr<X509>> chain;
  OpensslPtr<EVP_PKEY> key;
};

// Of the certificates that one context shows.
struct ShownNames {
  std::vector<std::string> names;
  std::vector<int> key_types;
};

// Certificates for the same names with keys of different kinds (RSA, ECDSA) are one context's,
// which shows each client the one that it can verify. A number beyond the last: a new one.
std::size_t context_for(std::vector<ShownNames>& shown,
                        const std::vector<std::string>& names,
                        int key_type) {
  const auto found = std::find_if(shown.begin(), shown.end(), [&](const ShownNames& each) {
    return each.names == names && std::find(each.key_types.begin(), each.key_types.end(),
                                            key_type) == each.key_types.end();
  });
  const auto index = static_cast<std::size_t>(found - shown.begin());
  if (found == shown.end()) shown.push_back({names, {}});
  shown[index].key_types.push_back(key_type);
  return index;
}

}  // namespace

OpensslPtr<SSL> ServerTls::accept() const {
  OpensslPtr<SSL> ssl(SSL_new(contexts_.front().get()));
  SSL_set_accept_state(ssl.get());
  return ssl;
}

int ServerTls::on_server_name(SSL* ssl, int*, void* of) {
  const auto& tls = *static_cast<const ServerTls*>(of);
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const std::size_t chosen = name ? tls.names_.find(name) : 0;
  if (chosen != 0) SSL_set_SSL_CTX(ssl, tls.contexts_[chosen].get());
  return SSL_TLSEXT_ERR_OK;
}

OpensslPtr<SSL> ClientTls::connect(const config::Server& server, SSL_SESSION* resumed) const {
  OpensslPtr<SSL> ssl(SSL_new(context_.get()));
  const std::string& name = server_name_.empty() ? server.host : server_name_;
  if (is_address(name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), name.c_str());
  } else {
    // SSL_set_tlsext_host_name(), whose cast is refused here.
    SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(name.c_str()));
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl.get(), name.c_str());
  }
  if (resumed) SSL_set_session(ssl.get(), resumed);
  SSL_set_connect_state(ssl.get());
  return ssl;
}

// Reads the files, and keeps what is wrong.
class TlsContexts::Builder {
 public:
  Builder(TlsContexts& out, const ReadFile& read, jobs::WallTime now)
      : out_(out), read_(read), now_(now) {}

  std::unique_ptr<ServerTls> server(const config::ListenerTls& settings, const std::string& path);
  std::unique_ptr<ClientTls> client(const config::Upstream& upstream);

 private:
  void refuse(const config::FileName& file, const std::string& path, std::string message) {
    out_.problems_.push_back({file.place, path, std::move(message)});
  }
  void warn(const config::FileName& file, const std::string& path, std::string message) {
    out_.problems_.push_back({file.place, path, std::move(message), true});
  }
  std::optional<std::string> read(const config::FileName& file, const std::string& path);
  std::vector<OpensslPtr<X509>> certificates(const config::FileName& file, const std::string& path);
  std::optional<OwnCertificate> own_certificate(const config::FileName& cert_file,
                                                const config::FileName& key_file,
                                                const std::string& path);
  void use(SSL_CTX* context,
           const OwnCertificate& own,
           const config::FileName& cert_file,
           const std::string& path);
  void check_time(const X509& certificate, const config::FileName& file, const std::string& path);
  void set_server_options(SSL_CTX* context, const config::ListenerTls& settings);
  void add_client_cas(ServerTls& tls, const config::ListenerTls& settings, const std::string& path);
  void add_crls(X509_STORE* store, const config::FileName& file, const std::string& path);
  void check_time(const X509_CRL& list, const config::FileName& file, const std::string& path);
  void set_trusted(SSL_CTX* context, const config::UpstreamTls& settings, const std::string& path);

  TlsContexts& out_;
  const ReadFile& read_;
  const jobs::WallTime now_;
};

std::optional<std::string> TlsContexts::Builder::read(const config::FileName& file,
                                                      const std::string& path) {
  auto text = read_(file.path);
  if (!text) {
    refuse(file, path, "cannot read '" + file.path + "'" + config::why_unreadable(file.path));
  }
  return text;
}

// None: what is wrong was told.
std::vector<OpensslPtr<X509>> TlsContexts::Builder::certificates(const config::FileName& file,
                                                                 const std::string& path) {
  const auto text = read(file, path);
  if (!text) return {};
  auto all = read_certificates(*text);
  if (!all.empty()) return all;
  const std::string why = take_openssl_error();
  refuse(file, path,
         "'" + file.path + "' " +
             (why.empty() ? "holds no certificate in PEM" : "cannot be understood: " + why));
  return all;
}

void TlsContexts::Builder::check_time(const X509& certificate,
                                      const config::FileName& file,
                                      const std::string& path) {
  const jobs::WallTime end = not_after(certificate);
  note(out_.expiries_, file.path, end);
  if (end <= now_) {
    warn(file, path, "'" + file.path + "' has expired: it was valid until " + date_of(end));
  } else if (end <= now_ + expires_soon) {
    warn(file, path, "'" + file.path + "' expires soon: it is valid until " + date_of(end));
  }
}

// Nothing: what is wrong was told.
std::optional<OwnCertificate> TlsContexts::Builder::own_certificate(
    const config::FileName& cert_file, const config::FileName& key_file, const std::string& path) {
  OwnCertificate read_in;
  read_in.chain = certificates(cert_file, path + ".cert_file");
  const auto key_text = read(key_file, path + ".key_file");
  if (read_in.chain.empty() || !key_text) return std::nullopt;
  read_in.key = read_key(*key_text);
  if (!read_in.key) {
    refuse(key_file, path + ".key_file",
           "'" + key_file.path + "' holds no private key in PEM, or one with a passphrase");
    return std::nullopt;
  }
  const X509& certificate = *read_in.chain.front();
  if (X509_check_private_key(&certificate, read_in.key.get()) != 1) {
    refuse(key_file, path + ".key_file",
           "the key in '" + key_file.path + "' is not that of the certificate in '" +
               cert_file.path + "'");
    ERR_clear_error();
    return std::nullopt;
  }
  check_time(certificate, cert_file, path + ".cert_file");
  return read_in;
}

void TlsContexts::Builder::use(SSL_CTX* context,
                               const OwnCertificate& own,
                               const config::FileName& cert_file,
                               const std::string& path) {
  ERR_clear_error();
  const auto& chain = own.chain;
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, own.key.get()) != 1) {
    refuse(cert_file, path + ".cert_file",
           "'" + cert_file.path + "' cannot be used: " + take_openssl_error());
    return;
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    SSL_CTX_add1_chain_cert(context, chain[i].get());
  }
}

void TlsContexts::Builder::set_server_options(SSL_CTX* context,
                                              const config::ListenerTls& settings) {
  if (settings.min_version == config::TlsVersion::v1_3) {
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  }
  SSL_CTX_set_cipher_list(context, ciphers);
  if (SSL_CTX_set1_groups_list(context, groups) != 1) {
    SSL_CTX_set1_groups_list(context, older_groups);
  }
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_alpn_select_cb(context, on_alpn, nullptr);
  // A session is resumed only under the keys of its own listener, and so by its own rules.
  constexpr std::string_view session_context = "raincheck";
  SSL_CTX_set_session_id_context(context,
                                 reinterpret_cast<const unsigned char*>(session_context.data()),
                                 session_context.size());
  ERR_clear_error();
}

void TlsContexts::Builder::add_crls(X509_STORE* store,
                                    const config::FileName& file,
                                    const std::string& path) {
  const auto text = read(file, path);
  if (!text) return;
  const auto lists = read_crls(*text);
  const std::string why = take_openssl_error();
  if (lists.empty()) {
    refuse(file, path, "'" + file.path + "' holds no CRL in PEM" + (why.empty() ? "" : ": " + why));
  }
  for (const auto& list : lists) {
    X509_STORE_add_crl(store, list.get());
    check_time(*list, file, path);
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

void TlsContexts::Builder::check_time(const X509_CRL& list,
                                      const config::FileName& file,
                                      const std::string& path) {
  const jobs::WallTime end = next_update(list);
  if (end == jobs::WallTime::max()) return;  // it holds for ever
  note(out_.crl_expiries_, file.path, end);
  if (end <= now_) {
    warn(file, path,
         "'" + file.path + "' should have been renewed by " + date_of(end) +
             ": until it is, no client of that CA is let in");
  } else if (end <= now_ + crl_expires_soon) {
    warn(file, path,
         "'" + file.path + "' has to be renewed by " + date_of(end) +
             ": from then on, no client of that CA is let in");
  }
}

void TlsContexts::Builder::add_client_cas(ServerTls& tls,
                                          const config::ListenerTls& settings,
                                          const std::string& path) {
  if (settings.client_auth == config::ClientAuth::none) return;
  const auto cas = certificates(settings.client_ca_file, path + ".client_ca_file");
  X509_STORE* const store = SSL_CTX_get_cert_store(tls.contexts_.front().get());
  for (const auto& ca : cas) X509_STORE_add_cert(store, ca.get());
  if (!settings.crl_file.empty()) add_crls(store, settings.crl_file, path + ".crl_file");
  const int refuses_none =
      settings.client_auth == config::ClientAuth::require ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  for (const auto& context : tls.contexts_) {
    SSL_CTX_set1_cert_store(context.get(), store);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | refuses_none, nullptr);
    for (const auto& ca : cas) SSL_CTX_add_client_CA(context.get(), ca.get());
  }
}

std::unique_ptr<ServerTls> TlsContexts::Builder::server(const config::ListenerTls& settings,
                                                        const std::string& path) {
  if (settings.certificates.empty()) return nullptr;
  auto tls = std::make_unique<ServerTls>();
  std::vector<ShownNames> shown;  // by each context
  for (std::size_t i = 0; i < settings.certificates.size(); ++i) {
    const config::Certificate& certificate = settings.certificates[i];
    const std::string own_path = path + ".certificates[" + std::to_string(i) + "]";
    const auto own = own_certificate(certificate.cert_file, certificate.key_file, own_path);
    if (!own) continue;
    std::vector<std::string> names = names_of(*own->chain.front());
    std::sort(names.begin(), names.end());
    const int key_type = EVP_PKEY_get_base_id(own->key.get());
    const std::size_t context = context_for(shown, names, key_type);
    if (context == tls->contexts_.size()) {
      tls->contexts_.push_back(make_context(TLS_server_method()));
      set_server_options(tls->contexts_.back().get(), settings);
      tls->tickets_->use_in(tls->contexts_.back().get());
      for (const std::string& name : names) tls->names_.add(name, context);
    }
    use(tls->contexts_[context].get(), *own, certificate.cert_file, own_path);
  }
  if (tls->contexts_.empty()) return tls;  // what is wrong was told
  SSL_CTX* const first = tls->contexts_.front().get();
  // SSL_CTX_set_tlsext_servername_callback(), whose cast is refused here.
  SSL_CTX_callback_ctrl(first, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                        reinterpret_cast<void (*)()>(ServerTls::on_server_name));
  SSL_CTX_set_tlsext_servername_arg(first, tls.get());
  add_client_cas(*tls, settings, path);
  return tls;
}

void TlsContexts::Builder::set_trusted(SSL_CTX* context,
                                       const config::UpstreamTls& settings,
                                       const std::string& path) {
  if (!settings.verify) return;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (settings.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
    return;
  }
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const auto& ca : certificates(settings.ca_file, path + ".ca_file")) {
    X509_STORE_add_cert(store, ca.get());
  }
}

std::unique_ptr<ClientTls> TlsContexts::Builder::client(const config::Upstream& upstream) {
  const auto& servers = upstream.servers;
  const auto is_tls = [](const config::Server& server) { return server.is_tls; };
  if (std::none_of(servers.begin(), servers.end(), is_tls)) return nullptr;
  const config::UpstreamTls& settings = upstream.tls;
  const std::string path = "upstreams." + upstream.name + ".tls";
  auto tls = std::make_unique<ClientTls>();
  tls->context_ = make_context(TLS_client_method());
  tls->server_name_ = settings.server_name;
  set_trusted(tls->context_.get(), settings, path);
  const bool has_certificate = !settings.cert_file.empty() && !settings.key_file.empty();
  if (has_certificate) {
    const auto own = own_certificate(settings.cert_file, settings.key_file, path);
    if (own) use(tls->context_.get(), *own, settings.cert_file, path);
  }
  return tls;
}

TlsContexts::TlsContexts(const config::Config& config, const ReadFile& read, jobs::WallTime now) {
  Builder builder(*this, read, now);
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    listeners_.push_back(
        builder.server(config.listeners[i].tls, "listeners[" + std::to_string(i) + "].tls"));
  }
  for (const config::Upstream& upstream : config.upstreams) {
    upstreams_.push_back(builder.client(upstream));
  }
}

void TlsContexts::log_expiries(jobs::WallTime now) const {
  log_if_soon("certificate", expiries_, expires_soon, now);
  log_if_soon("CRL", crl_expiries_, crl_expires_soon, now);
}

}  // namespace raincheck::proxy
