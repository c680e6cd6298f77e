// Files that arrive: confined to one folder, and under their name only when they are whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace framecall {

/// How far a file is pushed to the disk before it gets its name.
enum class Durability : std::uint8_t {
  none,   ///< not at all: a kill loses nothing, a power cut may leave an empty or short file under the name
  close,  ///< the file is flushed (fsync): whatever stands under the name is whole, whatever happens
  full,   ///< the file and the folder are flushed: a file that was published stays
};

/// Throws CallError(invalid_params) unless `name` is one plain path component: 1 to 255 bytes of UTF-8, not `.`, `..`
/// or `.framecall`, without `/`, `\`, control characters and a drive prefix (`C:x`). PROTOCOL.md, section 3.
void check_file_name(std::string_view name);

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
  /// The names of the regular files, sorted bytewise. Throws CallError.
  std::vector<std::string> list();
  /// The same with sizes and times, of names that begin with `prefix` and come behind `after`, at most `limit`.
  std::vector<Entry> entries(std::string_view prefix, std::string_view after, std::size_t limit);
  /// Of a regular file. Throws CallError(not_found) for anything else.
  Entry stat(std::string_view name);
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
  /// The SHA-256 of all that is in it, read once more from its start: lower-case hexadecimal digits. Throws CallError.
  std::string sha256() const;
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
