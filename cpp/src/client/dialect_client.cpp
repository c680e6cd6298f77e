#include "framecall/dialect_client.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "client/dialect_connection.hpp"
#include "files/part_file.hpp"
#include "framecall/error.hpp"
#include "framecall/wire/digest.hpp"
#include "framecall/wire/header.hpp"
#include "framecall/wire/json.hpp"
#include "wire/dialect_checksum.hpp"

namespace framecall {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t largest_segment = 1400;  // what surely fits into one, whatever is between the two machines
// For the first bytes of a reply that may be a short text or the start of a length: longer than the 40 ms after which
// the rest of one that was sent in two pieces follows, and than the 200 ms after which a lost segment is sent again.
constexpr auto unsure_reply = milliseconds(250);

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {  // opening a FIFO must not wait
    if (descriptor_ < 0) throw SystemError(errno, std::generic_category(), path.string());
    struct stat status{};
    if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(descriptor_);
      throw std::runtime_error(path.string() + ": not a regular file");
    }
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
  OpenFile(const OpenFile&) = delete;
  ~OpenFile() { ::close(descriptor_); }
  int descriptor() const { return descriptor_; }
  std::uint64_t size() const { return size_; }

 private:
  int descriptor_;
  std::uint64_t size_;
};

std::string shown_text(std::string_view text) { return std::string("\"").append(printable(text)).append("\""); }

// What came instead of what was hoped for.
std::string described(const PeerMessage& word) {
  switch (word.kind) {
    case PeerMessage::Kind::frame: return "received " + printable(word.content);
    case PeerMessage::Kind::text: return "received the text " + shown_text(word.content);
    case PeerMessage::Kind::zero: return "received a length of 0";
    case PeerMessage::Kind::end: return "the peer closed the connection";
  }
  return {};
}

RemoteError remote_error(ErrorCode code, const std::string& message) {
  return RemoteError(static_cast<int>(code), message, {});
}

// A text that has no places, and so comes as it stands; or nothing.
std::string exact_text(const Answer& answer) {
  const bool exact = answer.kind == Answer::Kind::text && answer.content.find('$') == std::string::npos;
  return exact ? answer.content : std::string();
}

bool is_said(const Answer& answer) { return answer.kind == Answer::Kind::text || answer.kind == Answer::Kind::frame; }

// agrees() for whatever came.
bool fits(const Answer& answer, const PeerMessage& word) {
  if (!is_said(answer) || word.kind == PeerMessage::Kind::zero || word.kind == PeerMessage::Kind::end) return false;
  try {
    return agrees(answer, word.content);
  } catch (const ProtocolError&) {  // raw text, where a frame is the answer
    return false;
  }
}

bool has_size(const Header& header, const Dialect& dialect) {
  return (!dialect.command_size_key.empty() && header.find(dialect.command_size_key) != nullptr) ||
         std::any_of(dialect.size_keys.begin(), dialect.size_keys.end(),
                     [&](const std::string& key) { return header.find(key) != nullptr; });
}

std::uint64_t trailer_size(const Dialect& dialect) {
  return dialect.checksum_place == Dialect::ChecksumPlace::trailer ? checksum_size : 0;
}

std::string checked_word(const Dialect& dialect, Operation operation, const char* what) {
  const std::string_view word = word_for(dialect, operation);
  if (!word.empty()) return std::string(word);
  throw std::invalid_argument("the dialect \"" + dialect.name + "\" has no word for " + what);
}

// A raw line ends where the peer's recv() ends, so that no control character may get into it.
std::string request_line(std::string word, std::string_view name) {
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') {
      throw std::invalid_argument("file name " + shown_text(name) + ": a raw line has no room for control characters");
    }
  }
  if (!word.empty() && !name.empty()) word += ' ';
  return word.append(name);
}

}  // namespace

DialectClient::DialectClient(const Endpoint& endpoint, DialectOptions options)
    : address_(endpoint.to_string()),
      options_(std::move(options)),
      stream_(std::make_unique<DialectConnection>(endpoint, options_.dialect, options_.timeout, options_.max_reply)) {}

DialectClient::~DialectClient() = default;

void DialectClient::warn(const std::string& message) const {
  if (options_.warning) options_.warning(message);
}

void DialectClient::warn_of_dropped() const {
  if (stream_->dropped() == 0) return;
  warn("dropped what the peer said without having been asked, " + std::to_string(stream_->dropped()) +
       (stream_->dropped() == 1 ? " message: " : " messages, the last one: ") + printable(stream_->last_dropped()));
}

std::optional<Reply> DialectClient::unasked(milliseconds limit) {
  PeerMessage word;
  if (!stream_->next_unasked(word, limit)) return std::nullopt;
  Reply reply;
  if (word.kind != PeerMessage::Kind::frame) {
    reply.body = word.content;
    return reply;
  }
  reply.header = word.content;
  check_reply_size("a message", stream_->body_left());
  stream_->read_body([&reply](std::string_view bytes) { reply.body += bytes; });
  return reply;
}

void DialectClient::check_reply_size(const std::string& what, std::uint64_t size) const {
  if (size <= options_.max_reply) return;
  throw ProtocolError(ErrorCode::resource_exhausted, 0,
                      address_ + ": " + what + " announces " + std::to_string(size) + " bytes, at most " +
                          std::to_string(options_.max_reply) + " are read, max_reply");
}

void DialectClient::await(const Answer& answer, ErrorCode code, const std::string& what) {
  if (!is_said(answer)) return;
  const bool text = answer.kind == Answer::Kind::text;
  if (text && stream_->take_text(what)) return;
  const PeerMessage word = stream_->next_word(what, text ? stream_->quiet() : options_.timeout);
  if (fits(answer, word)) return;
  throw remote_error(code, what + ": expected " + (text ? "the text " + shown_text(answer.content) : answer.content) +
                               ", " + described(word));
}

void DialectClient::login(const std::string& user, const std::string& password) {
  const Dialect& dialect = options_.dialect;
  if (dialect.login == Dialect::Login::none || dialect.user_keys.empty() || dialect.password_keys.empty()) {
    throw std::invalid_argument("the dialect \"" + dialect.name + "\" has no login");
  }
  Json header = Json::object();
  const std::string_view word = word_for(dialect, Operation::login);
  if (!dialect.operation_keys.empty() && !word.empty()) header[dialect.operation_keys.front()] = word;
  header[dialect.user_keys.front()] = user;
  header[dialect.password_keys.front()] = password;
  const std::string text = dump_json(header);
  usable_ = false;
  stream_->begin(AnswerBody::none);
  stream_->expect_text(exact_text(dialect.login_ok));
  dialect.login == Dialect::Login::text ? stream_->send_text(text) : stream_->send_frame(text);
  await(dialect.login_ok, ErrorCode::unauthenticated, "the answer to the login of " + shown_text(user));
  usable_ = logged_in_ = true;
}

std::uint64_t DialectClient::send_file(const std::filesystem::path& path, std::string_view name) {
  const Dialect& dialect = options_.dialect;
  const OpenFile file(path);
  const bool waits = is_said(dialect.before_body);
  std::string checksum, line;
  if (dialect.checksum_place != Dialect::ChecksumPlace::none) {
    checksum = digest_of_file(DigestKind::md5, file.descriptor());
  }
  if (dialect.upload_form == Dialect::UploadForm::line) {
    line = request_line(checked_word(dialect, Operation::upload, "an upload"), name);
  }
  const std::string header = upload_header(dialect, name, file.size(), checksum);
  if (header.size() + dialect.prefixes.front().width > largest_segment) {
    warn("the header of " + shown_text(name) + " has " + std::to_string(header.size()) +
         " bytes: a receiver that reads only once for it may not get it whole");
  }
  usable_ = false;
  stream_->begin(AnswerBody::none);
  stream_->keep_words(waits || is_said(dialect.after_body));
  stream_->expect_text(exact_text(waits ? dialect.before_body : dialect.after_body));
  if (!line.empty()) stream_->send_text(line);
  // The header is held back for the first bytes of the body, if there are any.
  stream_->send_frame(header, file.size() > 0 && !waits);
  await(dialect.before_body, ErrorCode::permission_denied, "the answer before the body of " + shown_text(name));
  stream_->keep_words(is_said(dialect.after_body));
  if (waits) stream_->expect_text(exact_text(dialect.after_body));
  if (options_.progress) options_.progress(0, file.size());
  stream_->send_file(file.descriptor(), path.string(), file.size(), options_.progress);
  if (dialect.checksum_place == Dialect::ChecksumPlace::trailer) {
    stream_->wait_until_received();
    stream_->pause();
    stream_->send_bytes(checksum);
  }
  await(dialect.after_body, ErrorCode::aborted, "the answer behind the body of " + shown_text(name));
  usable_ = true;
  return file.size();
}

void DialectClient::ask_for(Operation operation, std::string_view name) {
  const Dialect& dialect = options_.dialect;
  const char* const what = operation == Operation::download ? "a download" : "a list";
  std::string request;
  bool frame = false;
  if (dialect.ask_form == Dialect::AskForm::name && operation == Operation::download) {
    request = request_line({}, name);
  } else if (dialect.ask_form == Dialect::AskForm::frame) {
    // Without an operation key a name alone is a request, and nothing is none.
    if (!dialect.operation_keys.empty() || name.empty()) checked_word(dialect, operation, what);
    if (dialect.operation_keys.empty() && name.empty()) {
      throw std::invalid_argument("the dialect \"" + dialect.name + "\" has no operation key to ask for a list with");
    }
    request = request_header(dialect, operation, name);
    frame = true;
  } else {
    request = request_line(checked_word(dialect, operation, what), name);
  }
  if (operation == Operation::download && name.empty()) throw std::invalid_argument("a file name that is empty");
  usable_ = false;
  stream_->begin(operation == Operation::download ? AnswerBody::file : AnswerBody::body);
  warn_of_dropped();
  frame ? stream_->send_frame(request) : stream_->send_text(request);
}

// The peer that says no: to somebody who is not logged in, or to a file that it does not have.
void DialectClient::refuse(const PeerMessage& word, const std::string& what) {
  const Dialect& dialect = options_.dialect;
  usable_ = word.kind != PeerMessage::Kind::end && stream_->body_left() == 0;
  const bool login = dialect.login != Dialect::Login::none && !logged_in_ && fits(dialect.login_failed, word);
  throw remote_error(login ? ErrorCode::unauthenticated : ErrorCode::not_found,
                     (login ? "not logged in: " : "not found: ") + what + ": " + described(word));
}

std::uint64_t DialectClient::receive_file(std::string_view name, const std::filesystem::path& target) {
  const Dialect& dialect = options_.dialect;
  PartFile part(target);
  ask_for(Operation::download, name);
  const bool text = dialect.not_found.kind == Answer::Kind::text;
  const PeerMessage word =
      stream_->next_word("the header of " + shown_text(name), text ? unsure_reply : options_.timeout);
  Header header;
  if (word.kind == PeerMessage::Kind::frame) header.read(word.content);
  const bool is_file = word.kind == PeerMessage::Kind::frame && !is_call(header, dialect) && has_size(header, dialect);
  if (!is_file || fits(dialect.not_found, word)) refuse(word, shown_text(name));
  const std::uint64_t size = stream_->body_left() - trailer_size(dialect);
  if (size == 0 && dialect.not_found.kind == Answer::Kind::zero_size) refuse(word, shown_text(name) + ", or empty");
  if (options_.progress) options_.progress(0, size);
  std::uint64_t done = 0;
  read_content(shown_text(name), word.content, size, [&](std::string_view bytes) {
    part.write(bytes);
    done += bytes.size();
    if (options_.progress) options_.progress(done, size);
  });
  part.publish();
  const bool surplus = stream_->has_more();
  if (surplus) warn(shown_text(name) + ": more came than the announced " + std::to_string(size) + " bytes");
  usable_ = !surplus && !stream_->ended();
  return size;
}

// Reads the `size` bytes of a file, and its checksum, wherever that is.
void DialectClient::read_content(const std::string& what, const std::string& header, std::uint64_t size,
                                 const std::function<void(std::string_view)>& sink) {
  const Dialect& dialect = options_.dialect;
  const bool checks = checks_files(dialect);
  std::string claimed;
  if (checks && dialect.checksum_place == Dialect::ChecksumPlace::header) {
    Header members;
    members.read(header);
    claimed = text_of(members, dialect.checksum_keys).value_or(std::string());
  }
  std::optional<Digest> digest;
  if (checks && (trailer_size(dialect) > 0 || is_md5(claimed))) digest.emplace(DigestKind::md5);
  std::uint64_t left = size;
  stream_->read_body([&](std::string_view bytes) {
    const std::string_view content =
        bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size())));
    if (!content.empty()) {
      if (digest) digest->update(content);
      left -= content.size();
      sink(content);
    }
    claimed += bytes.substr(content.size());
  });
  if (checks) judge_checksum(what, claimed, digest ? digest->finish() : std::string());
}

void DialectClient::judge_checksum(const std::string& what, const std::string& claimed, const std::string& actual) {
  switch (compare_checksums(claimed, actual)) {
    case ChecksumMatch::equal: return;
    case ChecksumMatch::absent: warn(what + ": no checksum came with it"); return;
    case ChecksumMatch::no_md5:
      warn(what + ": the checksum " + shown_text(claimed) + " that came with it is no MD5, and was not compared");
      return;
    case ChecksumMatch::different: break;
  }
  const std::string message =
      what + ": damaged on the way, or at the peer: its MD5 is " + actual + ", announced was " + claimed;
  if (options_.dialect.checksum_check == Dialect::ChecksumCheck::reject) {
    throw ProtocolError(ErrorCode::data_loss, 0, message);
  }
  warn(message);
}

Reply DialectClient::list() {
  ask_for(Operation::list, {});
  return read_reply(Operation::list, "the list");
}

Operation DialectClient::send_message(std::string_view text) {
  const Dialect& dialect = options_.dialect;
  std::string header;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw std::invalid_argument("a message that is empty");
  if (text[text.find_first_not_of(" \t\r\n")] == '{') {
    try {
      header = dump_json(parse_json(text));
    } catch (const ProtocolError& error) {
      warn("not JSON, and sent as raw text: " + printable(text) + ": " + error.what());
    }
  }
  Operation operation = Operation::message;
  if (header.empty()) {
    operation = read_line(text, dialect).operation;
  } else {
    Header members;
    members.read(header);
    if (!is_call(members, dialect)) operation = operation_of(members, dialect);
  }
  usable_ = false;
  stream_->begin(operation == Operation::download ? AnswerBody::file : AnswerBody::body);
  warn_of_dropped();
  header.empty() ? stream_->send_text(text) : stream_->send_frame(header);
  return operation;
}

void DialectClient::say(std::string_view text) {
  send_message(text);
  usable_ = true;
}

Reply DialectClient::ask(std::string_view text) {
  return read_reply(send_message(text), "the reply to " + shown_text(text));
}

Reply DialectClient::read_reply(Operation operation, const std::string& what) {
  const Dialect& dialect = options_.dialect;
  const bool file = operation == Operation::download;
  const PeerMessage word = stream_->next_word(what, unsure_reply);
  if (word.kind == PeerMessage::Kind::end || word.kind == PeerMessage::Kind::zero) {
    if (operation == Operation::quit) return {};
    if (file || (word.kind == PeerMessage::Kind::zero && dialect.zero_prefix == Dialect::ZeroPrefix::not_found)) {
      refuse(word, what);
    }
    throw remote_error(ErrorCode::unavailable, what + ": " + described(word));
  }
  if (dialect.login != Dialect::Login::none && !logged_in_ && fits(dialect.login_failed, word)) refuse(word, what);
  if (file && fits(dialect.not_found, word)) refuse(word, what);
  Reply reply;
  if (word.kind == PeerMessage::Kind::text) {
    reply.body = word.content;
  } else {
    reply.header = word.content;
    const auto append = [&reply](std::string_view bytes) { reply.body += bytes; };
    Header header;
    header.read(word.content);
    const bool is_file = file && !is_call(header, dialect) && has_size(header, dialect);
    const std::uint64_t size = stream_->body_left() - (is_file ? trailer_size(dialect) : 0);
    if (is_file && size == 0 && dialect.not_found.kind == Answer::Kind::zero_size) refuse(word, what + ", or empty");
    check_reply_size(what, size);
    is_file ? read_content(what, word.content, size, append) : stream_->read_body(append);
  }
  usable_ = true;
  return reply;
}

void DialectClient::end() {
  usable_ = false;
  stream_->end();
}

bool DialectClient::closed(milliseconds limit) { return stream_->closed(limit); }

bool DialectClient::finish() {
  end();
  return closed(options_.close_timeout);
}

}  // namespace framecall
