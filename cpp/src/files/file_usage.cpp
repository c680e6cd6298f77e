#include "files/file_usage.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>
#include <system_error>

#include "framecall/error.hpp"

namespace framecall {
namespace {

constexpr const char* file_name = "usage";
constexpr std::uint64_t magic = 0x3130'6567'6173'7566;  // "fusage01"
constexpr int counts = 3;                               // while other servers change what is counted

[[noreturn]] void fail(int errno_value) {
  throw SystemError(errno_value, std::generic_category(), "the count of --quota, .framecall/usage");
}

}  // namespace

FileUsage::FileUsage(int folder, std::uint64_t quota, const std::function<std::uint64_t()>& count) : quota_(quota) {
  open(folder);
  begin(count);
}

FileUsage::~FileUsage() {
  own_.promised = 0;
  own_.state = State::left;
  try {
    write_slot(index_, own_);
  } catch (const std::system_error&) {
    // Then it looks like one of a server that was killed, and the files are counted again.
  }
}

void FileUsage::open(int folder) {
  file_ = Descriptor(::openat(folder, file_name, O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600));
  struct stat status{};
  if (!file_ || ::fstat(file_.get(), &status) != 0) fail(errno);
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1) fail(EMLINK);
}

// Locks of the open file, not of the process: they go when it dies, and two stores of one process have one each.
bool FileUsage::is_locked(std::size_t first, std::size_t count) const {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(offsetof(Content, slots) + first * sizeof(Slot));
  lock.l_len = static_cast<off_t>(count * sizeof(Slot));
  if (::fcntl(file_.get(), F_OFD_GETLK, &lock) != 0) fail(errno);
  return lock.l_type != F_UNLCK;
}

void FileUsage::claim_slot() {
  for (index_ = 0; index_ < slot_count; ++index_) {
    struct flock lock{};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(offsetof(Content, slots) + index_ * sizeof(Slot));
    lock.l_len = sizeof(Slot);
    if (::fcntl(file_.get(), F_OFD_SETLK, &lock) == 0) return;
    if (errno != EAGAIN && errno != EACCES) fail(errno);
  }
  fail(EUSERS);
}

void FileUsage::begin(const std::function<std::uint64_t()>& count) {
  const bool alone = !is_locked(0, slot_count);
  claim_slot();
  Content content = read();
  bool again = alone || content.magic != magic;
  if (again) {
    if (::ftruncate(file_.get(), 0) != 0) fail(errno);
    content = Content();
  }
  for (std::size_t i = 0; i < slot_count; ++i) {
    if (content.slots[i].state != State::owned || (i != index_ && is_locked(i, 1))) continue;
    write_slot(i, Slot());  // of one that was killed
    again = true;
  }
  if (again) {
    std::int64_t before = 0, after = used_by(read());
    std::uint64_t all = 0;
    for (int i = 0; i < counts && (i == 0 || before != after); ++i) {
      before = after;
      all = count();
      after = used_by(read());
    }
    const std::array<std::uint64_t, 2> head = {magic, all - static_cast<std::uint64_t>(after)};
    write(head.data(), sizeof head, 0);
  }
  own_.used = read().slots[index_].used;  // one that ended well goes on here
  own_.state = State::owned;
  write_slot(index_, own_);
}

FileUsage::Content FileUsage::read() const {
  Content content;
  auto* const data = reinterpret_cast<char*>(&content);
  for (std::size_t done = 0; done < sizeof content;) {
    const ssize_t count = ::pread(file_.get(), data + done, sizeof content - done, static_cast<off_t>(done));
    if (count < 0 && errno != EINTR) fail(errno);
    if (count == 0) break;  // the rest was never written
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  return content;
}

void FileUsage::write(const void* data, std::size_t size, std::size_t offset) const {
  ssize_t count = 0;
  do {
    count = ::pwrite(file_.get(), data, size, static_cast<off_t>(offset));
  } while (count < 0 && errno == EINTR);
  if (count != static_cast<ssize_t>(size)) fail(count < 0 ? errno : ENOSPC);
}

void FileUsage::write_slot(std::size_t index, const Slot& slot) const {
  write(&slot, sizeof slot, offsetof(Content, slots) + index * sizeof slot);
}

std::int64_t FileUsage::used_by(const Content& content) {
  std::int64_t used = 0;
  for (const Slot& slot : content.slots) used += slot.used;
  return used;
}

// The slot on the disk may lag behind after an error; what counts here is what this server knows, and the next change writes
// all of it.
void FileUsage::settle(std::uint64_t promised, std::int64_t used) {
  const std::lock_guard lock(mutex_);
  own_.used += used;
  own_.promised -= promised;
  try {
    write_slot(index_, own_);
  } catch (const std::system_error&) {
    // The slot was written before, so this is a disk that fails: the file operation itself reports it.
  }
}

// Two servers that promise at the same time may both be refused, but never both be served beyond the quota: each one writes
// its promise before it looks.
void FileUsage::reserve(std::uint64_t bytes) {
  if (bytes == 0) return;
  const std::lock_guard lock(mutex_);
  const std::uint64_t before = own_.promised;
  std::uint64_t all = UINT64_MAX;
  if (bytes <= quota_) {
    own_.promised += bytes;
    write_slot(index_, own_);
    all = total_locked(false);
    if (all > quota_) all = total_locked(true);
    if (all <= quota_) return;
    own_.promised = before;
    write_slot(index_, own_);
  } else {
    all = total_locked(true);
    all += std::min(bytes, UINT64_MAX - all);
  }
  throw CallError(ErrorCode::resource_exhausted,
                  "all files, parts and unfinished uploads together would have " + std::to_string(all) +
                      " bytes: quota is " + std::to_string(quota_),
                  limit_data(quota_, all));
}

std::uint64_t FileUsage::total() {
  const std::lock_guard lock(mutex_);
  return total_locked(true);
}

std::uint64_t FileUsage::total_locked(bool look_for_dead) const {
  const Content content = read();
  auto used = static_cast<std::int64_t>(content.counted);
  std::uint64_t promised = own_.promised;
  for (std::size_t i = 0; i < slot_count; ++i) {
    const Slot& slot = i == index_ ? own_ : content.slots[i];
    used += slot.used;
    if (i == index_ || slot.promised == 0) continue;
    if (!look_for_dead || is_locked(i, 1)) promised += slot.promised;
  }
  return static_cast<std::uint64_t>(std::max<std::int64_t>(used, 0)) + promised;
}

}  // namespace framecall
