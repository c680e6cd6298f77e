#include "framecall/file_client.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "client/blocking_connection.hpp"
#include "client/local_file.hpp"
#include "framecall/call.hpp"
#include "framecall/detail/request_encoder.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"
#include "framecall/wire/json.hpp"
#include "wire/result_reader.hpp"

namespace framecall {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t piece_limit = 1 << 20;  // replies with larger bodies come in pieces
constexpr int busy_attempts = 20;               // while the server has not noticed that the attempt before is gone
constexpr std::chrono::milliseconds busy_pause(100);
constexpr std::size_t max_name_size = 255;              // bytes; PROTOCOL.md, section 3
constexpr std::uint64_t max_list_memory = 64ULL << 20;  // of a list that is returned whole

// The file of the server is not the one that the part is of.
struct Changed {};

FileInfo file_of(const ResultReader& result) {
  FileInfo info;
  info.name = result.text("name");
  if (info.name.size() > max_name_size) {
    result.wrong("the name has " + std::to_string(info.name.size()) + " bytes, at most 255");
  }
  info.size = result.size("size");
  info.mtime = result.time("mtime");
  return info;
}

}  // namespace

class FileClient::Implementation {
 public:
  Implementation(const Endpoint& endpoint, ClientOptions options)
      : endpoint_(endpoint), shown_(endpoint.to_string()), options_(with_lengths_alone(std::move(options))) {}

  Json call(std::string_view method, const Json& params) {
    begin(method, params, 0);
    CallReply& reply = receive();
    return parse_json(whole(reply).result);
  }

  /// Which peer and method a result is of.
  std::string where() const { return shown_ + ": " + what_; }

  Transfer put(const std::filesystem::path& path, std::string_view name, const PutOptions& options) {
    const LocalFile file(path, O_RDONLY | O_NONBLOCK);
    const auto before = file.status();
    if (!S_ISREG(before.st_mode)) throw std::runtime_error(path.string() + ": not a regular file");
    const auto size = static_cast<std::uint64_t>(before.st_size);
    // What a resumed part was made of is not known: the server has to end up with what is here now.
    std::string sha256 = options.resume ? digest_of_file(DigestKind::sha256, file.get()) : std::string();
    std::uint64_t offset = options.resume ? partial(name) : 0;
    if (options.resume && (offset == 0 || offset > size)) offset = size > 0 && offset == 0 ? size : 0;
    for (int attempt = 0;; ++attempt) {
      try {
        return send(file, path, name, size, offset, sha256, options);
      } catch (const RemoteError& error) {
        const bool busy = error.code() == static_cast<int>(ErrorCode::unavailable);
        if (!options.resume || attempt > busy_attempts || offset == 0) throw;
        if (busy && attempt == busy_attempts) {
          offset = 0;  // somebody else keeps it: it is not ours
        } else if (busy) {
          pause();
        } else if (error.code() == static_cast<int>(ErrorCode::aborted)) {
          offset = offset_of(error, size);
        } else if (error.code() == static_cast<int>(ErrorCode::data_loss)) {
          offset = 0;  // the part was of another file
        } else {
          throw;
        }
      }
    }
  }

  /// `begin_with` gets the result, and how many bytes will come.
  Transfer read(std::string_view name, const GetOptions& wanted,
                const std::function<void(const ResultReader& head, std::uint64_t size)>& begin_with,
                const std::function<void(std::string_view)>& sink) {
    Json params = {{"name", name}, {"offset", wanted.offset}};
    if (wanted.length) params["length"] = *wanted.length;
    begin("file.get", params, 0);
    Transfer transfer;
    std::uint64_t size = 0;
    for (bool more = true; more;) {
      CallReply& reply = receive();
      more = reply.continues;
      if (!more) under_way_ = false;
      if (reply.error) throw RemoteError(*reply.error);
      if (!reply.continued) {
        if (reply.more)
          throw ProtocolError(ErrorCode::invalid_request, 0, where() + ": a reply in parts, where one was due");
        const Json value = parse_json(reply.result);
        const ResultReader head(value, where());
        size = head.size("size");
        begin_with(head, announced(head, wanted, reply.body_size));
      }
      sink(reply.body.view());
      transfer.moved += reply.body.size();
      if (wanted.progress) wanted.progress(wanted.offset + transfer.moved, size);
      if (reply.damage) throw ProtocolError(*reply.damage);
      reply.body.clear();
    }
    transfer.size = transfer.moved;
    return transfer;
  }

  std::uint64_t partial(std::string_view name) {
    const Json value = call("file.stat", {{"name", name}, {"partial", true}});
    return ResultReader(value, where()).size("offset");
  }

 private:
  // Where the server's part ends; 0, to begin anew, if it says nothing of use.
  static std::uint64_t offset_of(const RemoteError& error, std::uint64_t size) {
    const Json data = error.data().empty() ? Json() : parse_json(error.data());
    const auto offset = data.is_object() ? size_of(data.value("offset", Json())) : std::nullopt;
    return offset && *offset <= size ? *offset : 0;
  }

  // The bytes that follow a result of file.get: all that it says about them must agree.
  static std::uint64_t announced(const ResultReader& head, const GetOptions& wanted, std::uint64_t body_size) {
    const std::uint64_t size = head.size("size");
    if (wanted.offset > size) head.wrong("the file ends before the offset " + std::to_string(wanted.offset));
    const std::uint64_t rest = size - wanted.offset, due = std::min(wanted.length.value_or(rest), rest);
    const auto check = [&](const char* what, std::uint64_t got, std::uint64_t expected) {
      if (got != expected) {
        head.wrong(std::string(what) + " is " + std::to_string(got) + " instead of " + std::to_string(expected));
      }
    };
    if (head.has("offset")) check("\"offset\"", head.size("offset"), wanted.offset);
    if (head.has("length")) check("\"length\"", head.size("length"), due);
    check("body_size", body_size, due);
    if (due > wanted.max_size) {
      throw ProtocolError(
          ErrorCode::resource_exhausted, 0,
          head.where() + ": " + std::to_string(due) + " bytes, max_size is " + std::to_string(wanted.max_size));
    }
    return due;
  }

  Transfer send(const LocalFile& file, const std::filesystem::path& path, std::string_view name, std::uint64_t size,
                std::uint64_t offset, const std::string& sha256, const PutOptions& options) {
    Json params = {{"name", name}, {"size", size}};
    if (offset > 0) params["offset"] = offset;
    if (!sha256.empty()) params["sha256"] = sha256;
    if (!options.replace) params["if_exists"] = "reject";
    begin("file.put", params, size - offset);
    // Of what is here, while it is sent: none of it comes by on its way from the page cache to the socket.
    std::optional<BackgroundHash> sum;
    if (sha256.empty()) sum.emplace(file);
    const auto on_piece = [&](std::uint64_t done) {
      if (options.progress) options.progress(done, size);
    };
    sent_ = false;
    try {
      sent_ = connection_->send_file(file.get(), path.string(), offset, size, options_.timeout, on_piece);
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::timed_out) lost(error);
      throw;
    }
    const Response response = whole(receive());
    Transfer transfer;
    transfer.size = size;
    transfer.moved = size - offset;
    const Json value = response.value();
    const ResultReader result(value, where());
    transfer.sha256 = result.text("sha256");
    if (result.has("size") && result.size("size") != size) result.wrong("\"size\" is not " + std::to_string(size));
    if (transfer.sha256 != (sum ? sum->get() : sha256)) {
      throw std::runtime_error(path.string() + ": it changed while it was sent, or was damaged on the way");
    }
    return transfer;
  }

  void begin(std::string_view method, const Json& params, std::uint64_t body_size) {
    what_ = method;
    if (connection_ && (under_way_ || !connection_->healthy(std::chrono::steady_clock::now()))) connection_.reset();
    if (!connection_) {
      connection_ = std::make_unique<BlockingConnection>(endpoint_, shown_, options_.check, options_.max_header,
                                                         piece_limit, deadline(), dialect_of(options_));
    }
    CallHead head;
    head.id = std::to_string(connection_->next_id());
    id_ = head.id;
    head.method = method;
    const std::string text = dump_json(params);
    head.params = text;
    std::string header;
    write_call(header, head, body_size);
    under_way_ = sent_ = true;
    try {
      connection_->send(encode_head(header, prefix_of(options_)), {}, deadline());
    } catch (const std::system_error& error) {
      lost(error);
    }
  }

  CallReply& receive() {
    try {
      CallReply& reply = connection_->receive(deadline());
      if (!reply.id.empty() && reply.id != id_) {
        throw ProtocolError(ErrorCode::invalid_request, 0,
                            shown_ + ": a reply to id " + printable(reply.id, 40) + ", where " + id_ + " is under way");
      }
      return reply;
    } catch (const std::system_error& error) {
      lost(error);
    }
  }

  Response whole(CallReply& reply) {
    const bool refused_early = reply.error && !sent_;
    under_way_ = reply.continues || reply.more || refused_early;  // the rest of a body is due still
    return response_of(std::move(reply), shown_);
  }

  [[noreturn]] void lost(const std::system_error& error) {
    if (error.code() == std::errc::timed_out) {
      throw SystemError(error.code(), shown_ + ": no progress of " + what_);
    }
    throw UnavailableError(error.code(),
                           "UNAVAILABLE: " + shown_ + ": the connection was lost with " + what_ + " under way");
  }

  void pause() const {
    const int nothing = -1;
    wait_ready(nothing, 0, Clock::now() + busy_pause, options_.check);
  }

  Clock::time_point deadline() const { return Clock::now() + options_.timeout; }

  const Endpoint endpoint_;
  const std::string shown_;
  const ClientOptions options_;
  std::unique_ptr<BlockingConnection> connection_;
  std::string what_, id_;
  bool sent_ = true;        // all of the body
  bool under_way_ = false;  // in the middle of a call: the connection serves no other one
};

FileClient::FileClient(const Endpoint& endpoint, ClientOptions options)
    : implementation_(std::make_unique<Implementation>(endpoint, std::move(options))) {}
FileClient::~FileClient() = default;

Transfer FileClient::put(const std::filesystem::path& path, std::string_view name, const PutOptions& options) {
  return implementation_->put(path, name, options);
}

Transfer FileClient::get(std::string_view name, const std::filesystem::path& target, const GetOptions& options) {
  if (options.resume && (options.offset > 0 || options.length)) {
    throw std::invalid_argument("a range cannot be resumed");
  }
  std::error_code ignored;
  if (std::filesystem::is_directory(target, ignored)) fail_with_file(target, EISDIR);
  std::filesystem::path part = target;
  part += ".part";
  LocalFile file(part, O_RDWR | O_CREAT | O_NOFOLLOW);
  // A part says what it is of by its time: the server's file has to be the same still.
  std::uint64_t begun = 0;
  std::int64_t mtime = -1;
  if (options.resume) {
    begun = static_cast<std::uint64_t>(file.status().st_size);
    mtime = file.status().st_mtime;
    if (begun > 0) {
      const FileInfo info = stat(name);
      if (info.mtime != mtime || info.size < begun) begun = 0;
    }
  }
  if (::ftruncate(file.get(), static_cast<off_t>(begun)) != 0) fail_with_file(part, errno);
  if (::lseek(file.get(), 0, SEEK_END) < 0) fail_with_file(part, errno);
  const auto keep_time = [&] {
    if (mtime < 0) return;
    const timespec times[2] = {{0, UTIME_OMIT}, {static_cast<time_t>(mtime), 0}};
    ::futimens(file.get(), times);
  };
  GetOptions rest = options;
  rest.offset += begun;
  Transfer transfer;
  try {
    transfer = implementation_->read(
        name, rest,
        [&](const ResultReader& head, std::uint64_t size) {
          const std::int64_t now = head.time("mtime");
          if (begun > 0 && now != mtime) throw Changed();
          mtime = now;
          file.check_room(size);
        },
        [&](std::string_view bytes) { file.write(bytes); });
  } catch (const ProtocolError&) {
    // What came may be damaged, or of another file: nothing goes on from it.
    [[maybe_unused]] const int problem = ::ftruncate(file.get(), static_cast<off_t>(begun));
    keep_time();
    if (begun == 0) ::unlink(part.c_str());
    throw;
  } catch (const Changed&) {  // between the look at it and its first byte
    GetOptions anew = options;
    anew.resume = false;
    return get(name, target, anew);
  } catch (...) {
    keep_time();
    if (file.status().st_size == 0) ::unlink(part.c_str());
    throw;
  }
  transfer.size += begun;
  file.close();
  std::filesystem::rename(part, target);
  return transfer;
}

Transfer FileClient::read(std::string_view name, const std::function<void(std::string_view)>& sink,
                          const GetOptions& options) {
  return implementation_->read(name, options, [](const ResultReader&, std::uint64_t) {}, sink);
}

std::uint64_t FileClient::list(std::string_view prefix, const std::function<void(std::vector<FileInfo>)>& on_page) {
  std::string after;
  std::uint64_t left_out = 0;
  for (bool more = true; more;) {
    const Json value = implementation_->call("file.list", {{"prefix", prefix}, {"after", after}});
    const ResultReader page(value, implementation_->where());
    if (!page["files"].is_array()) page.wrong("\"files\" is not an array");
    std::vector<FileInfo> files;
    for (const Json& file : page["files"]) files.push_back(file_of(ResultReader(file, page.where())));
    more = !page["next"].is_null();
    if (more) {
      std::string next = page.text("next");
      // Else the list would have no end.
      if (next <= after || files.empty()) page.wrong("\"next\" does not go on behind " + in_quotes(after));
      after = std::move(next);
    }
    if (page.has("left_out")) left_out = page.size("left_out");  // of all pages
    on_page(std::move(files));
  }
  return left_out;
}

std::vector<FileInfo> FileClient::list(std::string_view prefix) {
  std::vector<FileInfo> all;
  std::uint64_t memory = 0;
  list(prefix, [&](std::vector<FileInfo> page) {
    for (FileInfo& file : page) {
      memory += sizeof file + file.name.size();
      all.push_back(std::move(file));
    }
    if (memory > max_list_memory) {
      throw ProtocolError(ErrorCode::resource_exhausted, 0,
                          implementation_->where() +
                              ": more than 64 MiB of names and sizes; list with a longer prefix, or a "
                              "page at a time");
    }
  });
  return all;
}

FileInfo FileClient::stat(std::string_view name) {
  const Json value = implementation_->call("file.stat", {{"name", name}});
  return file_of(ResultReader(value, implementation_->where()));
}

std::uint64_t FileClient::partial(std::string_view name) { return implementation_->partial(name); }

void FileClient::remove(std::string_view name) { implementation_->call("file.remove", {{"name", name}}); }

}  // namespace framecall
