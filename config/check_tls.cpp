#include "config/check_tls.hpp"

#include <algorithm>
#include <string>

#include "config/check.hpp"

namespace raincheck::config {
namespace {

void derive_file(FileName& file, const Reading& reading, const std::string& path) {
  if (file.empty()) return;
  file.place = reading.place(path);
  file.path = beside(file.place.file, file.path);
}

}  // namespace

void derive_tls(ListenerTls& tls, const Reading& reading, const std::string& path) {
  for (std::size_t i = 0; i < tls.certificates.size(); ++i) {
    const std::string certificate = path + ".certificates[" + std::to_string(i) + "]";
    derive_file(tls.certificates[i].cert_file, reading, certificate + ".cert_file");
    derive_file(tls.certificates[i].key_file, reading, certificate + ".key_file");
  }
  derive_file(tls.client_ca_file, reading, path + ".client_ca_file");
  derive_file(tls.crl_file, reading, path + ".crl_file");
}

void derive_tls(Upstream& upstream, const Reading& reading) {
  const auto derive_one = [&](FileName& file, const char* key) {
    const std::string own = "upstreams." + upstream.name + key;
    derive_file(file, reading,
                is_written(reading, own) ? own : std::string("defaults.upstream") + key);
  };
  derive_one(upstream.tls.ca_file, ".tls.ca_file");
  derive_one(upstream.tls.cert_file, ".tls.cert_file");
  derive_one(upstream.tls.key_file, ".tls.key_file");
}

void check_tls(const ListenerTls& tls, Reading& reading, const std::string& path) {
  if (reading.is_refused_within(path)) return;
  const bool asks = tls.client_auth != ClientAuth::none;
  if (asks && tls.client_ca_file.empty()) {
    reading.refuse(reading.place(path + ".client_auth"), path + ".client_auth",
                   "needs a client_ca_file: the CAs of the clients");
  }
  const auto refuse_idle = [&](const char* key, const FileName& file) {
    if (asks || file.empty()) return;
    reading.refuse(file.place, path + key, "means nothing with 'client_auth: none'");
  };
  refuse_idle(".client_ca_file", tls.client_ca_file);
  refuse_idle(".crl_file", tls.crl_file);
}

void check_tls(const Upstream& upstream, Reading& reading) {
  const std::string path = "upstreams." + upstream.name + ".tls";
  if (reading.is_refused_within("upstreams." + upstream.name)) return;
  const UpstreamTls& tls = upstream.tls;
  const auto is_https = [](const Server& server) { return server.is_tls; };
  if (std::none_of(upstream.servers.begin(), upstream.servers.end(), is_https)) {
    if (is_written(reading, path)) {
      reading.refuse(reading.place(path), path, "means nothing: no server has 'https://'");
    }
    return;
  }
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    const bool has_key = tls.cert_file.empty();
    reading.refuse(has_key ? tls.key_file.place : tls.cert_file.place, path,
                   has_key ? "key_file needs a cert_file" : "cert_file needs a key_file");
  }
  if (tls.verify) return;
  if (!tls.ca_file.empty()) {
    reading.refuse(tls.ca_file.place, path + ".ca_file", "means nothing with 'verify: false'");
  }
  reading.warn(reading.place(path + ".verify"), path + ".verify",
               "whoever answers in place of these servers is believed");
}

}  // namespace raincheck::config
