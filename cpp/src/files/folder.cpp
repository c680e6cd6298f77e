#include "files/folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <system_error>

#include "framecall/error.hpp"

namespace framecall {

Descriptor::~Descriptor() {
  if (value_ >= 0) ::close(value_);
}

Descriptor open_folder(int parent, const char* name) {
  return Descriptor(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

void for_each_entry(int folder, const std::function<void(const char* name, unsigned char type)>& visit) {
  const auto fail = [] { throw SystemError(errno, std::generic_category(), "cannot read a folder"); };
  Descriptor again(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again) fail();
  struct Close {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  const std::unique_ptr<DIR, Close> stream(::fdopendir(again.get()));
  if (!stream) fail();
  again.release();  // the stream has it
  for (;;) {
    errno = 0;  // the end and an error look alike
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") visit(entry->d_name, entry->d_type);
  }
  struct stat status{};
  if (errno == 0 && ::fstat(folder, &status) == 0 && status.st_nlink == 0) errno = ENOENT;  // removed: only looks empty
  if (errno != 0) fail();
}

std::optional<struct stat> status_in(int folder, const char* name) {
  struct stat status{};
  if (::fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0) return status;
  if (errno == ENOENT) return std::nullopt;
  throw SystemError(errno, std::generic_category(), "cannot look at a file");
}

std::optional<struct stat> file_status_in(int folder, const char* name) {
  auto status = status_in(folder, name);
  if (status && !S_ISREG(status->st_mode)) status.reset();
  return status;
}

bool flush(int descriptor) {
  int result = 0;
  do {
    result = ::fsync(descriptor);
  } while (result != 0 && errno == EINTR);
  return result == 0 || errno == EINVAL;  // EINVAL: a file system that has nothing to flush
}

}  // namespace framecall
