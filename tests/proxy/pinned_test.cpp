#include "proxy/pinned.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace raincheck::proxy;

TEST_CASE("NTLM and Negotiate are found among the challenges and credentials of a field") {
  const auto names = [](const std::string& value) {
    Fields fields;
    fields.push_back({"Server", "NTLM"});
    fields.push_back({"www-authenticate", value});
    return names_connection_auth(fields, "WWW-Authenticate");
  };
  for (const char* value : {"NTLM", "ntlm", "Negotiate",
                            "NTLM TlRMTVNTUAACAAAA==", "Negotiate oRQ=", "Basic realm=\"x\", NTLM",
                            "Negotiate, NTLM", "Bearer,\tNegotiate abc"}) {
    CAPTURE(value);
    CHECK(names(value));
  }
  for (const char* value : {"", "Basic realm=\"NTLM\"", "Bearer NTLM", "NTLMv2 x", "XNegotiate",
                            "Digest realm=\"a\", nonce=\"b\""}) {
    CAPTURE(value);
    CHECK(!names(value));
  }
}

TEST_CASE("credentials of a connection are found in what is kept of a request") {
  CHECK(has_connection_auth("GET /x\r\nA: b\r\nauthorization: NTLM abc\r\n"));
  CHECK(!has_connection_auth("GET /NTLM\r\nX-Authorization: NTLM abc\r\n"));
  CHECK(has_connection_auth("GET /x\r\nAuthorization: Basic a\r\nAuthorization: Negotiate b\r\n"));
  CHECK(!has_connection_auth("GET /x\r\nAuthorization: Basic a\r\nX: NTLM\r\n"));
  CHECK(!has_connection_auth("GET /x\r\n"));
}
