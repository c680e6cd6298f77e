#include "files/part_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <system_error>
#include <utility>

#include "framecall/error.hpp"

namespace framecall {
namespace {

std::string random_name() {
  std::random_device device;
  const std::uint64_t number = std::uint64_t{device()} << 32 | device();
  return std::string(".framecall-").append(std::to_string(number)).append(".part");
}

}  // namespace

PartFile::PartFile(std::filesystem::path target) : target_(std::move(target)) {
  std::error_code ignored;
  if (std::filesystem::is_directory(std::filesystem::symlink_status(target_, ignored))) fail(EISDIR);
  if (!target_.has_filename()) fail(EISDIR);
  do {
    part_ = target_.parent_path() / random_name();
    descriptor_ = ::open(part_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && (errno == EEXIST || errno == EINTR));
  if (descriptor_ < 0) fail(errno);
}

PartFile::~PartFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!part_.empty()) ::unlink(part_.c_str());
}

void PartFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      fail(errno);
    }
  }
}

void PartFile::publish() {
  // Some network file systems tell only here that they have no room.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail(errno);
  if (std::rename(part_.c_str(), target_.c_str()) != 0) fail(errno);
  part_.clear();
}

void PartFile::fail(int errno_value) const {
  throw SystemError(errno_value, std::generic_category(), target_.string());
}

}  // namespace framecall
