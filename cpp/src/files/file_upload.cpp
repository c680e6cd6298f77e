#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "files/store_folders.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"

namespace framecall {

FileStore::Upload::Upload(std::shared_ptr<Folders> folders, std::string_view name, std::string part, int descriptor)
    : folders_(std::move(folders)), name_(name), part_(std::move(part)), descriptor_(descriptor) {}

FileStore::Upload::Upload(Upload&& other) noexcept
    : folders_(std::move(other.folders_)),
      name_(std::move(other.name_)),
      part_(std::exchange(other.part_, {})),
      hash_(std::move(other.hash_)),
      attempt_(std::move(other.attempt_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      kept_(other.kept_),
      replaces_(other.replaces_),
      size_(other.size_),
      covered_(other.covered_),
      promised_(other.promised_),
      counted_(other.counted_) {}

FileStore::Upload::~Upload() {
  if (folders_) end();
  if (descriptor_ >= 0) ::close(descriptor_);
}

// Leaves a part that can be resumed, or nothing.
void FileStore::Upload::end() {
  const auto lock = locked();
  const bool own = !part_.empty() && !(attempt_ && attempt_->taken);
  bool kept = false;
  if (own && kept_ && size_ > 0) {
    try {
      promise(growth());
      kept = folders_->keep_part(folders_->instance.get(), part_, hash_);
    } catch (const std::exception&) {
      // There is no room for it, or the disk fails: it is removed.
    }
  }
  if (own && !kept) ::unlinkat(folders_->instance.get(), part_.c_str(), 0);
  if (folders_->usage) folders_->usage->settle(promised_, kept ? growth() : -static_cast<std::int64_t>(counted_));
  if (attempt_) folders_->end_attempt(hash_, attempt_);
  if (!replaces_) return;
  const std::lock_guard accounts(folders_->accounts);
  folders_->replacing.erase(name_);
}

void FileStore::Upload::make_resumable(std::string hash) {
  attempt_ = folders_->begin_attempt(hash, part_);
  attempt_->size = size_;
  hash_ = std::move(hash);
  kept_ = true;
}

std::unique_lock<std::mutex> FileStore::Upload::locked() const {
  return attempt_ ? std::unique_lock(attempt_->mutex) : std::unique_lock<std::mutex>();
}

void FileStore::Upload::check_not_taken() const {
  if (!attempt_ || !attempt_->taken) return;
  throw CallError(ErrorCode::aborted, "\"" + printable(name_) + "\": another connection has resumed this upload");
}

// Room for a file of `size` bytes. A file that it will replace makes room for it, for one upload at a time: until then both
// are on the disk.
void FileStore::Upload::reserve(std::uint64_t size) {
  covered_ = std::max(size, size_);
  if (!folders_->usage) return;
  std::uint64_t replaced = 0;
  {
    const std::lock_guard lock(folders_->accounts);
    replaces_ = folders_->replacing.insert(name_).second;
    if (replaces_) replaced = size_of_replaced();
  }
  const std::uint64_t more = covered_ - std::min(covered_, counted_);
  promise(static_cast<std::int64_t>(more - std::min(more, replaced)));
}

// Makes sure that at least so many bytes are promised.
void FileStore::Upload::promise(std::int64_t bytes) {
  if (!folders_->usage || bytes <= static_cast<std::int64_t>(promised_)) return;
  const std::uint64_t missing = static_cast<std::uint64_t>(bytes) - promised_;
  looked_at("reserve room for", name_, [&] { folders_->usage->reserve(missing); });
  promised_ += missing;
}

std::int64_t FileStore::Upload::growth() const {
  return static_cast<std::int64_t>(size_) - static_cast<std::int64_t>(counted_);
}

std::uint64_t FileStore::Upload::size_of_replaced() const {
  return looked_at("store", name_, [&] {
    const auto status = file_status_in(folders_->root.get(), name_.c_str());
    return status ? static_cast<std::uint64_t>(status->st_size) : 0;
  });
}

void FileStore::Upload::fail(const char* what, int errno_value) const { refuse_file(what, name_, errno_value); }

void FileStore::Upload::write(std::string_view bytes) {
  const auto lock = locked();
  check_not_taken();
  if (size_ + bytes.size() > covered_) {  // more than was announced
    promise(static_cast<std::int64_t>(promised_ + size_ + bytes.size() - covered_));
    covered_ = size_ + bytes.size();
  }
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EIO) discard();  // what became of the bytes before is not known
      fail("write", errno);
    }
    if (count == 0) fail("write", EIO);
    size_ += static_cast<std::uint64_t>(count);
    if (attempt_) attempt_->size = size_;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

// A flush that failed is final: the system may have dropped the bytes, and the next flush would succeed without them.
void FileStore::Upload::flush_part() {
  if (flush(descriptor_)) return;
  const int reason = errno;
  discard();
  fail("flush", reason);
}

// Network file systems report a failed write when a descriptor is closed.
void FileStore::Upload::close_part() {
  if (::close(std::exchange(descriptor_, -1)) == 0 || errno == EINTR) return;  // EINTR: closed all the same on Linux
  const int reason = errno;
  discard();
  fail("close", reason);
}

void FileStore::Upload::publish() { publish(folders_->options.durability, true); }

void FileStore::Upload::publish(Durability durability, bool replace) {
  const auto lock = locked();
  check_not_taken();
  if (durability != Durability::none) flush_part();
  close_part();
  give_name(replace && folders_->options.access.replace);
  part_.clear();
  if (attempt_) {
    folders_->drop_part(hash_, size_);
    folders_->end_attempt(hash_, attempt_);
    folders_->sweep();
  }
  if (durability == Durability::full && !flush(folders_->root.get())) fail("flush the folder of", errno);
}

// With the accounts, if there are any: nobody else replaces or removes the old file meanwhile.
void FileStore::Upload::give_name(bool replace) {
  std::unique_lock<std::mutex> accounts;
  std::int64_t more = 0;
  if (folders_->usage) {
    accounts = std::unique_lock(folders_->accounts);
    more = growth() - static_cast<std::int64_t>(size_of_replaced());
    promise(more);  // what it was to replace may be gone
  }
  const bool stored =
      replace ? ::renameat(folders_->instance.get(), part_.c_str(), folders_->root.get(), name_.c_str()) == 0
              : take_free_name();
  if (!stored) {
    const int reason = errno;
    if (reason == EEXIST) discard();
    fail("store", reason);
  }
  if (!folders_->usage) return;
  folders_->usage->settle(std::exchange(promised_, 0), more);
  counted_ = 0;
}

// A link fails where the name is taken; a rename is what there is on file systems without links.
bool FileStore::Upload::take_free_name() const {
  const int root = folders_->root.get(), instance = folders_->instance.get();
  if (::linkat(instance, part_.c_str(), root, name_.c_str(), 0) == 0) {
    ::unlinkat(instance, part_.c_str(), 0);
    return true;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) return false;
  if (looked_at("store", name_, [&] { return status_in(root, name_.c_str()).has_value(); })) {
    errno = EEXIST;
    return false;
  }
  return ::renameat(instance, part_.c_str(), root, name_.c_str()) == 0;
}

std::string FileStore::Upload::sha256(const std::stop_token& stop) const {
  const auto lock = locked();  // nobody takes it away meanwhile
  return looked_at("read", name_, [&] { return digest_of_file(DigestKind::sha256, descriptor_, stop); });
}

}  // namespace framecall
