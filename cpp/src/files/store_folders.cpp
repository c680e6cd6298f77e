#include "files/store_folders.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"

namespace framecall {
namespace {

constexpr const char* private_folder = ".framecall";
constexpr const char* parts_folder = "parts";  // of uploads that can be resumed, shared by all servers of the root
constexpr const char* lock_file = "lock";
constexpr std::size_t part_key_size = 64;
constexpr std::int64_t sweep_interval = 60 * 60;      // seconds
constexpr std::int64_t part_lifetime = 24 * 60 * 60;  // seconds: of what others left, and of what can be resumed
constexpr std::int64_t stuck_after = 1'000'000'000;   // nanoseconds

[[noreturn]] void fail(const std::string& what) { throw SystemError(errno, std::generic_category(), what); }

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

std::int64_t nanoseconds(const struct timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

// Empty, but for what another server of the same root has made there already.
bool is_as_good_as_new(int folder) {
  struct Found {};  // the first other name is enough: the folder may be large
  try {
    for_each_entry(folder, [&](const char* name, unsigned char) {
      if (std::string_view(name) != private_folder) throw Found();
    });
  } catch (const Found&) {
    return false;
  }
  return true;
}

}  // namespace

std::string part_name(std::string_view name) {
  Digest digest(DigestKind::sha256);
  digest.update(name);
  return digest.finish();
}

void refuse_file(const char* what, std::string_view name, int errno_value) {
  throw CallError(error_code_of(errno_value), std::string("cannot ") + what + " \"" + printable(name) +
                                                  "\": " + std::generic_category().message(errno_value));
}

FileStore::Folders::Folders(const std::filesystem::path& path, const std::string& shown, const FileStoreOptions& given,
                            const Folders* before)
    : options(given) {
  open_root(path, shown, before);
  open_private(shown + "/" + private_folder);
}

FileStore::Folders::~Folders() {
  if (instance) remove_instance(parent.get(), instance_name.c_str(), instance.get());
}

void FileStore::Folders::open_root(const std::filesystem::path& path, const std::string& shown, const Folders* before) {
  const auto refuse = [&](const char* what) {
    throw CallError(ErrorCode::failed_precondition, "the root folder was replaced by " + std::string(what) +
                                                        " while the server was running: restart it");
  };
  root = Descriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root && before != nullptr && (errno == ELOOP || errno == ENOTDIR)) refuse("a link");
  if (!root) fail(shown);
  if (before == nullptr) return;
  struct stat old{}, now{};
  if (::fstat(before->root.get(), &old) != 0 || ::fstat(root.get(), &now) != 0) fail(shown);
  if (old.st_dev == now.st_dev && old.st_ino == now.st_ino) return;
  std::error_code ignored;
  if (std::filesystem::canonical(path, ignored) != path) refuse("one behind a link");
  if (old.st_nlink != 0 || old.st_uid != now.st_uid || !is_as_good_as_new(root.get())) refuse("another folder");
}

void FileStore::Folders::open_private(const std::string& shown) {
  const auto make = [&](int where, const char* name) {
    if (::mkdirat(where, name, 0700) != 0 && errno != EEXIST) fail(shown);
    Descriptor folder = open_folder(where, name);
    if (!folder) fail(shown);
    return folder;
  };
  const auto owner = [&](const Descriptor& folder) {
    struct stat status{};
    if (::fstat(folder.get(), &status) != 0) fail(shown);
    return status.st_uid;
  };
  parent = make(root.get(), private_folder);
  if (::fchmod(parent.get(), 0700) != 0) fail(shown);
  parts = make(parent.get(), parts_folder);
  // Nobody sees a folder of an instance between its making and its locking. (Some network file systems cannot lock a
  // folder; there the next start may find one that is not locked yet, and this start fails.)
  const bool starting = ::flock(parent.get(), LOCK_EX) == 0;
  instance_name = host_prefix() + random_digits();
  instance = make(parent.get(), instance_name.c_str());
  lock = locked_file(instance.get(), LOCK_EX | LOCK_NB);
  if (!lock) fail(shown);
  owner_ = owner(instance);
  if (owner(parent) != owner_ || owner(parts) != owner_) {
    throw SystemError(EPERM, std::generic_category(), shown + " belongs to another user");
  }
  try {
    take_over();
  } catch (const std::system_error& error) {
    throw SystemError(error.code(), shown);
  }
  if (starting) ::flock(parent.get(), LOCK_UN);
}

// What others left, and what there is: both need the lock.
void FileStore::Folders::take_over() {
  struct stat status{};
  if (::fstat(instance.get(), &status) != 0) fail("stat");
  remove_left_overs(status.st_mtime);
  if (options.quota >= std::uint64_t{INT64_MAX}) return;
  usage.emplace(parent.get(), options.quota, [this] { return count_files(); });
}

std::uint64_t FileStore::Folders::count_files() {
  std::uint64_t all = 0;
  for (const int folder : {root.get(), parts.get()}) {
    for_each_entry(folder, [&](const char* name, unsigned char type) {
      if (type != DT_REG && type != DT_UNKNOWN) return;
      if (const auto status = file_status_in(folder, name)) all += static_cast<std::uint64_t>(status->st_size);
    });
  }
  return all;
}

void FileStore::Folders::remove_expired(std::int64_t now) {
  for (const std::string& name : names_in(parts.get())) {
    const auto status = status_in(parts.get(), name.c_str());
    if (!status || now - status->st_mtime < part_lifetime) continue;
    if (::unlinkat(parts.get(), name.c_str(), 0) == 0 && usage && S_ISREG(status->st_mode)) {
      usage->settle(0, -status->st_size);
    }
  }
}

// By the time of the file system: the folder's own is that of the last part that came or went.
void FileStore::Folders::sweep() {
  struct stat status{};
  if (::fstat(parts.get(), &status) != 0 || status.st_mtime - last_sweep_ < sweep_interval) return;
  try {
    remove_expired(status.st_mtime);
    last_sweep_ = status.st_mtime;
  } catch (const std::system_error&) {
    // The next put tries again: what is swept has nothing to do with it.
  }
}

// Of servers that were killed: what can be resumed becomes a part, the rest is removed.
void FileStore::Folders::remove_left_overs(std::int64_t now) {
  const std::string host = host_prefix();
  for (const std::string& name : names_in(parent.get())) {
    if (name == parts_folder) continue;
    const Descriptor folder = open_folder(parent.get(), name.c_str());
    if (!folder || !is_left_over(folder.get(), name, host, now)) continue;
    for (const std::string& file : names_in(folder.get())) {
      if (file.size() > part_key_size && file[part_key_size] == '.')
        keep_part(folder.get(), file, file.substr(0, part_key_size));
    }
    remove_instance(parent.get(), name.c_str(), folder.get());
  }
  remove_expired(now);
}

bool FileStore::Folders::is_own(const struct stat& status) const {
  return S_ISREG(status.st_mode) && status.st_nlink == 1 && status.st_uid == owner_;
}

std::optional<std::uint64_t> FileStore::Folders::part_size(const std::string& hash) const {
  const auto status = status_in(parts.get(), hash.c_str());
  if (!status || !is_own(*status)) return std::nullopt;
  return static_cast<std::uint64_t>(status->st_size);
}

bool FileStore::Folders::keep_part(int folder, const std::string& file, const std::string& hash) {
  const std::lock_guard lock(accounts);
  const auto status = status_in(folder, file.c_str());
  const std::uint64_t other = part_size(hash).value_or(0);
  if (!status || !is_own(*status) || static_cast<std::uint64_t>(status->st_size) <= other) return false;
  if (::renameat(folder, file.c_str(), parts.get(), hash.c_str()) != 0) return false;
  if (usage && other > 0) usage->settle(0, -static_cast<std::int64_t>(other));
  return true;
}

void FileStore::Folders::drop_part(const std::string& hash, std::uint64_t size) {
  const std::lock_guard lock(accounts);
  try {
    const std::optional<std::uint64_t> part = part_size(hash);
    if (!part || *part > size || ::unlinkat(parts.get(), hash.c_str(), 0) != 0) return;
    if (usage) usage->settle(0, -static_cast<std::int64_t>(*part));
  } catch (const std::system_error&) {
    // It goes when it is a day old.
  }
}

std::shared_ptr<UploadAttempt> FileStore::Folders::begin_attempt(const std::string& hash, std::string part) {
  auto attempt = std::make_shared<UploadAttempt>();
  attempt->part = std::move(part);
  const std::lock_guard lock(attempts_mutex_);
  attempts_.emplace(hash, attempt);
  return attempt;
}

void FileStore::Folders::end_attempt(const std::string& hash, const std::shared_ptr<UploadAttempt>& attempt) {
  const std::lock_guard lock(attempts_mutex_);
  const auto [first, last] = attempts_.equal_range(hash);
  const auto found = std::find_if(first, last, [&](const auto& one) { return one.second == attempt; });
  if (found != last) attempts_.erase(found);
}

std::uint64_t FileStore::Folders::attempt_size(const std::string& hash) {
  const std::lock_guard lock(attempts_mutex_);
  std::uint64_t size = 0;
  const auto [first, last] = attempts_.equal_range(hash);
  for (auto one = first; one != last; ++one) size = std::max(size, one->second->size.load());
  return size;
}

std::shared_ptr<UploadAttempt> FileStore::Folders::find_attempt(const std::string& hash, std::uint64_t size) {
  const std::lock_guard lock(attempts_mutex_);
  const auto [first, last] = attempts_.equal_range(hash);
  const auto found = std::find_if(first, last, [&](const auto& one) { return one.second->size == size; });
  return found == last ? nullptr : found->second;
}

// The clock of the file system: a folder that is touched has its time.
bool FileStore::Folders::is_stuck(int file) const {
  struct stat now{}, status{};
  if (::futimens(instance.get(), nullptr) != 0 || ::fstat(instance.get(), &now) != 0) return false;
  if (::fstat(file, &status) != 0) return false;
  return nanoseconds(now.st_mtim) - nanoseconds(status.st_mtim) >= stuck_after;
}

}  // namespace framecall
