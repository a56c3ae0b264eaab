#include "jobs/idempotency.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>

using namespace raincheck::jobs;
using namespace std::string_view_literals;

namespace {

std::string hex(const BodyDigest::Value& value) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : value) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string repeated(std::size_t count) {
  return std::string(count, 'k');
}

}  // namespace

TEST_CASE("a key is read with quotes and without, and is the same key") {
  struct Row {
    std::string value;
    std::string_view want;
  };
  const Row rows[] = {
      {"abc", "abc"},
      {"\"abc\"", "abc"},
      {" \t\"abc\" ", "abc"},
      {" abc\t", "abc"},
      {"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
      {"a+b/c==", "a+b/c=="},
      {"\"a \\\"b\\\" \\\\ c, d\"", "a \"b\" \\ c, d"},
      {"x", "x"},
      {"back\\slash", "back\\slash"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.value);
    const IdempotencyKey key = parse_idempotency_key(row.value);
    CHECK(key);
    CHECK(key.text == row.want);
  }
}

TEST_CASE("what is no key is refused with a sentence") {
  for (const std::string_view value : {""sv,
                                       "  "sv,
                                       "\"\""sv,
                                       "\""sv,
                                       "\"abc"sv,
                                       "\"abc\\"sv,
                                       "\"abc\\\""sv,
                                       "\"abc\" x"sv,
                                       "\"abc\";p=1"sv,
                                       "\"a\", \"b\""sv,
                                       "a, b"sv,
                                       "a,b"sv,
                                       "a b"sv,
                                       "a\"b"sv,
                                       "abc\""sv,
                                       "\"a\\nb\""sv,
                                       "\"a\tb\""sv,
                                       "a\x7f"sv,
                                       "\"a\x7f\""sv,
                                       "gr\xc3\xbcn"sv,
                                       "\"gr\xc3\xbcn\""sv,
                                       "a\0b"sv,
                                       "\"a\0b\""sv}) {
    CAPTURE(value);
    const IdempotencyKey key = parse_idempotency_key(value);
    CHECK_FALSE(key);
    CHECK(key.text.empty());
    CHECK(key.error.ends_with('.'));
  }
}

TEST_CASE("a key has up to 255 characters, escapes not counted") {
  CHECK(parse_idempotency_key(repeated(255)));
  CHECK_FALSE(parse_idempotency_key(repeated(256)));
  CHECK(parse_idempotency_key("\"" + repeated(255) + "\""));
  CHECK_FALSE(parse_idempotency_key("\"" + repeated(256) + "\""));
  std::string escaped = "\"";
  for (int i = 0; i < 255; ++i) escaped += "\\\\";
  CHECK(parse_idempotency_key(escaped + "\"").text == std::string(255, '\\'));
  CHECK_FALSE(parse_idempotency_key(escaped + "k\""));
  CHECK_FALSE(parse_idempotency_key(repeated(100'000)));
}

TEST_CASE("a body's digest is its SHA-256, in one piece or in many") {
  CHECK(hex(digest_body("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex(digest_body("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BodyDigest digest;
  for (int i = 0; i < 1000; ++i) digest.update(repeated(1000));
  BodyDigest moved = std::move(digest);
  CHECK(moved.finish() == digest_body(repeated(1'000'000)));
}

TEST_CASE("every part of a key and of a fingerprint matters, and where it begins and ends") {
  const BodyDigest::Value body = digest_body("body");
  const Key key = make_key("route", "owner", "text", "POST", "/a", body);
  CHECK(make_key("route", "owner", "text", "POST", "/a", body).key == key.key);
  CHECK(make_key("route", "owner", "text", "POST", "/a", body).fingerprint == key.fingerprint);

  std::set<Digest> keys{key.key};
  for (const Key& other :
       {make_key("rout", "eowner", "text", "", "", body),
        make_key("routeo", "wner", "text", "", "", body),
        make_key("route", "ownert", "ext", "", "", body),
        make_key("route", "", "text", "", "", body), make_key("", "route", "text", "", "", body),
        make_key("route", "text", "owner", "", "", body),
        make_key("route", "owner", "Text", "", "", body)}) {
    CHECK(keys.insert(other.key).second);
  }

  std::set<Digest> fingerprints{key.fingerprint};
  for (const Key& other :
       {make_key("", "", "", "PUT", "/a", body), make_key("", "", "", "POST", "/b", body),
        make_key("", "", "", "POST/", "a", body),
        make_key("", "", "", "POST", "/a", digest_body("bodx")),
        make_key("", "", "", "POST", "/a?x", body)}) {
    CHECK(fingerprints.insert(other.fingerprint).second);
  }

  CHECK(make_key("route", "owner", "text", "PUT", "/b", digest_body("x")).key == key.key);
  CHECK(make_key("a", "b", "c", "POST", "/a", body).fingerprint == key.fingerprint);
}
