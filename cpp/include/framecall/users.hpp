// Users and their passwords, for dialects with a login step: a text file of salted hashes.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace framecall {

/// A users file: one line `NAME:scrypt$N$R$P$SALT$HASH` per user (salt and hash in base64), `#` begins a comment line.
/// Reading is const and thread-safe.
class Users {
 public:
  Users() = default;
  /// Throws std::system_error, and std::invalid_argument that names the line.
  explicit Users(const std::filesystem::path& path);

  /// Slow on purpose (tens of milliseconds), also for a user that does not exist: not for an event loop.
  bool check(std::string_view name, std::string_view password) const;

  /// Sets or replaces. Throws std::invalid_argument for names with `:`, control characters or nothing in them, and
  /// above 255 bytes, and for an empty password.
  void set(const std::string& name, std::string_view password);
  /// False if there is no such user.
  bool remove(const std::string& name);
  /// Replaces the file whole (mode 0600 for a new one, the old mode else). Throws std::system_error.
  void save(const std::filesystem::path& path) const;

  std::size_t size() const { return hashes_.size(); }

 private:
  std::map<std::string, std::string, std::less<>> hashes_;
};

}  // namespace framecall
