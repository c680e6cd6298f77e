#include "framecall/digest.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <vector>

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
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (::EVP_DigestFinal_ex(state_->context, bytes, &size) != 1) throw std::runtime_error("EVP_DigestFinal_ex failed");
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

std::string sha256_base64(std::string_view bytes) {
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (::EVP_Digest(bytes.data(), bytes.size(), value, &size, ::EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("EVP_Digest failed");
  }
  std::string text(4 * (EVP_MAX_MD_SIZE / 3 + 1) + 1, '\0');
  text.resize(static_cast<std::size_t>(
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), value, static_cast<int>(size))));
  return text;
}

std::string digest_of_file(DigestKind kind, int descriptor) {
  Digest digest(kind);
  std::vector<char> block(256 * 1024);
  for (off_t offset = 0;;) {
    const ssize_t count = ::pread(descriptor, block.data(), block.size(), offset);
    if (count == 0) return digest.finish();
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw std::system_error(errno, std::generic_category(), "read for a checksum");
    digest.update({block.data(), static_cast<std::size_t>(count)});
    offset += count;
  }
}

}  // namespace framecall
