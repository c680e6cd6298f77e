// Users and their passwords, for dialects with a login step: a text file of salted hashes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace framecall {

/// A users file: one line `NAME:scrypt$N$R$P$SALT$HASH` per user (RFC 7914; salt and hash in base64). Empty lines and
/// those that begin with `#` are kept as they are. Reading is const and thread-safe.
class Users {
 public:
  Users() = default;
  /// Throws SystemError, and std::invalid_argument that names the line.
  explicit Users(const std::filesystem::path& path);

  /// Slow on purpose (tens of milliseconds and 16 MiB), also for a user that does not exist: not for an event loop.
  bool check(std::string_view name, std::string_view password) const;

  /// Sets or replaces. Throws std::invalid_argument for a name that is empty, longer than 255 bytes, begins with `#` or
  /// has a `:` or a control character, and for an empty password.
  void set(const std::string& name, std::string_view password);
  /// False if there is no such user.
  bool remove(std::string_view name);
  /// Replaces the file as a whole (mode 0600). Throws SystemError.
  void save(const std::filesystem::path& path) const;

  /// How many users there are.
  std::size_t size() const;

 private:
  struct Line {
    std::string name;  // empty: a comment or an empty line
    std::string text;  // the hash, or the line
  };
  const Line* find(std::string_view name) const;

  std::vector<Line> lines_;
};

}  // namespace framecall
