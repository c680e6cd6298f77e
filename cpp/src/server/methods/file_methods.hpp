// The methods file.put, file.get, file.list, file.stat and file.remove (PROTOCOL.md, section 4), without the connection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "framecall/call.hpp"
#include "framecall/detail/file_upload.hpp"
#include "framecall/server_options.hpp"
#include "framecall/wire/digest.hpp"

namespace framecall {

/// A file that comes in as the body of file.put. Everything throws CallError.
class IncomingFile {
 public:
  /// `digest`, of the body, and `body_size`: what the header announces. Refuses what has no room, before any of it is taken.
  IncomingFile(const ServerOptions& options, const Json& params, std::string_view digest, std::uint64_t body_size);

  void write(std::string_view bytes);
  /// Checks, flushes, gives it its name: waits for the disk. The answer to the call. What only costs time stops with `stop`.
  Response finish(const std::stop_token& stop);
  /// For its SHA-256: finish() takes its time.
  bool reads_whole_file() const { return !upload_ || !sum_; }
  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }

 private:
  Response answer(const std::string& sha256) const;
  Response compare_with_what_is_there(const std::stop_token& stop) const;

  std::shared_ptr<FileStore> files_;
  Durability durability_;
  std::string name_;
  std::uint64_t size_;
  std::optional<std::string> sha256_;  // as announced
  bool replace_ = true;
  std::optional<FileStore::Upload> upload_;  // none: an earlier attempt may have stored all of it
  std::optional<Digest> sum_;                // of what has come, if it is all of it
  std::optional<std::string> body_sha256_;   // announced for the body, in base64
  std::optional<Digest> body_sum_;
};

/// What file.get answers with.
struct OutgoingFile {
  Response response;
  FileStore::Download file;
};

/// The options' files; throws CallError(failed_precondition) where there are none.
FileStore& files_of(const ServerOptions& options);

/// Throws CallError(resource_exhausted) if a file of this size is one too large. (Its FileStore looks at the quota.)
void check_max_file(const ServerOptions& options, std::string_view name, std::uint64_t size);

/// These wait for the disk.
OutgoingFile get_file(FileStore& files, const Json& params);
/// file.list, file.stat, file.remove.
Response answer_about_files(FileStore& files, std::string_view method, const Json& params, const std::stop_token& stop);

}  // namespace framecall
