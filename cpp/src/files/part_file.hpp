// A file that comes in: it grows beside the place where it will be, and takes its name when it is whole.
#pragma once

#include <filesystem>
#include <string_view>

namespace framecall {

/// Without publish() it leaves nothing behind; a program that is killed leaves a `.framecall-NUMBER.part`. The mode is
/// what the umask says. A link, FIFO or device under the name is replaced, never written through; a folder is kept.
class PartFile {
 public:
  /// Throws SystemError that names the file: for a folder that is not there or not to be written to, and for a
  /// target that is a folder.
  explicit PartFile(std::filesystem::path target);
  PartFile(const PartFile&) = delete;
  ~PartFile();

  /// Appends. Throws SystemError.
  void write(std::string_view bytes);
  /// Gives the file its name, replacing what was there. Once. Throws SystemError.
  void publish();

 private:
  [[noreturn]] void fail(int errno_value) const;

  std::filesystem::path target_, part_;
  int descriptor_ = -1;
};

}  // namespace framecall
