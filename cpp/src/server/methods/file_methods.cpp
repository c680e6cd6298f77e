#include "server/methods/file_methods.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "framecall/detail/json_text.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

constexpr std::size_t default_page = 1000, largest_page = 10000;  // files of one answer of file.list

[[noreturn]] void refuse(const std::string& what) { throw CallError(ErrorCode::invalid_params, what); }

// The params of a method: an object, or nothing.
class Params {
 public:
  Params(const Json& params, std::initializer_list<std::string_view> known) : params_(params) {
    if (params.is_null()) return;
    if (!params.is_object()) refuse("params: expected an object, got " + printable(dump_json(params), 60));
    for (const auto& [key, value] : params.items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) refuse("unknown parameter " + printable(key, 40));
    }
  }

  std::optional<std::string> text(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) refuse(expected(name, "a string", *value));
    return value->get<std::string>();
  }
  std::optional<std::uint64_t> size(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_unsigned() && !(value->is_number_integer() && value->get<std::int64_t>() >= 0)) {
      refuse(expected(name, "an integer, 0 or more", *value));
    }
    const auto number = value->get<std::uint64_t>();
    if (number > std::uint64_t{INT64_MAX}) refuse(expected(name, "an integer below 2^63", *value));
    return number;
  }
  bool flag(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) return false;
    if (!value->is_boolean()) refuse(expected(name, "true or false", *value));
    return value->get<bool>();
  }
  std::string name() const {
    auto name = text("name");
    if (!name) refuse("parameter name is missing");
    check_file_name(*name);
    return std::move(*name);
  }

 private:
  const Json* find(const char* name) const {
    if (params_.is_null()) return nullptr;
    const auto found = params_.find(name);
    return found == params_.end() || found->is_null() ? nullptr : &*found;
  }
  static std::string expected(const char* name, const char* what, const Json& got) {
    return std::string("parameter ") + name + ": expected " + what + ", got " + printable(dump_json(got), 60);
  }
  const Json& params_;
};

void limit(std::uint64_t most, std::uint64_t got, const std::string& message) {
  if (got > most) throw CallError(ErrorCode::resource_exhausted, message, limit_data(most, got));
}

// The text of an object, put together without a Json, whose destructor needs memory.
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

IncomingFile::IncomingFile(const ServerOptions& options, const Json& all, std::string_view digest,
                           std::uint64_t body_size)
    : files_(options.files), durability_(options.put_durability), body_sha256_(announced_sha256(digest)) {
  FileStore& files = files_of(options);
  const Params params(all, {"name", "size", "offset", "sha256", "if_exists"});
  name_ = params.name();
  const std::uint64_t offset = params.size("offset").value_or(0);
  size_ = params.size("size").value_or(offset + body_size);  // two numbers below 2^63
  if (offset > size_ || body_size != size_ - offset) {
    refuse("a body of " + std::to_string(body_size) + " bytes, where size " + std::to_string(size_) + " and offset " +
           std::to_string(offset) + " leave another number");
  }
  sha256_ = params.text("sha256");
  const std::string if_exists = params.text("if_exists").value_or("replace");
  if (if_exists != "replace" && if_exists != "reject") {
    refuse("parameter if_exists: expected \"replace\" or \"reject\", got " + printable(if_exists, 40));
  }
  replace_ = if_exists == "replace";
  check_max_file(options, name_, size_);
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
  if (!upload_) return compare_with_what_is_there(stop);
  FileStore::Upload upload = std::move(*upload_);  // its lock goes before the answer: the caller may try again at once
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

// The attempt before was cut off when the file had its name, and its sender did not learn it.
Response IncomingFile::compare_with_what_is_there(const std::stop_token& stop) const {
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

OutgoingFile get_file(FileStore& files, const Json& all) {
  const Params params(all, {"name", "offset", "length"});
  FileStore::Download file = files.open(params.name());
  file.set_range(params.size("offset").value_or(0), params.size("length"));
  ObjectText result;
  result.text("name", file.name()).number("size", file.size()).number("offset", file.offset());
  result.number("length", file.length()).number("mtime", file.mtime());
  return {result.response(), std::move(file)};
}

namespace {

Response list_files(FileStore& files, const Json& all, const std::stop_token& stop) {
  const Params params(all, {"prefix", "after", "limit"});
  const std::uint64_t page = params.size("limit").value_or(default_page);
  if (page < 1 || page > largest_page) {
    refuse("parameter limit: expected 1 .. " + std::to_string(largest_page) + ", got " + std::to_string(page));
  }
  const auto size = static_cast<std::size_t>(page);
  const std::string prefix = params.text("prefix").value_or(""), after = params.text("after").value_or("");
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

}  // namespace

Response answer_about_files(FileStore& files, std::string_view method, const Json& all, const std::stop_token& stop) {
  if (method == "file.list") return list_files(files, all, stop);
  if (method == "file.stat") {
    const Params params(all, {"name", "partial"});
    const std::string name = params.name();
    if (params.flag("partial")) return ObjectText().number("offset", files.partial_size(name)).response();
    return entry_text(files.stat(name)).response();
  }
  const Params params(all, {"name"});
  const std::string name = params.name();
  files.remove(name);
  return ObjectText().text("name", name).response();
}

}  // namespace framecall
