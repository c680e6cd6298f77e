// Checksums of content, through OpenSSL.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace framecall {

enum class DigestKind : std::uint8_t { md5, sha256 };

/// A checksum of bytes that come in pieces. Movable. Throws std::runtime_error if OpenSSL refuses the kind. One thread
/// at a time.
class Digest {
 public:
  explicit Digest(DigestKind kind);
  Digest(Digest&& other) noexcept;
  Digest& operator=(Digest&& other) noexcept;
  ~Digest();

  void update(std::string_view bytes);
  /// The checksum in lower-case hexadecimal digits. Once; afterwards only destruction.
  std::string finish();
  /// The same in base64, as the member `digest` of a header has it (RFC 9530).
  std::string finish_base64();

 private:
  std::string finish_bytes();

  struct State;
  std::unique_ptr<State> state_;
};

/// The checksum of all that is in an open file, read from its start with pread, as long as somebody waits for it. Throws
/// SystemError, and CallError(cancelled) when `stop` is set.
std::string digest_of_file(DigestKind kind, int descriptor, const std::stop_token& stop = {});

/// Throws CallError(cancelled) when `stop` is set: for work that is done in pieces.
void check_wanted(const std::stop_token& stop);

/// SHA-256 in base64.
std::string sha256_base64(std::string_view bytes);

/// The member `digest` for a body, as JSON text.
std::string digest_member(std::string_view body);
/// The SHA-256 that a `digest` announces, in base64; nothing for other algorithms, which RFC 9530 lets pass.
std::optional<std::string> announced_sha256(std::string_view digest);
/// Throws CallError(data_loss) unless `body` is what `digest` announces.
void check_digest(std::string_view digest, std::string_view body);
void check_sha256(const std::string& announced, const std::string& actual);

}  // namespace framecall
