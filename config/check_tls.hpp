// The part of check.hpp that is about TLS: where its files are, and that its settings fit together.
// What is in the files is for those who use them to say.
#pragma once

#include "config/config.hpp"
#include "config/reader.hpp"

namespace raincheck::config {

void derive_tls(ListenerTls& tls, const Reading& reading, const std::string& path);
void derive_tls(Upstream& upstream, const Reading& reading);

void check_tls(const ListenerTls& tls, Reading& reading, const std::string& path);
void check_tls(const Upstream& upstream, Reading& reading);

}  // namespace raincheck::config
