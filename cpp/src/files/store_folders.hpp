// The folders of a FileStore, and what its uploads share.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>

#include "files/file_usage.hpp"
#include "files/folder.hpp"
#include "framecall/detail/file_upload.hpp"

namespace framecall {

/// An upload under way that can be resumed. Another upload of the same name may resume it when it is stuck.
struct UploadAttempt {
  std::mutex mutex;  // held while bytes are written, read or published
  std::string part;  // the file in the folder of the instance
  std::atomic<std::uint64_t> size{0};
  bool taken = false;  // by another upload
};

/// The open folders of one life of a store: the root, and in it `.framecall` with a locked folder of this instance, where
/// uploads grow, and the folder of the parts that were cut off, which all instances share.
struct FileStore::Folders {
  /// `shown`: the root in error texts. `before`: those of the life before, which the root was removed under. The folder at `path` must be the same one, or one
  /// that was made in its place by the same user. Throws SystemError, or CallError(failed_precondition) for another one.
  Folders(const std::filesystem::path& path, const std::string& shown, const FileStoreOptions& given,
          const Folders* before = nullptr);
  ~Folders();

  /// Of a part that was cut off; nothing: there is none, or it is not of our making.
  std::optional<std::uint64_t> part_size(const std::string& hash) const;
  /// Moves a file of `folder` to the parts. Of two parts of one name the longer one is kept. False: it was not moved.
  bool keep_part(int folder, const std::string& file, const std::string& hash);
  /// The part of a name that has just been stored, if it is not longer.
  void drop_part(const std::string& hash, std::uint64_t size);
  /// A regular file that we made, and that has no second name.
  bool is_own(const struct stat& status) const;
  /// Removes parts that nobody came back for; looks at most once an hour.
  void sweep();

  /// Those of a name, by the hash of the name.
  std::shared_ptr<UploadAttempt> begin_attempt(const std::string& hash, std::string part);
  void end_attempt(const std::string& hash, const std::shared_ptr<UploadAttempt>& attempt);
  /// The size of the largest, 0: there is none.
  std::uint64_t attempt_size(const std::string& hash);
  /// One of this size, and null if there is none.
  std::shared_ptr<UploadAttempt> find_attempt(const std::string& hash, std::uint64_t size);
  /// Nothing was written to it for a while, by the clock of the file system.
  bool is_stuck(int file) const;

  const FileStoreOptions options;
  Descriptor root, parent, parts, instance, lock;
  std::string instance_name;
  std::atomic<std::uint64_t> next_part{0};
  std::optional<FileUsage> usage;   // if there is a quota
  std::mutex accounts;              // what is moved in the usage moves on the disk meanwhile
  std::set<std::string> replacing;  // names of files that count instead of the uploads that replace them; with accounts

 private:
  void open_root(const std::filesystem::path& path, const std::string& shown, const Folders* before);
  void open_private(const std::string& shown);
  void take_over();
  void remove_left_overs(std::int64_t now);
  void remove_expired(std::int64_t now);
  std::uint64_t count_files();

  std::uint32_t owner_ = 0;  // of what we make here
  std::atomic<std::int64_t> last_sweep_{0};
  std::mutex attempts_mutex_;
  std::multimap<std::string, std::shared_ptr<UploadAttempt>> attempts_;
};

/// The name of a part, of which the name of the file cannot be known: as long for a long name as for a short one.
std::string part_name(std::string_view name);

[[noreturn]] void refuse_file(const char* what, std::string_view name, int errno_value);

/// What `look` returns; its errors become those of a call.
template <class Look>
auto looked_at(const char* what, std::string_view name, Look look) {
  try {
    return look();
  } catch (const std::system_error& error) {
    refuse_file(what, name, error.code().value());
  }
}

}  // namespace framecall
