// Files over calls: put, get, list, resumed, verified (PROTOCOL.md, section 4).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/client_options.hpp"
#include "framecall/endpoint.hpp"

namespace framecall {

/// A file of a server.
struct FileInfo {
  std::string name;
  std::uint64_t size = 0;
  std::int64_t mtime = 0;  ///< seconds since 1970
};

/// How far a transfer is: bytes of the file that are there, those that were there before it began among them, and the size of
/// the file. Called after every piece; exceptions pass through and end the transfer, what is there stays.
using FileProgress = std::function<void(std::uint64_t done, std::uint64_t size)>;

struct PutOptions {
  PutOptions() {}
  bool resume = false;  ///< go on where an earlier attempt was cut off; nothing is sent of a file that is there already
  bool replace = true;  ///< what is there under the name; if not: RemoteError(already_exists)
  FileProgress progress;
};

struct GetOptions {
  GetOptions() {}
  bool resume = false;                  ///< continue the part that an earlier attempt left beside the target
  std::uint64_t offset = 0;             ///< of a range; not together with resume
  std::optional<std::uint64_t> length;  ///< of a range; nothing: to the end
  std::uint64_t max_size = INT64_MAX;   ///< bytes; a server that announces more is a ProtocolError
  FileProgress progress;
};

/// What a transfer came to.
struct Transfer {
  std::uint64_t size = 0;   ///< of the file, or of the range
  std::uint64_t moved = 0;  ///< bytes that travelled now
  std::string sha256;       ///< of a put file, as the server has computed it: lower-case hexadecimal digits
};

/// One connection, made with the first call and again after a loss. Blocks, one thread at a time; several clients may move
/// files of one server at once. ClientOptions::timeout counts for connecting and for every time without progress.
///
/// Errors as with Client: RemoteError (not_found, already_exists, permission_denied, resource_exhausted, data_loss, aborted,
/// ...), UnavailableError, SystemError (timed_out; no connection), ProtocolError; std::filesystem::filesystem_error for
/// local files.
class FileClient {
 public:
  explicit FileClient(const Endpoint& endpoint, ClientOptions options = ClientOptions());
  ~FileClient();
  FileClient(const FileClient&) = delete;

  /// Stores a regular file under `name`. When it returns, the server has it whole, on disk, under that name, and the SHA-256 of
  /// what it has is that of what was read here. A cut-off attempt leaves a part there, for `resume`.
  /// Throws std::runtime_error for what is no regular file, and for one that changed meanwhile.
  Transfer put(const std::filesystem::path& path, std::string_view name, const PutOptions& options = PutOptions());
  /// Fetches a file, or a range of it, as `target`, replacing what is there. A cut-off attempt leaves `TARGET.part`; the target
  /// appears when it is whole. A file that changed on the server since a part was made is fetched anew. Throws ProtocolError
  /// if what the server announces does not agree, and std::filesystem::filesystem_error before the first byte of a file that
  /// the disk has no room for.
  Transfer get(std::string_view name, const std::filesystem::path& target, const GetOptions& options = GetOptions());
  /// The same to a function, in pieces, in order. No resume.
  Transfer read(std::string_view name, const std::function<void(std::string_view)>& sink,
                const GetOptions& options = GetOptions());

  /// All files whose names begin with `prefix`, sorted bytewise. Throws ProtocolError above 64 MiB of them.
  std::vector<FileInfo> list(std::string_view prefix = {});
  /// The same page by page, in the memory of one page. Returns how many files the server left out because their names are not
  /// UTF-8.
  std::uint64_t list(std::string_view prefix, const std::function<void(std::vector<FileInfo>)>& on_page);
  FileInfo stat(std::string_view name);
  /// How many bytes of a cut-off put the server has; 0: none.
  std::uint64_t partial(std::string_view name);
  void remove(std::string_view name);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace framecall
