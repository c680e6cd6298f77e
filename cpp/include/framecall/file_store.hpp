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
/// lives, so that several servers may share one root; what dead servers left there is removed at the start, at once
/// for those of this host, after a day for others. Links, FIFOs and devices under a name are replaced, never written
/// through; folders are kept. Thread-safe.
class FileStore {
 public:
  class Upload;
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

  /// Throws std::system_error unless `root` is a folder that can be written to.
  explicit FileStore(std::filesystem::path root, Durability durability = Durability::close);
  ~FileStore();
  FileStore(const FileStore&) = delete;

  /// A file on its way in. Throws CallError for a bad name, a folder under the name, or what the system refuses.
  /// A root folder that was removed and made again is found again.
  Upload begin(std::string_view name);
  /// The same for a file whose part stays when it is cut off, so that a later attempt can go on: for 24 hours, also over a
  /// restart and for other servers of this root. `offset`: bytes that are there already; 0 begins anew, others must be what
  /// there is, else CallError(aborted) with the right one as `offset` in its data. While somebody else writes the same part,
  /// this one is an Upload as by begin(), and for other offsets CallError(unavailable).
  Upload resume(std::string_view name, std::uint64_t offset);
  /// Bytes of a part that was cut off; 0: there is none.
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
  /// Bytes of all regular files but the one of this name. Looks at each of them.
  std::uint64_t used_space(std::string_view but);

  const std::filesystem::path& root() const { return root_; }
  Durability durability() const { return durability_; }

 private:
  struct Folders;
  std::shared_ptr<Folders> folders();
  template <class Open>
  auto with_folders(std::string_view name, Open open);
  void reopen(const std::shared_ptr<Folders>& stale);
  template <class Scan>
  auto scanned(Scan scan);
  static std::vector<std::string> first_names(int root, std::string_view prefix, std::string_view after,
                                              std::size_t limit, const std::stop_token& stop, Listing& listing);

  std::filesystem::path root_;
  Durability durability_;
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

/// A part file. Without publish() it leaves nothing behind, unless it can be resumed. One thread at a time.
class FileStore::Upload {
 public:
  Upload(Upload&&) noexcept;
  Upload& operator=(Upload&&) = delete;
  ~Upload();

  /// Appends. Throws CallError with the text of the errno.
  void write(std::string_view bytes);
  /// Gives the file its name, replacing what was there. May wait for the disk, see Durability. Throws CallError; the
  /// old file is then untouched (unless only the flush of the folder failed).
  void publish() { publish(durability_, true); }
  /// The same, pushed to the disk as far as this says. Without `replace` CallError(already_exists) if the name is taken; the
  /// part is removed then.
  void publish(Durability durability, bool replace);
  /// The SHA-256 of all that is in it, read once more from its start: lower-case hexadecimal digits. Throws CallError, also
  /// (cancelled) when `stop` is set.
  std::string sha256(const std::stop_token& stop = {}) const;
  /// Nothing of it is of use: it leaves nothing behind, though it could be resumed.
  void discard() { kept_ = false; }

  const std::string& name() const { return name_; }
  /// With what earlier attempts brought.
  std::uint64_t size() const { return size_; }

 private:
  friend class FileStore;
  Upload(std::shared_ptr<Folders> folders, Durability durability, std::string name, std::string part, int descriptor,
         bool kept = false);
  int part_folder() const;
  void flush_part();
  void close_part();
  bool take_free_name() const;
  [[noreturn]] void fail(const char* what, int errno_value) const;

  std::shared_ptr<Folders> folders_;
  Durability durability_;
  std::string name_;
  std::string part_;  // name in the instance's folder
  int descriptor_;    // -1 once closed
  bool resumable_;    // in the folder of those that can be gone on with
  bool kept_;         // and stays there
  std::uint64_t size_ = 0;
};

}  // namespace framecall
