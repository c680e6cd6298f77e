#include "framecall/wire/digest.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/wire/json.hpp"

namespace framecall {

struct Digest::State {
  State() : context(::EVP_MD_CTX_new()) {}
  State(const State&) = delete;
  ~State() { ::EVP_MD_CTX_free(context); }
  EVP_MD_CTX* context;
};

Digest::Digest(DigestKind kind) : state_(std::make_unique<State>()) {
  const EVP_MD* const algorithm = kind == DigestKind::md5 ? ::EVP_md5() : ::EVP_sha256();
  if (state_->context == nullptr || ::EVP_DigestInit_ex(state_->context, algorithm, nullptr) != 1) {
    throw std::runtime_error(std::string(kind == DigestKind::md5 ? "MD5" : "SHA-256") +
                             ": refused by the system's OpenSSL");
  }
}

Digest::Digest(Digest&& other) noexcept = default;
Digest& Digest::operator=(Digest&& other) noexcept = default;
Digest::~Digest() = default;

void Digest::update(std::string_view bytes) {
  if (::EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1) {
    throw std::runtime_error("EVP_DigestUpdate failed");
  }
}

std::string Digest::finish() {
  std::string text;
  for (const unsigned char byte : finish_bytes()) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string Digest::finish_base64() {
  const std::string bytes = finish_bytes();
  std::string text(4 * (bytes.size() / 3 + 1) + 1, '\0');
  text.resize(static_cast<std::size_t>(::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                                         reinterpret_cast<const unsigned char*>(bytes.data()),
                                                         static_cast<int>(bytes.size()))));
  return text;
}

std::string Digest::finish_bytes() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (::EVP_DigestFinal_ex(state_->context, bytes, &size) != 1) throw std::runtime_error("EVP_DigestFinal_ex failed");
  return std::string(reinterpret_cast<const char*>(bytes), size);
}

std::string sha256_base64(std::string_view bytes) {
  Digest digest(DigestKind::sha256);
  digest.update(bytes);
  return digest.finish_base64();
}

void check_wanted(const std::stop_token& stop) {
  if (stop.stop_requested()) throw CallError(ErrorCode::cancelled, "nobody waits for the answer");
}

std::string digest_of_file(DigestKind kind, int descriptor, const std::stop_token& stop) {
  Digest digest(kind);
  std::vector<char> block(256 * 1024);
  for (off_t offset = 0;;) {
    check_wanted(stop);
    const ssize_t count = ::pread(descriptor, block.data(), block.size(), offset);
    if (count == 0) return digest.finish();
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw SystemError(errno, std::generic_category(), "read for a checksum");
    digest.update({block.data(), static_cast<std::size_t>(count)});
    offset += count;
  }
}

std::string digest_member(std::string_view body) {
  return std::string("{\"sha-256\": \"").append(sha256_base64(body)).append("\"}");
}

std::optional<std::string> announced_sha256(std::string_view digest) {
  if (digest.empty()) return std::nullopt;
  const Json announced = parse_json(digest);
  const auto found = announced.find("sha-256");
  if (found == announced.end()) return std::nullopt;
  return found->is_string() ? found->get<std::string>() : dump_json(*found);
}

void check_digest(std::string_view digest, std::string_view body) {
  if (const auto announced = announced_sha256(digest)) check_sha256(*announced, sha256_base64(body));
}

void check_sha256(const std::string& announced, const std::string& actual) {
  if (announced == actual) return;
  throw CallError(ErrorCode::data_loss,
                  "the sha-256 of the body is " + actual + ", announced was " + printable(announced, 60));
}

}  // namespace framecall
