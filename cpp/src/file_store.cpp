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

#include "framecall/digest.hpp"
#include "framecall/error.hpp"
#include "framecall/json_text.hpp"

namespace framecall {
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }
  explicit operator bool() const { return value_ >= 0; }

 private:
  int value_;
};

namespace {

constexpr const char* private_folder = ".framecall";
constexpr const char* parts_folder = "parts";  // of uploads that can be resumed, shared by all servers of the root
constexpr const char* lock_file = "lock";
constexpr std::size_t max_name_size = 255;
constexpr std::int64_t sweep_interval = 60 * 60;      // seconds
constexpr std::int64_t part_lifetime = 24 * 60 * 60;  // seconds: of what others left, and of what can be resumed

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

Descriptor open_folder(int parent, const char* name) {
  return Descriptor(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

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
  const int again = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // closedir() closes it
  DIR* const stream = again >= 0 ? ::fdopendir(again) : nullptr;
  if (stream == nullptr) {
    if (again >= 0) ::close(again);
    return names;
  }
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  return names;
}

void remove_instance(int parent, const char* name, int folder) {
  for (const std::string& part : names_in(folder)) ::unlinkat(folder, part.c_str(), 0);
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

// Of a part that can be resumed: as long for a long name as for a short one.
std::string part_name(std::string_view name) {
  Digest digest(DigestKind::sha256);
  digest.update(name);
  return digest.finish();
}

}  // namespace

void check_file_name(std::string_view name) {
  const auto refuse = [name](const char* why) {
    throw CallError(ErrorCode::invalid_params, "file name \"" + printable(name) + "\": " + why);
  };
  if (name.empty()) refuse("is empty");
  if (name.size() > max_name_size) refuse("is longer than 255 bytes");
  if (name == "." || name == "..") refuse("is a folder");
  if (name == private_folder) refuse("is reserved");
  const char* at = name.data();
  const char* const end = at + name.size();
  while (at < end) {
    char32_t c = 0;
    const int size = decode_utf8(at, end, c, false);
    if (size == 0) refuse("is not UTF-8");
    if (c == '/' || c == '\\') refuse("has a / or \\; it must be one plain name");
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) refuse("has a control character");
    at += size;
  }
  const bool letter = (name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z');
  if (letter && name.size() > 1 && name[1] == ':') refuse("has a drive prefix");
}

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
    struct stat status{};
    if (::fstatat(parts.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (now - status.st_mtime >= part_lifetime) ::unlinkat(parts.get(), name.c_str(), 0);
  }
}

// Once an hour, by the time of the file system: the folder's own is that of the last part that was made in it.
void FileStore::Folders::sweep() {
  struct stat status{};
  if (::fstat(parts.get(), &status) != 0 || status.st_mtime - last_sweep < sweep_interval) return;
  last_sweep = status.st_mtime;
  remove_expired(status.st_mtime);
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
  const auto refuse = [&](int errno_value) {
    throw CallError(error_code_of(errno_value),
                    "cannot store \"" + printable(name) + "\": " + std::generic_category().message(errno_value));
  };
  for (bool again = false;; again = true) {
    const std::shared_ptr<Folders> folders = this->folders();
    auto result = open(folders);
    if (result) {
      struct stat status{};
      const std::string text(name);
      if (::fstatat(folders->root.get(), text.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) {
        refuse(EISDIR);
      }
      return std::move(*result);
    }
    if (errno != ENOENT || again) refuse(errno);
    try {
      reopen(folders);
    } catch (const std::system_error& error) {
      refuse(error.code().value());
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
  struct stat status{};
  const int result = ::fstatat(folders()->parts.get(), part_name(name).c_str(), &status, AT_SYMLINK_NOFOLLOW);
  return result == 0 && S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
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

std::vector<std::string> FileStore::list() {
  std::vector<std::string> names;
  for (Entry& entry : entries({}, {}, SIZE_MAX)) names.push_back(std::move(entry.name));
  return names;
}

std::vector<FileStore::Entry> FileStore::entries(std::string_view prefix, std::string_view after, std::size_t limit) {
  const std::shared_ptr<Folders> folders = this->folders();
  std::vector<std::string> names = names_in(folders->root.get());
  std::erase_if(names, [&](const std::string& name) { return !name.starts_with(prefix) || name <= after; });
  std::sort(names.begin(), names.end());
  std::vector<Entry> all;
  for (std::string& name : names) {
    struct stat status{};
    if (all.size() == limit) break;
    if (::fstatat(folders->root.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode)) {
      continue;  // no file, or gone meanwhile
    }
    all.push_back({std::move(name), static_cast<std::uint64_t>(status.st_size), status.st_mtime});
  }
  return all;
}

FileStore::Entry FileStore::stat(std::string_view name) {
  check_file_name(name);
  Entry entry;
  entry.name = name;
  struct ::stat status{};
  if (::fstatat(folders()->root.get(), entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    throw CallError(error_code_of(errno), "\"" + printable(name) + "\": " + std::generic_category().message(errno));
  }
  if (!S_ISREG(status.st_mode))
    throw CallError(ErrorCode::not_found, "\"" + printable(name) + "\": not a regular file");
  entry.size = static_cast<std::uint64_t>(status.st_size);
  entry.mtime = status.st_mtime;
  return entry;
}

bool FileStore::exists(std::string_view name) {
  struct ::stat status{};
  const std::string text(name);
  return ::fstatat(folders()->root.get(), text.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

void FileStore::remove(std::string_view name) {
  check_file_name(name);
  const std::string text(name);
  if (::unlinkat(folders()->root.get(), text.c_str(), 0) == 0) return;
  throw CallError(error_code_of(errno),
                  "cannot remove \"" + printable(name) + "\": " + std::generic_category().message(errno));
}

std::uint64_t FileStore::free_space() {
  struct statvfs status{};
  if (::fstatvfs(folders()->root.get(), &status) != 0) return UINT64_MAX;  // it shows when it is written
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

std::uint64_t FileStore::used_space(std::string_view but) {
  std::uint64_t used = 0;
  for (const Entry& entry : entries({}, {}, SIZE_MAX)) used += entry.name == but ? 0 : entry.size;
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

void FileStore::Upload::fail(const char* what, int errno_value) const {
  throw CallError(error_code_of(errno_value), std::string("cannot ") + what + " \"" + printable(name_) +
                                                  "\": " + std::generic_category().message(errno_value));
}

void FileStore::Upload::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      fail("write", errno);
    }
    if (count == 0) fail("write", EIO);
    size_ += static_cast<std::uint64_t>(count);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void FileStore::Upload::publish(Durability durability, bool replace) {
  const auto flush = [](int descriptor) {
    int result = 0;
    do {
      result = ::fsync(descriptor);
    } while (result != 0 && errno == EINTR);
    return result == 0 || errno == EINVAL;  // EINVAL: a file system that has nothing to flush
  };
  if (durability != Durability::none && !flush(descriptor_)) fail("flush", errno);
  // Network file systems report a failed write at the close, if not at the flush. EINTR: closed all the same on Linux. What
  // can be resumed keeps its lock until it has its name, that nobody goes on with it.
  if (!resumable_ && ::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail("close", errno);
  const bool stored =
      replace ? ::renameat(part_folder(), part_.c_str(), folders_->root.get(), name_.c_str()) == 0 : take_free_name();
  if (!stored) {
    if (errno == EEXIST) discard();
    fail("store", errno);
  }
  part_.clear();
  if (durability == Durability::full && !flush(folders_->root.get())) fail("flush the folder of", errno);
}

// A link fails where the name is taken; a rename is what there is on file systems without links.
bool FileStore::Upload::take_free_name() const {
  const int root = folders_->root.get();
  if (::linkat(part_folder(), part_.c_str(), root, name_.c_str(), 0) == 0) {
    ::unlinkat(part_folder(), part_.c_str(), 0);
    return true;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) return false;
  struct stat status{};
  if (::fstatat(root, name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return false;
  }
  return ::renameat(part_folder(), part_.c_str(), root, name_.c_str()) == 0;
}

std::string FileStore::Upload::sha256() const {
  try {
    return digest_of_file(DigestKind::sha256, descriptor_);
  } catch (const std::system_error& error) {
    fail("read", error.code().value());
  }
}

}  // namespace framecall
