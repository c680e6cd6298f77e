// A file on its way into a FileStore.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "framecall/detail/file_store.hpp"

namespace framecall {

struct UploadAttempt;

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
  void publish();
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
  Upload(std::shared_ptr<Folders> folders, std::string_view name, std::string part, int descriptor);
  void make_resumable(std::string hash);
  void reserve(std::uint64_t size);
  void promise(std::int64_t bytes);
  std::int64_t growth() const;
  std::uint64_t size_of_replaced() const;
  std::unique_lock<std::mutex> locked() const;
  void check_not_taken() const;
  void flush_part();
  void close_part();
  void give_name(bool replace);
  bool take_free_name() const;
  void end();
  [[noreturn]] void fail(const char* what, int errno_value) const;

  std::shared_ptr<Folders> folders_;
  std::string name_;
  std::string part_;                        // name in the instance's folder
  std::string hash_;                        // of the name, if it can be resumed
  std::shared_ptr<UploadAttempt> attempt_;  // the same
  int descriptor_;                          // -1 once closed
  bool kept_ = false;                       // as a part, when it is cut off
  bool replaces_ = false;                   // a file, whose bytes do not count twice
  std::uint64_t size_ = 0;
  std::uint64_t covered_ = 0;   // bytes that the file may have without another look at the quota
  std::uint64_t promised_ = 0;  // of them, in the usage
  std::uint64_t counted_ = 0;   // bytes that are in the usage as those of a part
};

}  // namespace framecall
