#include "server/methods/file_methods.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "framecall/detail/file_upload.hpp"
#include "framecall/detail/json_text.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"
#include "server/methods/builtin_parameters.hpp"
#include "server/server_state.hpp"

namespace framecall {
namespace {

constexpr std::size_t default_page = 1000, largest_page = 10000;  // files in one answer of file.list

/// What happens if a file of the name exists.
struct IfExistsKind {
  using Value = std::string;
  static Json schema() { return {{"enum", {"replace", "reject"}}}; }
  static Value read(const char* name, const Json& value) {
    std::string text = TextKind::read(name, value);
    if (text != "replace" && text != "reject") refuse_value(name, "\"replace\" or \"reject\"", printable(text, 40));
    return text;
  }
};

constexpr BuiltinParameter<FileNameKind> name_parameter{"name", true};
constexpr BuiltinParameter<SizeKind> size_parameter{"size"};
constexpr BuiltinParameter<SizeKind> offset_parameter{"offset"};
constexpr BuiltinParameter<SizeKind> length_parameter{"length"};
constexpr BuiltinParameter<SizeKind> limit_parameter{"limit"};
constexpr BuiltinParameter<TextKind> sha256_parameter{"sha256"};
constexpr BuiltinParameter<TextKind> prefix_parameter{"prefix"};
constexpr BuiltinParameter<TextKind> after_parameter{"after"};
constexpr BuiltinParameter<FlagKind> partial_parameter{"partial"};
constexpr BuiltinParameter<IfExistsKind> if_exists_parameter{"if_exists"};

void limit(std::uint64_t most, std::uint64_t got, const std::string& message) {
  if (got > most) throw CallError(ErrorCode::resource_exhausted, message, limit_data(most, got));
}

// Writes the text of an object. It uses no Json, because the destructor of a Json needs memory.
class ObjectText {
 public:
  ObjectText& text(std::string_view key, std::string_view value) { return write_string(begin(key), value), *this; }
  template <class T>
  ObjectText& number(std::string_view key, T value) {
    return write_integer(begin(key), value), *this;
  }
  ObjectText& as_it_is(std::string_view key, std::string_view value) { return begin(key).append(value), *this; }
  std::string finish() {
    text_ += '}';
    return std::move(text_);
  }
  Response response() {
    Response response;
    response.result = finish();
    return response;
  }

 private:
  std::string& begin(std::string_view key) {
    text_ += text_.empty() ? "{" : ", ";
    write_string(text_, key);
    return text_.append(": ");
  }
  std::string text_;
};

ObjectText entry_text(const FileStore::Entry& entry) {
  ObjectText text;
  text.text("name", entry.name).number("size", entry.size).number("mtime", entry.mtime);
  return text;
}

// The body of file.put.
class IncomingFile final : public IncomingBody {
 public:
  // Throws CallError for what cannot be stored, before any of it is taken.
  IncomingFile(ServerState& server, const BuiltinParams& params, std::string_view digest, std::uint64_t body_size);

  void write(std::string_view bytes) override;
  // Without a running sum the whole file is read to get its SHA-256.
  RunsOn runs_on() const override { return !upload_ || !sum_ ? RunsOn::worker_in_turn : RunsOn::worker; }
  // Checks the file, flushes it and gives it its name.
  Response finish(const std::stop_token& stop) override;
  std::string summary() const override {
    return "stored \"" + printable(name_) + "\", " + std::to_string(size_) + " bytes";
  }

 private:
  Response publish(const std::stop_token& stop);
  Response compare_with_existing(const std::stop_token& stop) const;
  Response answer(const std::string& sha256) const;

  ServerState& server_;
  std::shared_ptr<FileStore> files_;
  Durability durability_;
  std::string name_;
  std::uint64_t size_ = 0;
  std::optional<std::string> sha256_;  // of the file, as announced
  bool replace_ = true;
  std::optional<FileStore::Upload> upload_;  // none: an earlier attempt may have stored all of it
  std::optional<Digest> sum_;                // of what was written, if that is the whole file
  std::optional<std::string> body_sha256_;   // of the body, as announced, in base64
  std::optional<Digest> body_sum_;
};

IncomingFile::IncomingFile(ServerState& server, const BuiltinParams& params, std::string_view digest,
                           std::uint64_t body_size)
    : server_(server),
      files_(server.options.files),
      durability_(server.options.put_durability),
      name_(params.get(name_parameter)),
      body_sha256_(announced_sha256(digest)) {
  const std::uint64_t offset = params.find(offset_parameter).value_or(0);
  size_ = params.find(size_parameter).value_or(offset + body_size);  // two numbers below 2^63
  if (offset > size_ || body_size != size_ - offset) {
    refuse_params("a body of " + std::to_string(body_size) + " bytes, where size " + std::to_string(size_) +
                  " and offset " + std::to_string(offset) + " leave another number");
  }
  sha256_ = params.find(sha256_parameter);
  replace_ = params.find(if_exists_parameter) != "reject";
  check_max_file(server.options, name_, size_);
  FileStore& files = *files_;
  const std::uint64_t free = files.free_space();
  limit(free, body_size, "a body of " + std::to_string(body_size) + " bytes: the disk has " + std::to_string(free));
  if (offset == size_ && size_ > 0 && sha256_ && files.partial_size(name_) != size_) return;
  if (!replace_ && files.exists(name_)) {
    throw CallError(ErrorCode::already_exists, "\"" + printable(name_) + "\" is there already");
  }
  upload_.emplace(files.resume(name_, offset, size_));
  if (offset == 0) sum_.emplace(DigestKind::sha256);
  if (body_sha256_) body_sum_.emplace(DigestKind::sha256);
}

void IncomingFile::write(std::string_view bytes) {
  if (sum_) sum_->update(bytes);
  if (body_sum_) body_sum_->update(bytes);
  upload_->write(bytes);
}

Response IncomingFile::finish(const std::stop_token& stop) {
  Response response = upload_ ? publish(stop) : compare_with_existing(stop);
  ++server_.uploads;
  return response;
}

Response IncomingFile::publish(const std::stop_token& stop) {
  FileStore::Upload upload = std::move(*upload_);  // unlocks the part before the answer: the caller may retry at once
  upload_.reset();
  if (body_sum_) {
    const std::string actual = body_sum_->finish_base64();
    if (actual != *body_sha256_) upload.discard();
    check_sha256(*body_sha256_, actual);
  }
  const std::string sha256 = sum_ ? sum_->finish() : upload.sha256(stop);
  if (sha256_ && *sha256_ != sha256) {
    upload.discard();
    throw CallError(ErrorCode::data_loss, "\"" + printable(name_) + "\": its SHA-256 is " + sha256 +
                                              ", announced was " + printable(*sha256_, 80));
  }
  upload.publish(durability_, replace_);
  return answer(sha256);
}

// An earlier attempt may have stored the file, and lost the connection before its answer.
Response IncomingFile::compare_with_existing(const std::stop_token& stop) const {
  if (files_->holds(name_, size_, *sha256_, durability_, stop)) return answer(*sha256_);
  const std::uint64_t right = files_->partial_size(name_);
  throw CallError(
      ErrorCode::aborted,
      "\"" + printable(name_) + "\": neither the file nor a part of " + std::to_string(size_) + " bytes is here",
      "{\"offset\": " + std::to_string(right) + "}");
}

Response IncomingFile::answer(const std::string& sha256) const {
  return ObjectText().text("name", name_).number("size", size_).text("sha256", sha256).response();
}

std::unique_ptr<IncomingBody> put_file(ServerState& server, const BuiltinParams& params, std::string_view digest,
                                       std::uint64_t body_size) {
  return std::make_unique<IncomingFile>(server, params, digest, body_size);
}

OutgoingFile get_file(FileStore& files, const BuiltinParams& params) {
  FileStore::Download file = files.open(params.get(name_parameter));
  file.set_range(params.find(offset_parameter).value_or(0), params.find(length_parameter));
  ObjectText result;
  result.text("name", file.name()).number("size", file.size()).number("offset", file.offset());
  result.number("length", file.length()).number("mtime", file.mtime());
  return {result.response(), std::move(file)};
}

Response list_files(FileStore& files, const BuiltinParams& params, const std::stop_token& stop) {
  const std::uint64_t page = params.find(limit_parameter).value_or(default_page);
  if (page < 1 || page > largest_page) {
    refuse_value(limit_parameter.name, "1 .. " + std::to_string(largest_page), std::to_string(page));
  }
  const auto size = static_cast<std::size_t>(page);
  const std::string prefix = params.find(prefix_parameter).value_or(""),
                    after = params.find(after_parameter).value_or("");
  FileStore::Listing listing = files.list(prefix, after, size + 1, stop);
  const bool more = listing.files.size() > size;
  if (more) listing.files.pop_back();
  std::string list = "[";
  for (const FileStore::Entry& entry : listing.files)
    list.append(list.size() > 1 ? ", " : "").append(entry_text(entry).finish());
  ObjectText result;
  result.as_it_is("files", list.append("]"));
  more ? result.text("next", listing.files.back().name) : result.as_it_is("next", "null");
  if (listing.left_out > 0) result.number("left_out", listing.left_out);
  return result.response();
}

Response stat_file(FileStore& files, const BuiltinParams& params, const std::stop_token&) {
  const std::string name = params.get(name_parameter);
  if (params.find(partial_parameter).value_or(false)) {
    return ObjectText().number("offset", files.partial_size(name)).response();
  }
  return entry_text(files.stat(name)).response();
}

Response remove_file(FileStore& files, const BuiltinParams& params, const std::stop_token&) {
  const std::string name = params.get(name_parameter);
  files.remove(name);
  return ObjectText().text("name", name).response();
}

}  // namespace

FileStore& files_of(const ServerOptions& options) {
  if (!options.files) throw CallError(ErrorCode::failed_precondition, "this server takes no files");
  return *options.files;
}

void check_max_file(const ServerOptions& options, std::string_view name, std::uint64_t size) {
  limit(options.max_file, size,
        "file \"" + printable(name) + "\" of " + std::to_string(size) + " bytes: max_file is " +
            std::to_string(options.max_file));
}

std::vector<BuiltinMethod> file_methods() {
  return {
      {"file.put",
       "stores the body as a file, whole and on disk",
       {name_parameter, size_parameter, offset_parameter, sha256_parameter, if_exists_parameter},
       RunsOn::worker,
       false,
       put_file},
      {"file.get",
       "a file, or a range of it, as the body",
       {name_parameter, offset_parameter, length_parameter},
       RunsOn::worker_in_turn,
       false,
       get_file},
      {"file.list",
       "the files, sorted, a page at a time",
       {prefix_parameter, after_parameter, limit_parameter},
       RunsOn::worker_in_turn,
       false,
       list_files},
      {"file.stat",
       "size and time of a file; with partial, the bytes of a cut-off file.put",
       {name_parameter, partial_parameter},
       RunsOn::worker,
       false,
       stat_file},
      {"file.remove", "removes a file", {name_parameter}, RunsOn::worker, false, remove_file},
  };
}

}  // namespace framecall
