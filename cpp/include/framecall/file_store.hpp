// Files that arrive: confined to one folder, and under their name only when they are whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
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

  /// Throws std::system_error unless `root` is a folder that can be written to.
  explicit FileStore(std::filesystem::path root, Durability durability = Durability::close);
  ~FileStore();
  FileStore(const FileStore&) = delete;

  /// A file on its way in. Throws CallError for a bad name, a folder under the name, or what the system refuses.
  /// A root folder that was removed and made again is found again.
  Upload begin(std::string_view name);

  /// A regular file, open for reading: it stays as it is now, whatever happens to its name. Throws CallError for a bad
  /// name, not_found for one that is no regular file (links are not followed), or what the system refuses.
  Download open(std::string_view name);
  /// The names of the regular files, sorted bytewise. Throws CallError.
  std::vector<std::string> list();

  const std::filesystem::path& root() const { return root_; }
  Durability durability() const { return durability_; }

 private:
  struct Folders;
  std::shared_ptr<Folders> folders();
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
  int descriptor() const { return descriptor_; }

 private:
  friend class FileStore;
  Download(std::string name, int descriptor, std::uint64_t size);

  std::string name_;
  int descriptor_;
  std::uint64_t size_;
};

/// A part file. Without publish() it leaves nothing behind. One thread at a time.
class FileStore::Upload {
 public:
  Upload(Upload&&) noexcept;
  Upload& operator=(Upload&&) = delete;
  ~Upload();

  /// Appends. Throws CallError with the text of the errno.
  void write(std::string_view bytes);
  /// Gives the file its name, replacing what was there. May wait for the disk, see Durability. Throws CallError; the
  /// old file is then untouched (unless only the flush of the folder failed).
  void publish();

  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }

 private:
  friend class FileStore;
  Upload(std::shared_ptr<Folders> folders, Durability durability, std::string name, std::string part, int descriptor);
  [[noreturn]] void fail(const char* what, int errno_value) const;

  std::shared_ptr<Folders> folders_;
  Durability durability_;
  std::string name_;
  std::string part_;  // name in the instance's folder
  int descriptor_;    // -1 once closed
  std::uint64_t size_ = 0;
};

}  // namespace framecall
