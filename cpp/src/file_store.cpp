#include "framecall/file_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/json_text.hpp"

namespace framecall {
namespace {

constexpr const char* private_folder = ".framecall";
constexpr const char* lock_file = "lock";
constexpr std::size_t max_name_size = 255;
constexpr std::int64_t foreign_part_lifetime = 24 * 60 * 60;  // seconds

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
  explicit operator bool() const { return value_ >= 0; }

 private:
  int value_;
};

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
  if (!name.starts_with(host) && (::fstat(instance, &status) != 0 || now - status.st_mtime < foreign_part_lifetime)) {
    return false;
  }
  return static_cast<bool>(locked_file(instance, LOCK_EX | LOCK_NB));
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

  Descriptor root{-1};
  Descriptor parent{-1};
  Descriptor instance{-1};
  Descriptor lock{-1};
  std::string instance_name;
  std::atomic<std::uint64_t> next_part{0};
};

FileStore::Folders::Folders(const std::filesystem::path& path) {
  const std::string shown = "root folder " + path.string();
  root = Descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) fail(shown);
  if (::mkdirat(root.get(), private_folder, 0700) != 0 && errno != EEXIST) fail(shown);
  parent = open_folder(root.get(), private_folder);
  if (!parent || ::fchmod(parent.get(), 0700) != 0) fail(shown + "/" + private_folder);
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

void FileStore::Folders::remove_left_overs(std::int64_t now) {
  const std::string host = host_prefix();
  for (const std::string& name : names_in(parent.get())) {
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

FileStore::Upload FileStore::begin(std::string_view name) {
  check_file_name(name);
  const std::string text(name);
  const auto refuse = [&](int errno_value) {
    throw CallError(error_code_of(errno_value),
                    "cannot store \"" + printable(name) + "\": " + std::generic_category().message(errno_value));
  };
  for (bool again = false;; again = true) {
    const std::shared_ptr<Folders> folders = this->folders();
    const std::string part = std::to_string(folders->next_part++);
    const int descriptor =
        ::openat(folders->instance.get(), part.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor >= 0) {
      Upload upload(folders, durability_, text, part, descriptor);
      struct stat status{};
      if (::fstatat(folders->root.get(), text.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) {
        refuse(EISDIR);
      }
      return upload;
    }
    if (errno != ENOENT || again) refuse(errno);
    try {
      reopen(folders);
    } catch (const std::system_error& error) {
      refuse(error.code().value());
    }
  }
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
  Download download(std::move(text), descriptor, 0);
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) refuse(error_code_of(errno), std::generic_category().message(errno));
  if (!S_ISREG(status.st_mode)) refuse(ErrorCode::not_found, "not a regular file");
  download.size_ = static_cast<std::uint64_t>(status.st_size);
  return download;
}

std::vector<std::string> FileStore::list() {
  const std::shared_ptr<Folders> folders = this->folders();
  std::vector<std::string> names;
  for (std::string& name : names_in(folders->root.get())) {
    struct stat status{};
    const bool regular =
        ::fstatat(folders->root.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode);
    if (regular) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

FileStore::Download::Download(std::string name, int descriptor, std::uint64_t size)
    : name_(std::move(name)), descriptor_(descriptor), size_(size) {}

FileStore::Download::Download(Download&& other) noexcept
    : name_(std::move(other.name_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

FileStore::Download::~Download() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileStore::Upload::Upload(std::shared_ptr<Folders> folders, Durability durability, std::string name, std::string part,
                          int descriptor)
    : folders_(std::move(folders)),
      durability_(durability),
      name_(std::move(name)),
      part_(std::move(part)),
      descriptor_(descriptor) {}

FileStore::Upload::Upload(Upload&& other) noexcept
    : folders_(std::move(other.folders_)),
      durability_(other.durability_),
      name_(std::move(other.name_)),
      part_(std::exchange(other.part_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

FileStore::Upload::~Upload() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!part_.empty()) ::unlinkat(folders_->instance.get(), part_.c_str(), 0);
}

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

void FileStore::Upload::publish() {
  const auto flush = [](int descriptor) {
    int result = 0;
    do {
      result = ::fsync(descriptor);
    } while (result != 0 && errno == EINTR);
    return result == 0 || errno == EINVAL;  // EINVAL: a file system that has nothing to flush
  };
  if (durability_ != Durability::none && !flush(descriptor_)) fail("flush", errno);
  // Network file systems report a failed write at the close. EINTR: closed all the same on Linux.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail("close", errno);
  if (::renameat(folders_->instance.get(), part_.c_str(), folders_->root.get(), name_.c_str()) != 0)
    fail("store", errno);
  part_.clear();
  if (durability_ == Durability::full && !flush(folders_->root.get())) fail("flush the folder of", errno);
}

}  // namespace framecall
