// A file of this machine, on its way to a server or back.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <future>
#include <string>
#include <string_view>

namespace framecall {

/// Throws std::filesystem::filesystem_error.
[[noreturn]] void fail_with_file(const std::filesystem::path& path, int errno_value);

/// Throws std::filesystem::filesystem_error, everywhere.
class LocalFile {
 public:
  /// Opens it; `flags` as open() takes them.
  LocalFile(const std::filesystem::path& path, int flags);
  LocalFile(const LocalFile&) = delete;
  ~LocalFile();

  int get() const { return descriptor_; }
  struct stat status() const;
  /// Appends at the place where it is.
  void write(std::string_view bytes) const;
  /// Throws for content that the file system has no room for: what a peer announces is not to fill it up to the last byte.
  void check_room(std::uint64_t size) const;
  /// Some file systems tell only here that they have no room.
  void close();

 private:
  const std::filesystem::path path_;
  int descriptor_;
};

/// The SHA-256 of a file, computed beside whatever else is done; given up at once when it dies before.
class BackgroundHash {
 public:
  /// `file` must outlive it.
  explicit BackgroundHash(const LocalFile& file);
  BackgroundHash(const BackgroundHash&) = delete;
  ~BackgroundHash() { stop_ = true; }

  /// Waits for it: hexadecimal digits; empty for a file that cannot be read. Once.
  std::string get() { return sum_.get(); }

 private:
  std::string run(int descriptor) const;

  std::atomic<bool> stop_{false};
  std::future<std::string> sum_;  // waits for its end when it goes, which is first
};

}  // namespace framecall
