#include "client/local_file.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "framecall/wire/digest.hpp"

namespace framecall {

void fail_with_file(const std::filesystem::path& path, int errno_value) {
  throw std::filesystem::filesystem_error("a file here", path, std::error_code(errno_value, std::generic_category()));
}

LocalFile::LocalFile(const std::filesystem::path& path, int flags)
    : path_(path), descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail_with_file(path_, errno);
}

LocalFile::~LocalFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

struct stat LocalFile::status() const {
  struct stat status{};
  if (::fstat(descriptor_, &status) != 0) fail_with_file(path_, errno);
  return status;
}

void LocalFile::write(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) fail_with_file(path_, errno);
    if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void LocalFile::check_room(std::uint64_t size) const {
  struct statvfs system{};
  if (::fstatvfs(descriptor_, &system) != 0) return;
  if (size / std::max<std::uint64_t>(system.f_frsize, 1) > system.f_bavail) fail_with_file(path_, ENOSPC);
}

void LocalFile::close() {
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail_with_file(path_, errno);
}

BackgroundHash::BackgroundHash(const LocalFile& file)
    : sum_(std::async(std::launch::async, [this, descriptor = file.get()] { return run(descriptor); })) {}

std::string BackgroundHash::run(int descriptor) const {
  Digest digest(DigestKind::sha256);
  std::vector<char> block(1 << 20);
  for (off_t offset = 0; !stop_;) {
    const ssize_t count = ::pread(descriptor, block.data(), block.size(), offset);
    if (count < 0 && errno != EINTR) return {};  // the sending meets it, too
    if (count == 0) break;
    if (count > 0) digest.update({block.data(), static_cast<std::size_t>(count)});
    offset += std::max<ssize_t>(count, 0);
  }
  return digest.finish();
}

}  // namespace framecall
