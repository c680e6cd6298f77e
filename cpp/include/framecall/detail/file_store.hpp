// Files that arrive: confined to one folder, and under their name only when they are whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framecall/file_options.hpp"

namespace framecall {

/// A root folder. Uploads grow in `ROOT/.framecall/INSTANCE/` (0700), which is this object's own and locked while it
/// lives, so that several servers may share one root. What dead servers left there is removed, or becomes a part, at the start:
/// at once for those of this host, after a day for others. Links, FIFOs and devices under a name are replaced, never written
/// through; folders are kept. What the options do not allow is a CallError(permission_denied). Thread-safe.
class FileStore {
 public:
  class Upload;  ///< see file_upload.hpp
  class Download;
  struct Entry {
    std::string name;
    std::uint64_t size = 0;
    std::int64_t mtime = 0;  ///< seconds since 1970
  };
  struct Listing {
    std::vector<Entry> files;    ///< sorted bytewise
    std::uint64_t left_out = 0;  ///< files with the prefix whose names check_file_name() refuses
  };

  /// Throws SystemError unless `root` is a folder that can be written to. A link to one is resolved here, once. With a
  /// quota all files are counted, unless another server of the root that has one is alive.
  FileStore(std::filesystem::path root, const FileStoreOptions& options);
  explicit FileStore(std::filesystem::path root, Durability durability = Durability::close);
  ~FileStore();
  FileStore(const FileStore&) = delete;

  /// A file on its way in; `size`, if it is known, is reserved in the quota. Throws CallError for a bad name, a folder under
  /// the name, or what the system refuses. A root folder that was removed and made again is found again.
  Upload begin(std::string_view name, std::uint64_t size = 0);
  /// The same for a file whose part stays when it is cut off, so that a later attempt can go on: for 24 hours, also over a
  /// restart and for other servers of this root. Of several parts of one name the longest stays. `offset`: bytes that are there
  /// already, of a part, or of an upload of this process that has been stuck for a second; 0 begins anew. Another offset is
  /// CallError(aborted) with the right one as `offset` in its data; a part that is being written, CallError(unavailable).
  Upload resume(std::string_view name, std::uint64_t offset, std::uint64_t size = 0);
  /// Bytes of a part that was cut off, or else of the largest upload under way; 0: there is none.
  std::uint64_t partial_size(std::string_view name);

  /// A regular file, open for reading: it stays as it is now, whatever happens to its name. Throws CallError for a bad
  /// name, not_found for one that is no regular file (links are not followed), or what the system refuses.
  Download open(std::string_view name);
  /// The regular files whose names begin with `prefix` and are greater than `after`, the first `limit` of them. The time
  /// depends on the size of the folder, the memory on `limit`. Throws CallError: if the folder cannot be read to its end, or
  /// (cancelled) when `stop` is set.
  Listing list(std::string_view prefix = {}, std::string_view after = {}, std::size_t limit = SIZE_MAX,
               const std::stop_token& stop = {});
  /// Of a regular file. Throws CallError(not_found) for anything else.
  Entry stat(std::string_view name);
  /// The file of this name has this size and SHA-256 (lower-case hexadecimal digits), and is flushed as far as `durability`
  /// says. Reads it only if the size is right. Throws CallError(cancelled) when `stop` is set.
  bool holds(std::string_view name, std::uint64_t size, std::string_view sha256, Durability durability,
             const std::stop_token& stop = {});
  /// Something is under the name.
  bool exists(std::string_view name);
  /// Removes a regular file, or the link, FIFO or socket under the name; those who read it go on. Throws CallError.
  void remove(std::string_view name);
  /// Bytes that the disk has room for.
  std::uint64_t free_space();
  /// Bytes of all files, parts and unfinished uploads, if there is a quota.
  std::uint64_t used_space();

  const std::filesystem::path& root() const { return root_; }
  const FileStoreOptions& options() const { return options_; }

 private:
  struct Folders;
  std::shared_ptr<Folders> folders();
  std::string shown() const { return "root folder " + root_.string(); }
  void check_target(const Folders& folders, std::string_view name) const;
  void reopen(const std::shared_ptr<Folders>& stale);
  Upload begin_upload(std::string_view name, std::uint64_t size, const std::string& hash);
  static std::optional<Upload> resume_part(const std::shared_ptr<Folders>& folders, std::string_view name,
                                           const std::string& hash, std::uint64_t offset, std::uint64_t size);
  static std::optional<Upload> resume_attempt(const std::shared_ptr<Folders>& folders, std::string_view name,
                                              const std::string& hash, std::uint64_t offset, std::uint64_t size);
  Download open_file(std::string_view name);
  template <class Scan>
  auto scanned(Scan scan);
  static std::vector<std::string> first_names(int root, std::string_view prefix, std::string_view after,
                                              std::size_t limit, const std::stop_token& stop, Listing& listing);

  const std::filesystem::path root_, resolved_;
  const FileStoreOptions options_;
  std::mutex mutex_;  // of folders_
  std::shared_ptr<Folders> folders_;
};

/// A file on its way out.
class FileStore::Download {
 public:
  Download(Download&&) noexcept;
  Download& operator=(Download&&) = delete;
  ~Download();

  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }
  std::int64_t mtime() const { return mtime_; }  ///< seconds since 1970
  int descriptor() const { return descriptor_; }
  /// What of it is meant: all, unless a range was set. Throws CallError(out_of_range) for one beyond the end.
  std::uint64_t offset() const { return offset_; }
  std::uint64_t length() const { return length_; }
  void set_range(std::uint64_t offset, std::optional<std::uint64_t> length);

 private:
  friend class FileStore;
  Download(std::string name, int descriptor) : name_(std::move(name)), descriptor_(descriptor) {}

  std::string name_;
  int descriptor_;
  std::uint64_t size_ = 0, offset_ = 0, length_ = 0;
  std::int64_t mtime_ = 0;
};

}  // namespace framecall
