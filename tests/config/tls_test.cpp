#include <doctest/doctest.h>

#include "tests/config/support.hpp"

using namespace raincheck::config;
using namespace raincheck::config::tests;

namespace {

std::string listener_with(const std::string& tls) {
  return "listeners: [{ tls: { " + tls + " } }]\nupstreams: { a: http://a }\ndefault_upstream: a\n";
}

std::string upstream_with(const std::string& url, const std::string& tls) {
  return "upstreams:\n  a: { servers: ['" + url + "'], tls: { " + tls +
         " } }\ndefault_upstream: a\n";
}

const std::string certificates = "certificates: [{ cert_file: c.pem, key_file: /k.pem }]";

}  // namespace

TEST_CASE("the settings of TLS are read, and files are beside the one that names them") {
  const Loaded loaded = load_text(
      "/etc/rc/main.yaml",
      "listeners:\n  - tls:\n      " + certificates +
          "\n      min_version: 1.3\n      client_auth: optional\n"
          "      client_ca_file: ca.pem\n      crl_file: /crl.pem\n"
          "defaults: { upstream: { tls: { ca_file: cas.pem } } }\n"
          "upstreams:\n  a: https://a\n  b: { servers: ['https://b:8443'], tls: { ca_file: "
          "own.pem, server_name: c, cert_file: x, key_file: y } }\ndefault_upstream: a\n",
      Environment::empty());
  CAPTURE(complaints(loaded));
  REQUIRE(loaded.ok);
  const ListenerTls& tls = loaded.config.listeners.at(0).tls;
  REQUIRE(tls.certificates.size() == 1);
  CHECK(tls.certificates[0].cert_file.path == "/etc/rc/c.pem");
  CHECK(tls.certificates[0].key_file.path == "/k.pem");
  CHECK(tls.certificates[0].key_file.place.line == 3);
  CHECK(tls.min_version == TlsVersion::v1_3);
  CHECK(tls.client_auth == ClientAuth::optional);
  CHECK(tls.client_ca_file.path == "/etc/rc/ca.pem");
  CHECK(tls.crl_file.path == "/crl.pem");
  const auto& upstreams = loaded.config.upstreams;
  REQUIRE(upstreams.size() == 2);
  CHECK(upstreams[0].servers.at(0).is_tls);
  CHECK(upstreams[0].servers[0].port == 443);
  CHECK(upstreams[0].tls.verify);
  CHECK(upstreams[0].tls.ca_file.path == "/etc/rc/cas.pem");
  CHECK(upstreams[0].tls.ca_file.place.line == 8);
  CHECK(upstreams[1].tls.ca_file.path == "/etc/rc/own.pem");
  CHECK(upstreams[1].tls.server_name == "c");
  CHECK(upstreams[1].tls.cert_file.path == "/etc/rc/x");
}

TEST_CASE("what fits not together is refused where it stands") {
  const struct {
    std::string text;
    std::string complaint;
  } cases[] = {
      {listener_with(""), "listeners[0].tls.certificates: is required"},
      {listener_with("certificates: []"), "listeners[0].tls.certificates: must not be empty"},
      {listener_with("certificates: [{ cert_file: c }]"),
       "listeners[0].tls.certificates[0].key_file: is required"},
      {listener_with(certificates + ", min_version: 1.1"), "listeners[0].tls.min_version: must be"},
      {listener_with(certificates + ", client_auth: require"),
       "listeners[0].tls.client_auth: needs a client_ca_file"},
      {listener_with(certificates + ", client_ca_file: x"),
       "listeners[0].tls.client_ca_file: means nothing with 'client_auth: none'"},
      {listener_with(certificates + ", crl_file: x"),
       "listeners[0].tls.crl_file: means nothing with 'client_auth: none'"},
      {upstream_with("http://a", "verify: true"),
       "upstreams.a.tls: means nothing: no server has 'https://'"},
      {upstream_with("https://a", "cert_file: x"), "upstreams.a.tls: cert_file needs a key_file"},
      {upstream_with("https://a", "key_file: x"), "upstreams.a.tls: key_file needs a cert_file"},
      {upstream_with("https://a", "server_name: 'a:80'"),
       "upstreams.a.tls.server_name: must be a host name or an IP address, not 'a:80'"},
      {upstream_with("https://a", "verify: false, ca_file: x"),
       "upstreams.a.tls.ca_file: means nothing with 'verify: false'"},
      {upstream_with("https://a", "verify: false"),
       "upstreams.a.tls.verify: whoever answers in place of these servers is believed"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    const std::string told = complaints(load_alone(c.text));
    CAPTURE(told);
    CHECK(told.find(c.complaint) != std::string::npos);
  }
}

TEST_CASE("a service that is asked over TLS is another than one that is not") {
  const Loaded loaded = load_alone(
      "upstreams: { a: http://a }\nroutes:\n"
      "  - { match: /x, upstream: a, authorize: { url: 'https://s/check' } }\n"
      "  - { match: /y, upstream: a, authorize: { url: 'http://s/check' } }\n");
  CAPTURE(complaints(loaded));
  REQUIRE(loaded.ok);
  REQUIRE(loaded.config.upstreams.size() == 3);
  CHECK(loaded.config.upstreams[1].name == "https://s");
  CHECK(loaded.config.upstreams[1].servers[0].is_tls);
  CHECK_FALSE(loaded.config.upstreams[2].servers[0].is_tls);
}
