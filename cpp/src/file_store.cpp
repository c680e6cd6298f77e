#include "framecall/file_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

#include "folder.hpp"
#include "framecall/digest.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

constexpr const char* private_folder = ".framecall";
constexpr const char* parts_folder = "parts";  // of uploads that can be resumed, shared by all servers of the root
constexpr const char* lock_file = "lock";
constexpr std::size_t names_per_look = 1024;          // of a list, before it looks whether anybody waits for it
constexpr std::int64_t sweep_interval = 60 * 60;      // seconds
constexpr std::int64_t part_lifetime = 24 * 60 * 60;  // seconds: of what others left, and of what can be resumed

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

// An open lock file, or none. The lock goes with the descriptor, so also with the process.
Descriptor locked_file(int folder, int flags) {
  Descriptor file(::openat(folder, lock_file, O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return file;
  while (::flock(file.get(), flags) != 0) {
    if (errno != EINTR) return Descriptor(-1);
  }
  return file;
}

std::vector<std::string> names_in(int folder) {
  std::vector<std::string> names;
  for_each_entry(folder, [&](const char* name, unsigned char) { names.emplace_back(name); });
  return names;
}

// As far as that is possible: what is left goes when a server starts.
void remove_instance(int parent, const char* name, int folder) {
  try {
    for (const std::string& part : names_in(folder)) ::unlinkat(folder, part.c_str(), 0);
  } catch (const std::system_error&) {
    return;
  }
  ::unlinkat(parent, name, AT_REMOVEDIR);
}

std::string host_prefix() {
  std::array<char, 65> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string prefix = host.data();
  for (char& c : prefix) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (!good) c = '_';
  }
  return prefix + ".";
}

std::string random_digits() {
  std::uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != sizeof value) fail("getrandom");
  return std::to_string(value);
}

// `now` is the time of the file system, not of this machine: the two may differ on a network file system.
bool is_left_over(int instance, const std::string& name, const std::string& host, std::int64_t now) {
  struct stat status{};
  if (!name.starts_with(host) && (::fstat(instance, &status) != 0 || now - status.st_mtime < part_lifetime)) {
    return false;
  }
  return static_cast<bool>(locked_file(instance, LOCK_EX | LOCK_NB));
}

[[noreturn]] void refuse_file(const char* what, std::string_view name, int errno_value) {
  throw CallError(error_code_of(errno_value), std::string("cannot ") + what + " \"" + printable(name) +
                                                  "\": " + std::generic_category().message(errno_value));
}

// What `look` returns; its errors become those of a call.
template <class Look>
auto looked_at(const char* what, std::string_view name, Look look) {
  try {
    return look();
  } catch (const std::system_error& error) {
    refuse_file(what, name, error.code().value());
  }
}

// The first names of a folder, in bytewise order, without holding or sorting the others.
class FirstNames {
 public:
  explicit FirstNames(std::size_t limit) : limit_(limit) {}
  void add(std::string_view name) {
    if (names_.size() < limit_) {
      names_.emplace_back(name);
      if (names_.size() == limit_) std::make_heap(names_.begin(), names_.end());
    } else if (name < names_.front()) {
      std::pop_heap(names_.begin(), names_.end());
      names_.back() = name;
      std::push_heap(names_.begin(), names_.end());
    }
  }
  std::vector<std::string> sorted() && {
    std::sort(names_.begin(), names_.end());
    return std::move(names_);
  }

 private:
  const std::size_t limit_;
  std::vector<std::string> names_;
};

// Of a part that can be resumed: as long for a long name as for a short one.
std::string part_name(std::string_view name) {
  Digest digest(DigestKind::sha256);
  digest.update(name);
  return digest.finish();
}

}  // namespace

/// The open folders of one life of the store: the root, and the locked folder of this instance inside it.
struct FileStore::Folders {
  explicit Folders(const std::filesystem::path& path);
  ~Folders() {
    if (instance) remove_instance(parent.get(), instance_name.c_str(), instance.get());
  }
  void remove_left_overs(std::int64_t now);
  void remove_expired(std::int64_t now);
  void sweep();

  Descriptor root{-1};
  Descriptor parent{-1};
  Descriptor parts{-1};
  Descriptor instance{-1};
  Descriptor lock{-1};
  std::string instance_name;
  std::atomic<std::uint64_t> next_part{0};
  std::atomic<std::int64_t> last_sweep{0};
};

FileStore::Folders::Folders(const std::filesystem::path& path) {
  const std::string shown = "root folder " + path.string();
  root = Descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) fail(shown);
  if (::mkdirat(root.get(), private_folder, 0700) != 0 && errno != EEXIST) fail(shown);
  parent = open_folder(root.get(), private_folder);
  if (!parent || ::fchmod(parent.get(), 0700) != 0) fail(shown + "/" + private_folder);
  if (::mkdirat(parent.get(), parts_folder, 0700) != 0 && errno != EEXIST) fail(shown + "/" + private_folder);
  parts = open_folder(parent.get(), parts_folder);
  if (!parts) fail(shown + "/" + private_folder);
  // Nobody sees a folder of an instance between its making and its locking. (Some network file systems cannot lock a
  // folder; there the next start may find one that is not locked yet, and this start fails.)
  const bool starting = ::flock(parent.get(), LOCK_EX) == 0;
  instance_name = host_prefix() + random_digits();
  if (::mkdirat(parent.get(), instance_name.c_str(), 0700) != 0) fail(shown + "/" + private_folder);
  instance = open_folder(parent.get(), instance_name.c_str());
  if (!instance) fail(shown + "/" + private_folder);
  lock = locked_file(instance.get(), LOCK_EX | LOCK_NB);
  if (!lock) fail(shown + "/" + private_folder);
  struct stat status{};
  if (::fstat(instance.get(), &status) == 0) remove_left_overs(status.st_mtime);
  if (starting) ::flock(parent.get(), LOCK_UN);
}

// Parts that nobody came back for. One that is written to is locked, and young.
void FileStore::Folders::remove_expired(std::int64_t now) {
  for (const std::string& name : names_in(parts.get())) {
    const auto status = status_in(parts.get(), name.c_str());
    if (status && now - status->st_mtime >= part_lifetime) ::unlinkat(parts.get(), name.c_str(), 0);
  }
}

// Once an hour, by the time of the file system: the folder's own is that of the last part that was made in it.
void FileStore::Folders::sweep() {
  struct stat status{};
  if (::fstat(parts.get(), &status) != 0 || status.st_mtime - last_sweep < sweep_interval) return;
  try {
    remove_expired(status.st_mtime);
    last_sweep = status.st_mtime;
  } catch (const std::system_error&) {
    // The next put tries again: what is swept has nothing to do with it.
  }
}

void FileStore::Folders::remove_left_overs(std::int64_t now) {
  const std::string host = host_prefix();
  remove_expired(now);
  for (const std::string& name : names_in(parent.get())) {
    if (name == parts_folder) continue;
    const Descriptor folder = open_folder(parent.get(), name.c_str());
    if (folder && is_left_over(folder.get(), name, host, now)) {
      remove_instance(parent.get(), name.c_str(), folder.get());
    }
  }
}

FileStore::FileStore(std::filesystem::path root, Durability durability)
    : root_(std::move(root)), durability_(durability), folders_(std::make_shared<Folders>(root_)) {}

FileStore::~FileStore() = default;

std::shared_ptr<FileStore::Folders> FileStore::folders() {
  const std::lock_guard lock(mutex_);
  return folders_;
}

// The folder was removed under us: start again, unless another thread just did.
void FileStore::reopen(const std::shared_ptr<Folders>& stale) {
  const std::lock_guard lock(mutex_);
  if (folders_ == stale) folders_ = std::make_shared<Folders>(root_);
}

// What `open` makes of the folders: a descriptor, or -1 and the errno. If the root was removed and made again, it is tried
// there, too.
template <class Open>
auto FileStore::with_folders(std::string_view name, Open open) {
  for (bool again = false;; again = true) {
    const std::shared_ptr<Folders> folders = this->folders();
    auto result = open(folders);
    if (result) {
      const std::string text(name);
      const auto there = looked_at("store", name, [&] { return status_in(folders->root.get(), text.c_str()); });
      if (there && S_ISDIR(there->st_mode)) refuse_file("store", name, EISDIR);
      return std::move(*result);
    }
    if (errno != ENOENT || again) refuse_file("store", name, errno);
    try {
      reopen(folders);
    } catch (const std::system_error& error) {
      refuse_file("store", name, error.code().value());
    }
  }
}

FileStore::Upload FileStore::begin(std::string_view name) {
  check_file_name(name);
  return with_folders(name, [&](const std::shared_ptr<Folders>& folders) -> std::optional<Upload> {
    const std::string part = std::to_string(folders->next_part++);
    const int descriptor =
        ::openat(folders->instance.get(), part.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor < 0) return std::nullopt;
    return Upload(folders, durability_, std::string(name), part, descriptor);
  });
}

FileStore::Upload FileStore::resume(std::string_view name, std::uint64_t offset) {
  check_file_name(name);
  bool busy = false;
  std::optional<Upload> upload;
  upload.emplace(with_folders(name, [&](const std::shared_ptr<Folders>& folders) -> std::optional<Upload> {
    const std::string part = part_name(name);
    Descriptor file(::openat(folders->parts.get(), part.c_str(), O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!file) return std::nullopt;
    folders->sweep();
    // The lock goes with the descriptor. Whoever had it before may have removed or published what was opened here.
    struct stat opened{}, there{};
    busy = ::flock(file.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(file.get(), &opened) != 0 ||
           ::fstatat(folders->parts.get(), part.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0 ||
           opened.st_ino != there.st_ino;
    Upload resumed(folders, durability_, std::string(name), busy ? std::string() : part, file.release(), true);
    resumed.size_ = busy ? 0 : static_cast<std::uint64_t>(opened.st_size);
    return resumed;
  }));
  if (busy && offset == 0) return begin(name);
  if (busy) throw CallError(ErrorCode::unavailable, "\"" + printable(name) + "\": its part is being written");
  if (offset != 0 && offset != upload->size()) {
    const std::uint64_t right = upload->size();
    throw CallError(ErrorCode::aborted,
                    "\"" + printable(name) + "\": the part that is here has " + std::to_string(right) +
                        " bytes, the offset is " + std::to_string(offset),
                    "{\"offset\": " + std::to_string(right) + "}");
  }
  if (offset == 0 && upload->size() > 0) {
    if (::ftruncate(upload->descriptor_, 0) != 0) upload->fail("begin", errno);
    upload->size_ = 0;
  }
  if (::lseek(upload->descriptor_, 0, SEEK_END) < 0) upload->fail("go on with", errno);
  return std::move(*upload);
}

std::uint64_t FileStore::partial_size(std::string_view name) {
  check_file_name(name);
  const auto part = looked_at("look for the part of", name,
                              [&] { return file_status_in(folders()->parts.get(), part_name(name).c_str()); });
  return part ? static_cast<std::uint64_t>(part->st_size) : 0;
}

FileStore::Download FileStore::open(std::string_view name) {
  check_file_name(name);
  std::string text(name);
  const auto refuse = [&](ErrorCode code, const std::string& why) {
    throw CallError(code, "cannot read \"" + printable(name) + "\": " + why);
  };
  // O_NONBLOCK: a FIFO must not hold us up.
  const int descriptor =
      ::openat(folders()->root.get(), text.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0 && errno == ELOOP) refuse(ErrorCode::not_found, "not a regular file");
  if (descriptor < 0) refuse(error_code_of(errno), std::generic_category().message(errno));
  Download download(std::move(text), descriptor);
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) refuse(error_code_of(errno), std::generic_category().message(errno));
  if (!S_ISREG(status.st_mode)) refuse(ErrorCode::not_found, "not a regular file");
  download.size_ = download.length_ = static_cast<std::uint64_t>(status.st_size);
  download.mtime_ = status.st_mtime;
  return download;
}

// What `scan` makes of the root. A root that was removed and made again is found again.
template <class Scan>
auto FileStore::scanned(Scan scan) {
  try {
    const std::shared_ptr<Folders> folders = this->folders();
    try {
      return scan(folders->root.get());
    } catch (const std::system_error& error) {
      if (error.code().value() != ENOENT) throw;
      reopen(folders);
      return scan(this->folders()->root.get());
    }
  } catch (const std::system_error& error) {
    throw CallError(error_code_of(error.code().value()),
                    "cannot list the files: " + std::generic_category().message(error.code().value()));
  }
}

// The names of what may be regular files.
std::vector<std::string> FileStore::first_names(int root, std::string_view prefix, std::string_view after,
                                                std::size_t limit, const std::stop_token& stop, Listing& listing) {
  FirstNames names(limit);
  std::size_t looked = 0;
  listing.left_out = 0;
  for_each_entry(root, [&](const char* text, unsigned char type) {
    if (++looked % names_per_look == 0) check_wanted(stop);
    const std::string_view name = text;
    if ((type != DT_REG && type != DT_UNKNOWN) || !name.starts_with(prefix)) return;
    if (fault_of_file_name(name) != nullptr) {
      ++listing.left_out;
    } else if (name > after) {
      names.add(name);
    }
  });
  return std::move(names).sorted();
}

FileStore::Listing FileStore::list(std::string_view prefix, std::string_view after, std::size_t limit,
                                   const std::stop_token& stop) {
  return scanned([&](int root) {
    Listing listing;
    std::string from(after);
    for (bool more = true; more && listing.files.size() < limit;) {
      const std::size_t missing = limit - listing.files.size();
      std::vector<std::string> names = first_names(root, prefix, from, missing, stop, listing);
      more = names.size() == missing;
      if (more) from = names.back();
      std::size_t looked = 0;
      for (std::string& name : names) {
        if (++looked % names_per_look == 0) check_wanted(stop);
        const auto status = file_status_in(root, name.c_str());
        if (!status) continue;  // no regular file, or gone meanwhile
        listing.files.push_back({std::move(name), static_cast<std::uint64_t>(status->st_size), status->st_mtime});
      }
    }
    return listing;
  });
}

FileStore::Entry FileStore::stat(std::string_view name) {
  check_file_name(name);
  const std::string text(name);
  const auto status = looked_at("look at", name, [&] { return status_in(folders()->root.get(), text.c_str()); });
  if (!status) refuse_file("look at", name, ENOENT);
  if (!S_ISREG(status->st_mode)) {
    throw CallError(ErrorCode::not_found, "\"" + printable(name) + "\": not a regular file");
  }
  return {text, static_cast<std::uint64_t>(status->st_size), status->st_mtime};
}

bool FileStore::holds(std::string_view name, std::uint64_t size, std::string_view sha256, Durability durability,
                      const std::stop_token& stop) {
  const std::string text(name);
  const auto look = [&] { return file_status_in(folders()->root.get(), text.c_str()); };
  const auto status = looked_at("look at", name, look);
  if (!status || static_cast<std::uint64_t>(status->st_size) != size) return false;
  const Download file = open(name);
  const auto same = [&] { return digest_of_file(DigestKind::sha256, file.descriptor(), stop) == sha256; };
  if (file.size() != size || !looked_at("read", name, same)) return false;
  if (durability != Durability::none && !flush(file.descriptor())) refuse_file("flush", name, errno);
  if (durability == Durability::full && !flush(folders()->root.get())) refuse_file("flush the folder of", name, errno);
  return true;
}

bool FileStore::exists(std::string_view name) {
  const std::string text(name);
  return looked_at("look at", name, [&] { return status_in(folders()->root.get(), text.c_str()).has_value(); });
}

void FileStore::remove(std::string_view name) {
  check_file_name(name);
  const std::string text(name);
  if (::unlinkat(folders()->root.get(), text.c_str(), 0) != 0) refuse_file("remove", name, errno);
}

std::uint64_t FileStore::free_space() {
  struct statvfs status{};
  if (::fstatvfs(folders()->root.get(), &status) != 0) return UINT64_MAX;  // it shows when it is written
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

std::uint64_t FileStore::used_space(std::string_view but) {
  std::uint64_t used = 0;
  for (const Entry& entry : list({}, {}, SIZE_MAX).files) used += entry.name == but ? 0 : entry.size;
  return used;
}

void FileStore::Download::set_range(std::uint64_t offset, std::optional<std::uint64_t> length) {
  if (offset > size_ || (length && *length > size_ - offset)) {
    throw CallError(ErrorCode::out_of_range, "\"" + printable(name_) + "\" has " + std::to_string(size_) + " bytes",
                    "{\"size\": " + std::to_string(size_) + "}");
  }
  offset_ = offset;
  length_ = length.value_or(size_ - offset);
}

FileStore::Download::Download(Download&& other) noexcept
    : name_(std::move(other.name_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      offset_(other.offset_),
      length_(other.length_),
      mtime_(other.mtime_) {}

FileStore::Download::~Download() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileStore::Upload::Upload(std::shared_ptr<Folders> folders, Durability durability, std::string name, std::string part,
                          int descriptor, bool kept)
    : folders_(std::move(folders)),
      durability_(durability),
      name_(std::move(name)),
      part_(std::move(part)),
      descriptor_(descriptor),
      resumable_(kept),
      kept_(kept) {}

FileStore::Upload::Upload(Upload&& other) noexcept
    : folders_(std::move(other.folders_)),
      durability_(other.durability_),
      name_(std::move(other.name_)),
      part_(std::exchange(other.part_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)),
      resumable_(other.resumable_),
      kept_(other.kept_),
      size_(other.size_) {}

FileStore::Upload::~Upload() {
  // An empty part is of no use to anybody. The lock goes with the descriptor, so it is closed last.
  if (!part_.empty() && (!kept_ || size_ == 0)) ::unlinkat(part_folder(), part_.c_str(), 0);
  if (descriptor_ >= 0) ::close(descriptor_);
}

int FileStore::Upload::part_folder() const { return resumable_ ? folders_->parts.get() : folders_->instance.get(); }

void FileStore::Upload::fail(const char* what, int errno_value) const { refuse_file(what, name_, errno_value); }

void FileStore::Upload::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EIO) discard();  // what became of the bytes before is not known
      fail("write", errno);
    }
    if (count == 0) fail("write", EIO);
    size_ += static_cast<std::uint64_t>(count);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

// A flush that failed is final: the system may have dropped the bytes, and the next flush would succeed without them.
void FileStore::Upload::flush_part() {
  if (::framecall::flush(descriptor_)) return;
  const int reason = errno;
  discard();
  fail("flush", reason);
}

// Network file systems report a failed write when a descriptor is closed. What can be resumed keeps its own, with the lock,
// until it has its name: so a second one is closed.
void FileStore::Upload::close_part() {
  const int descriptor = resumable_ ? ::dup(descriptor_) : std::exchange(descriptor_, -1);
  if (descriptor < 0) fail("close", errno);
  if (::close(descriptor) == 0 || errno == EINTR) return;  // EINTR: closed all the same on Linux
  const int reason = errno;
  discard();
  fail("close", reason);
}

void FileStore::Upload::publish(Durability durability, bool replace) {
  if (durability != Durability::none) flush_part();
  close_part();
  const bool stored =
      replace ? ::renameat(part_folder(), part_.c_str(), folders_->root.get(), name_.c_str()) == 0 : take_free_name();
  if (!stored) {
    const int reason = errno;
    if (reason == EEXIST) discard();
    fail("store", reason);
  }
  part_.clear();
  if (durability == Durability::full && !::framecall::flush(folders_->root.get())) fail("flush the folder of", errno);
}

// A link fails where the name is taken; a rename is what there is on file systems without links.
bool FileStore::Upload::take_free_name() const {
  const int root = folders_->root.get();
  if (::linkat(part_folder(), part_.c_str(), root, name_.c_str(), 0) == 0) {
    ::unlinkat(part_folder(), part_.c_str(), 0);
    return true;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) return false;
  if (looked_at("store", name_, [&] { return status_in(root, name_.c_str()).has_value(); })) {
    errno = EEXIST;
    return false;
  }
  return ::renameat(part_folder(), part_.c_str(), root, name_.c_str()) == 0;
}

std::string FileStore::Upload::sha256(const std::stop_token& stop) const {
  return looked_at("read", name_, [&] { return digest_of_file(DigestKind::sha256, descriptor_, stop); });
}

}  // namespace framecall
