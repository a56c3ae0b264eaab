#include "proxy/certificates.hpp"

#include <doctest/doctest.h>

#include "tests/support/certificates.hpp"

using namespace raincheck::proxy;
using raincheck::test::make_certificate;

namespace {

OpensslPtr<X509> one(const std::string& name, const std::string& alternatives = "") {
  auto read = read_certificates(make_certificate(name, alternatives).certificate);
  REQUIRE(read.size() == 1);
  return std::move(read.front());
}

// The value of one line of client_certificate_lines().
std::string told(const X509& certificate, const std::string& name) {
  const std::string lines = "\n" + client_certificate_lines(certificate);
  const std::string begin = "\nclient_certificate_" + name + ": ";
  const std::size_t at = lines.find(begin);
  if (at == lines.npos) return "nothing";
  return lines.substr(at + begin.size(), lines.find('\r', at) - at - begin.size());
}

}  // namespace

TEST_CASE("a certificate is found by the name that is asked for") {
  ServerNames names;
  CHECK(names.find("a.example") == 0);
  names.add("a.example", 1);
  names.add("*.example.org", 2);
  names.add("b.example.org", 3);
  names.add("a.example", 4);
  const struct {
    std::string_view asked;
    std::size_t certificate;
  } cases[] = {
      {"a.example", 1},       {"A.Example", 1},     {"b.example", 0},
      {"c.example.org", 2},   {"b.example.org", 3}, {"example.org", 0},
      {"a.b.example.org", 0}, {".example.org", 2},  {"", 0},
      {"*.example.org", 2},   {"localhost", 0},
  };
  for (const auto& c : cases) {
    CAPTURE(c.asked);
    CHECK(names.find(c.asked) == c.certificate);
  }
}

TEST_CASE("a certificate is for its alternative names, and for its common name without them") {
  CHECK(names_of(*one("A.Example")) == std::vector<std::string>{"a.example"});
  CHECK(names_of(*one("Ada Lovelace")).empty());
  CHECK(names_of(*one("a", "DNS:B.example,IP:127.0.0.1,DNS:*.c.example")) ==
        std::vector<std::string>{"b.example", "*.c.example"});
}

TEST_CASE("PEM files are read whole or not at all") {
  const auto pair = make_certificate("a");
  CHECK(read_certificates(pair.certificate + "text between\n" + pair.certificate).size() == 2);
  CHECK(read_certificates("").empty());
  CHECK(read_certificates("# nothing\n").empty());
  CHECK(take_openssl_error().empty());
  std::string damaged = pair.certificate;
  damaged[100] = '!';
  CHECK(read_certificates(pair.certificate + damaged).empty());
  CHECK_FALSE(take_openssl_error().empty());
  CHECK(take_openssl_error().empty());
  CHECK(read_key(pair.key));
  CHECK_FALSE(read_key(pair.certificate));
  CHECK(read_crls(pair.certificate).empty());
}

TEST_CASE("what is told of a client's certificate cannot break out of its place") {
  const auto certificate = one("Eve\r\nX: y, O=Ex", "DNS:a.example,URI:spiffe://a/b");
  CHECK(told(*certificate, "subject") == "CN=Eve\\0D\\0AX: y\\, O=Ex");
  CHECK(told(*certificate, "issuer") == "CN=Eve\\0D\\0AX: y\\, O=Ex");
  CHECK(told(*certificate, "serial") == "0ABC");
  CHECK(told(*certificate, "fingerprint").size() == 64);
  CHECK(told(*certificate, "fingerprint").find_first_not_of("0123456789abcdef") ==
        std::string::npos);
  CHECK(told(*one("a", "DNS:a.example,email:a@b,IP:127.0.0.1,IP:::1"), "san") ==
        "DNS:a.example,email:a@b,IP:127.0.0.1,IP:::1");
  CHECK(told(*one("\xc3\xa9"), "subject") == "CN=\\C3\\A9");
  CHECK(told(*one("a"), "san") == "nothing");
}

TEST_CASE("what is wrong with a server's certificate is said in words") {
  CHECK(certificate_problem(X509_V_ERR_CERT_HAS_EXPIRED) == "its certificate has expired");
  CHECK(certificate_problem(X509_V_ERR_HOSTNAME_MISMATCH) ==
        "its certificate is not for this name");
  CHECK(certificate_problem(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT) ==
        "its certificate is of no known CA: self-signed certificate");
  CHECK(certificate_problem(X509_V_ERR_INVALID_PURPOSE) ==
        "its certificate is not valid: unsuitable certificate purpose");
  CHECK(handshake_problem("wrong version number") == "it does not speak TLS");
  CHECK(handshake_problem("") == "TLS failed");
}
