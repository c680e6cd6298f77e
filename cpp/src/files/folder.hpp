// Folders and the files in them, by descriptor: nothing here follows a path twice, or a link at all.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <optional>
#include <utility>

namespace framecall {

/// An open file or folder; -1: none, and errno says why.
class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor();
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }
  explicit operator bool() const { return value_ >= 0; }

 private:
  int value_;
};

/// Not through a link.
Descriptor open_folder(int parent, const char* name);

/// Calls `visit` for every entry but `.` and `..`, with its type as in a dirent: DT_UNKNOWN where the file system does not
/// know. Throws SystemError if the folder cannot be read to its end.
void for_each_entry(int folder, const std::function<void(const char* name, unsigned char type)>& visit);

/// What is under the name; nothing if it is free. Links are not followed. Throws SystemError for everything else, so
/// that what cannot be looked at is never taken for absent.
std::optional<struct stat> status_in(int folder, const char* name);

/// The same if it is a regular file.
std::optional<struct stat> file_status_in(int folder, const char* name);

/// Flushes to the disk. False: errno says why.
bool flush(int descriptor);

}  // namespace framecall
