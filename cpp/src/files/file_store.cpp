#include "framecall/detail/file_store.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

#include "files/store_folders.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"

namespace framecall {
namespace {

constexpr std::size_t names_per_look = 1024;  // of a list, before it looks whether anybody waits for it

void check_access(bool allowed, const char* what) {
  if (allowed) return;
  throw CallError(ErrorCode::permission_denied, std::string("the access of this server does not include ") + what);
}

void check_write(const FileStoreOptions& options) { check_access(options.access.write, "write"); }
void check_read(const FileStoreOptions& options) { check_access(options.access.read, "read"); }

// The name that a link at the root has now, for good. What is no folder is told when it is opened.
std::filesystem::path resolved_root(const std::filesystem::path& root) {
  std::error_code ignored;
  std::filesystem::path resolved = std::filesystem::canonical(root, ignored);
  return ignored ? root : resolved;
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

}  // namespace

FileStore::FileStore(std::filesystem::path root, const FileStoreOptions& options)
    : root_(std::move(root)),
      resolved_(resolved_root(root_)),
      options_(options),
      folders_(std::make_shared<Folders>(resolved_, shown(), options_)) {}

FileStore::FileStore(std::filesystem::path root, Durability durability)
    : FileStore(std::move(root), FileStoreOptions{durability, {}, FileStoreOptions().quota}) {}

FileStore::~FileStore() = default;

std::shared_ptr<FileStore::Folders> FileStore::folders() {
  const std::lock_guard lock(mutex_);
  return folders_;
}

// The folder was removed under us: start again, unless another thread just did.
void FileStore::reopen(const std::shared_ptr<Folders>& stale) {
  const std::lock_guard lock(mutex_);
  if (folders_ == stale) folders_ = std::make_shared<Folders>(resolved_, shown(), options_, stale.get());
}

FileStore::Upload FileStore::begin(std::string_view name, std::uint64_t size) { return begin_upload(name, size, {}); }

// Before any of its bytes are taken. What comes to be there later is refused when it is published.
void FileStore::check_target(const Folders& folders, std::string_view name) const {
  const std::string text(name);
  const auto there = looked_at("store", name, [&] { return status_in(folders.root.get(), text.c_str()); });
  if (there && S_ISDIR(there->st_mode)) refuse_file("store", name, EISDIR);
  if (there && !options_.access.replace) refuse_file("store", name, EEXIST);
}

// With a hash it can be resumed.
FileStore::Upload FileStore::begin_upload(std::string_view name, std::uint64_t size, const std::string& hash) {
  check_write(options_);
  check_file_name(name);
  for (bool again = false;; again = true) {
    const std::shared_ptr<Folders> folders = this->folders();
    std::string part = (hash.empty() ? "" : hash + ".") + std::to_string(folders->next_part++);
    const int descriptor =
        ::openat(folders->instance.get(), part.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor >= 0) {
      Upload upload(folders, name, std::move(part), descriptor);
      check_target(*folders, name);
      upload.reserve(size);
      if (!hash.empty()) upload.make_resumable(hash);
      return upload;
    }
    if (errno != ENOENT || again) refuse_file("store", name, errno);
    looked_at("store", name, [&] { reopen(folders); });
  }
}

FileStore::Upload FileStore::resume(std::string_view name, std::uint64_t offset, std::uint64_t size) {
  check_write(options_);
  check_file_name(name);
  const std::string hash = part_name(name);
  if (offset == 0) return begin_upload(name, size, hash);
  const std::shared_ptr<Folders> folders = this->folders();
  check_target(*folders, name);
  auto upload = looked_at("resume", name, [&] {
    auto part = resume_part(folders, name, hash, offset, size);
    return part ? std::move(part) : resume_attempt(folders, name, hash, offset, size);
  });
  if (upload) return std::move(*upload);
  const std::uint64_t right = partial_size(name);
  throw CallError(ErrorCode::aborted,
                  "\"" + printable(name) + "\": the part that is here has " + std::to_string(right) +
                      " bytes, the offset is " + std::to_string(offset),
                  "{\"offset\": " + std::to_string(right) + "}");
}

// A part that was cut off becomes this upload's own by a rename, which only one upload can do.
std::optional<FileStore::Upload> FileStore::resume_part(const std::shared_ptr<Folders>& folders, std::string_view name,
                                                        const std::string& hash, std::uint64_t offset,
                                                        std::uint64_t size) {
  const auto there = status_in(folders->parts.get(), hash.c_str());
  if (!there || (folders->is_own(*there) && static_cast<std::uint64_t>(there->st_size) != offset)) return std::nullopt;
  std::string part = hash + "." + std::to_string(folders->next_part++);
  if (::renameat(folders->parts.get(), hash.c_str(), folders->instance.get(), part.c_str()) != 0) {
    if (errno == ENOENT) return std::nullopt;  // another one was quicker
    refuse_file("resume", name, errno);
  }
  const int descriptor =
      ::openat(folders->instance.get(), part.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  const int reason = errno;
  Upload upload(folders, name, std::move(part), descriptor);
  struct stat status{};
  if (descriptor < 0 && reason != ELOOP) refuse_file("resume", name, reason);
  if (descriptor < 0 || ::fstat(descriptor, &status) != 0 || !folders->is_own(status)) {
    throw CallError(ErrorCode::failed_precondition,
                    "\"" + printable(name) +
                        "\": its part was not made by this server, or has a second name (a hard link); it was removed");
  }
  upload.size_ = upload.counted_ = static_cast<std::uint64_t>(status.st_size);
  upload.make_resumable(hash);
  upload.reserve(size);
  return upload;
}

// The connection that brought it is gone, and nobody has noticed.
std::optional<FileStore::Upload> FileStore::resume_attempt(const std::shared_ptr<Folders>& folders,
                                                           std::string_view name, const std::string& hash,
                                                           std::uint64_t offset, std::uint64_t size) {
  const std::shared_ptr<UploadAttempt> attempt = folders->find_attempt(hash, offset);
  if (!attempt) return std::nullopt;
  const CallError busy(ErrorCode::unavailable, "\"" + printable(name) + "\": its part is being written");
  const std::unique_lock lock(attempt->mutex, std::try_to_lock);
  if (!lock || attempt->taken || attempt->size != offset) throw CallError(busy);
  const int descriptor =
      ::openat(folders->instance.get(), attempt->part.c_str(), O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) throw CallError(busy);  // it was published meanwhile
  Upload upload(folders, name, {}, descriptor);
  if (!folders->is_stuck(descriptor)) throw CallError(busy);
  upload.size_ = offset;
  upload.reserve(size);
  attempt->taken = true;
  upload.part_ = attempt->part;
  upload.make_resumable(hash);
  return upload;
}

std::uint64_t FileStore::partial_size(std::string_view name) {
  check_write(options_);
  check_file_name(name);
  const std::string hash = part_name(name);
  const std::shared_ptr<Folders> folders = this->folders();
  const auto part = looked_at("look for the part of", name, [&] { return folders->part_size(hash); });
  return part ? *part : folders->attempt_size(hash);
}

FileStore::Download FileStore::open(std::string_view name) {
  check_read(options_);
  return open_file(name);
}

FileStore::Download FileStore::open_file(std::string_view name) {
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
  check_read(options_);
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
  check_read(options_);
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
  check_write(options_);
  const std::string text(name);
  const auto look = [&] { return file_status_in(folders()->root.get(), text.c_str()); };
  const auto status = looked_at("look at", name, look);
  if (!status || static_cast<std::uint64_t>(status->st_size) != size) return false;
  const Download file = open_file(name);
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
  check_write(options_);
  check_access(options_.access.remove, "remove");
  check_file_name(name);
  const std::string text(name);
  const std::shared_ptr<Folders> folders = this->folders();
  const std::lock_guard lock(folders->accounts);
  std::optional<struct stat> status;
  if (folders->usage) {
    status = looked_at("remove", name, [&] { return file_status_in(folders->root.get(), text.c_str()); });
  }
  if (::unlinkat(folders->root.get(), text.c_str(), 0) != 0) refuse_file("remove", name, errno);
  if (status) folders->usage->settle(0, -status->st_size);
}

std::uint64_t FileStore::free_space() {
  struct statvfs status{};
  if (::fstatvfs(folders()->root.get(), &status) != 0) return UINT64_MAX;  // it shows when it is written
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

std::uint64_t FileStore::used_space() {
  const std::shared_ptr<Folders> folders = this->folders();
  return folders->usage ? folders->usage->total() : 0;
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

}  // namespace framecall
