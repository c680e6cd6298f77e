#include "server/sessions/dialect_session.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "framecall/detail/json_text.hpp"
#include "server/methods/file_methods.hpp"
#include "server/sessions/dialect_checks.hpp"
#include "wire/dialect_checksum.hpp"

namespace framecall {
namespace {

constexpr std::uint64_t max_message_body = 1 << 20;  // of messages that are answered with themselves

std::string size_only(const Dialect& dialect, std::uint64_t size) {
  std::string header = "{";
  write_string(header, dialect.command_size_key);
  return header.append(": ").append(std::to_string(size)).append("}");
}

bool names_checksum(const Answer& answer) { return answer.content.find("$checksum") != std::string::npos; }

}  // namespace

DialectSession::DialectSession(SessionPort& port, FrameWriter& frames)
    : port_(port), frames_(frames), dialect_(port.options().dialect) {}

void DialectSession::on_header(const Header& header) {
  as_text_ = false;
  message_.clear();
  operation_ = operation_of(header, dialect_);
  const auto line = text_of(header, dialect_.operation_keys);
  if (operation_ == Operation::message && line && port_.options().commands) {
    operation_ = Operation::command;  // {"cmd": "ls -l"}
    argument_ = *line;
  }
  const auto head = upload_head(header, dialect_);
  const bool free =
      operation_ == Operation::login || operation_ == Operation::register_user || operation_ == Operation::quit;
  if (!port_.admitted() && !free) return;
  switch (operation_) {
    case Operation::upload:
      if (head) begin_upload(*head, header);
      break;
    case Operation::login:
      user_ = text_of(header, dialect_.user_keys).value_or("");
      password_ = text_of(header, dialect_.password_keys).value_or("");
      break;
    case Operation::download: begin_download(header); break;
    case Operation::command:
      argument_ = text_of(header, dialect_.name_keys).value_or(std::exchange(argument_, {}));
      break;
    case Operation::message: begin_message(header); break;
    case Operation::list:
    case Operation::register_user:
    case Operation::quit: break;
  }
}

void DialectSession::begin_upload(const UploadHead& head, const Header& header) {
  const ServerOptions& options = port_.options();
  if (!head.name->is_string()) {
    throw CallError(ErrorCode::invalid_params, "the file name is not a string: " + printable(head.name->text, 40));
  }
  std::string scratch;
  const std::string name = stored_name(dialect_, string_value(*head.name, scratch));
  FileStore& files = files_of(options);
  check_whole(header, dialect_, "an upload");
  check_stored_name(name, dialect_);
  check_max_file(options, name, head.size);
  upload_.emplace(files.begin(name, head.size));
  size_ = head.size;
  checksum_.clear();
  trailer_.clear();
  const bool checks = checks_files(dialect_);
  if (checks || names_checksum(dialect_.after_body)) digest_.emplace(DigestKind::md5);
  if (checks || names_checksum(dialect_.before_body)) {
    checksum_ = text_of(header, dialect_.checksum_keys).value_or("");
  }
  answer(dialect_.before_body, {name, checksum_, {}, size_, {}});
}

void DialectSession::begin_download(const Header& header) {
  argument_ = text_of(header, dialect_.name_keys).value_or("");
  if (argument_.empty()) {
    throw CallError(ErrorCode::invalid_params, "a download without a name (" + joined(dialect_.name_keys) +
                                                   "); its keys: " + joined(header.keys(8)) +
                                                   "; the dialect setting keys.name takes other spellings");
  }
  check_whole(header, dialect_, "a download");
}

void DialectSession::begin_message(const Header& header) {
  if (!dialect_.message) {
    throw CallError(ErrorCode::invalid_request,
                    "neither a request nor an upload with a name (" + joined(dialect_.name_keys) + ") and a size (" +
                        joined(dialect_.size_keys) + "); its keys: " + joined(header.keys(8)) +
                        "; the dialect settings keys.name and keys.size take other spellings");
  }
  const std::uint64_t size = body_size(header, dialect_);
  if (dialect_.message.kind == Answer::Kind::echo && size > max_message_body) {
    throw CallError(ErrorCode::resource_exhausted,
                    "a message with " + std::to_string(size) + " bytes behind it: max_message_body is " +
                        std::to_string(max_message_body),
                    limit_data(max_message_body, size));
  }
  message_ = header.text();
  body_.clear();
}

void DialectSession::write(std::string_view bytes) {
  if (upload_) {
    const auto file = static_cast<std::size_t>(std::min<std::uint64_t>(size_ - upload_->size(), bytes.size()));
    upload_->write(bytes.substr(0, file));
    if (digest_) digest_->update(bytes.substr(0, file));
    trailer_ += bytes.substr(file);
  } else if (port_.admitted() && operation_ == Operation::message && dialect_.message.kind == Answer::Kind::echo) {
    body_ += bytes;
  }
}

void DialectSession::end() {
  if (upload_) {
    if (last_file_ == upload_->name()) {
      port_.log(LogLevel::warning,
                "\"" + printable(last_file_) +
                    "\" replaces the file that this connection sent a moment ago: is it sent in pieces?");
    }
    last_file_ = upload_->name();
  } else {
    last_file_.clear();
  }
  act(operation_, std::exchange(argument_, {}));
}

void DialectSession::act(Operation operation, std::string argument) {
  operation_ = operation;
  if (operation == Operation::quit) {
    port_.finish();
    return;
  }
  if (operation == Operation::login) {
    log_in();
    return;
  }
  if (!port_.admitted() || operation == Operation::register_user) {
    const bool registers = operation == Operation::register_user;
    const std::string why = registers ? "users are not registered over the wire" : "a request before the login";
    port_.log(LogLevel::warning, "refused: " + why);
    answer_or_fail(dialect_.login_failed, {}, registers ? ErrorCode::permission_denied : ErrorCode::unauthenticated,
                   why);
    done();
    return;
  }
  switch (operation) {
    case Operation::upload: end_upload(); break;
    case Operation::download: send_file(argument); break;
    case Operation::list: send_list(); break;
    case Operation::command: run_command(argument); break;
    default:
      if (dialect_.message.kind == Answer::Kind::echo) {
        send_frame(message_, body_);
      } else {
        answer(dialect_.message, {});
      }
      done();
  }
}

void DialectSession::on_text(std::string_view line) {
  const std::size_t begin = std::min(line.find_first_not_of(" \t\r\n"), line.size());
  line.remove_prefix(begin);
  if (line.empty()) return;
  if (line.front() == '{') {
    Header header;
    header.read(line.substr(0, line.find_last_of('}') + 1));
    if (port_.admitted() && operation_of(header, dialect_) == Operation::upload) {
      throw CallError(ErrorCode::invalid_request,
                      "an upload without a length in front of its header: struct.pack('i', len(header)) is missing");
    }
    on_header(header);
    as_text_ = true;
    act(operation_, std::exchange(argument_, {}));
    return;
  }
  as_text_ = false;
  LineRequest request = read_line(line, dialect_);
  act(request.operation, std::move(request.argument));
}

void DialectSession::on_zero() {
  if (dialect_.zero_prefix == Dialect::ZeroPrefix::end) port_.finish();
}

// An upload word without a size only tells that the file's header comes next.
void DialectSession::end_upload() {
  if (!upload_) return;
  if (!judge_checksum()) {
    throw CallError(ErrorCode::data_loss, "file \"" + printable(upload_->name()) + "\": its checksum differs");
  }
  publish();
}

// False if the file must not be stored. Many lessons send a constant, which says nothing.
bool DialectSession::judge_checksum() {
  if (!digest_) return true;
  const std::string real = digest_->finish();
  digest_.reset();
  const std::string announced =
      dialect_.checksum_place == Dialect::ChecksumPlace::trailer ? trailer_ : std::exchange(checksum_, real);
  checksum_ = real;  // for the answer
  if (!checks_files(dialect_)) return true;
  const ChecksumMatch match = compare_checksums(announced, real);
  const bool strict = dialect_.checksum_check == Dialect::ChecksumCheck::reject;
  if (strict && (match == ChecksumMatch::absent || match == ChecksumMatch::different)) return false;
  const std::string shown = "\"" + printable(upload_->name()) + "\": ";
  if (match == ChecksumMatch::no_md5) {
    port_.log(LogLevel::warning, shown + "the checksum \"" + printable(announced, 40) +
                                     "\" is not 32 hexadecimal digits and was not checked");
  } else if (match == ChecksumMatch::different) {
    port_.log(LogLevel::warning, shown + "its MD5 is " + real + ", announced was " + printable(announced, 40));
  }
  return true;
}

void DialectSession::publish() {
  const auto stored = [this](const FileStore::Upload& upload) {
    ++port_.state().uploads;
    port_.log(LogLevel::info,
              "stored \"" + printable(upload.name()) + "\", " + std::to_string(upload.size()) + " bytes");
    answer(dialect_.after_body, {upload.name(), checksum_, {}, upload.size(), {}});
    done();
  };
  if (port_.options().files->options().durability == Durability::none) {
    upload_->publish();
    const FileStore::Upload upload = std::move(*upload_);
    upload_.reset();
    stored(upload);
    return;
  }
  const auto upload = std::make_shared<FileStore::Upload>(std::move(*upload_));
  upload_.reset();
  port_.wait_for([upload] { upload->publish(); }, [stored, upload] { stored(*upload); }, FairQueue::OnClose::run);
}

void DialectSession::send_file(const std::string& name) {
  struct Result {
    std::optional<FileStore::Download> file;
    std::string checksum, problem;
  };
  const auto result = std::make_shared<Result>();
  FileStore& files = files_of(port_.options());
  const std::string wanted = stored_name(dialect_, name);
  const bool with_checksum = dialect_.checksum_place != Dialect::ChecksumPlace::none;
  stop_ = std::stop_source();
  const auto work = [&files, wanted, with_checksum, result, stop = stop_.get_token()] {
    try {
      result->file.emplace(files.open(wanted));
      if (with_checksum) result->checksum = digest_of_file(DigestKind::md5, result->file->descriptor(), stop);
    } catch (const CallError& error) {  // asked for in vain: an answer of the dialect, not a refusal
      result->problem = error.what();
    }
  };
  port_.wait_for(work, [this, wanted, result] {
    if (!result->problem.empty()) {
      port_.log(LogLevel::warning, result->problem);
      answer_or_fail(dialect_.not_found, {printable(wanted), {}, {}, 0, {}}, ErrorCode::not_found, result->problem);
      done();
      return;
    }
    const std::uint64_t size = result->file->size();
    const std::string header = file_header(dialect_, wanted, size, result->checksum);
    check_header(header);
    Buffer trailer;
    if (dialect_.checksum_place == Dialect::ChecksumPlace::trailer) trailer.append(result->checksum);
    port_.log(LogLevel::info, "sends \"" + printable(wanted) + "\", " + std::to_string(size) + " bytes");
    frames_.append_frame(header, std::move(*result->file), std::move(trailer));
    done();
  });
}

void DialectSession::send_list() {
  if (!dialect_.list) {
    port_.log(LogLevel::warning, "a list is wanted, and the dialect has no answer for one: answer.list");
    answer_or_fail(dialect_.list, {}, ErrorCode::method_not_found, "this server has no list of its files");
    done();
    return;
  }
  FileStore& files = files_of(port_.options());
  const auto listing = std::make_shared<FileStore::Listing>();
  port_.wait_for([&files, listing] { *listing = files.list(); },
                 [this, listing] {
                   std::vector<std::string> names;
                   for (FileStore::Entry& entry : listing->files) names.push_back(std::move(entry.name));
                   if (listing->left_out > 0) {
                     port_.log(LogLevel::warning, "the list leaves out " + std::to_string(listing->left_out) +
                                                      " files whose names are not allowed");
                   }
                   answer(dialect_.list, {{}, {}, {}, names.size(), names});
                   done();
                 });
}

void DialectSession::log_in() {
  if (dialect_.login == Dialect::Login::none) {
    port_.log(LogLevel::warning, "a login, and the dialect has none: login.form");
    answer_or_fail(dialect_.login_failed, {}, ErrorCode::method_not_found, "this server has no login");
    done();
    return;
  }
  const std::shared_ptr<const Users> users = port_.options().users;
  auto check = [users, user = user_, password = std::exchange(password_, {})] {
    return users && users->check(user, password);
  };
  auto done = [this, user = user_, resume = port_.pause()](bool good) {
    resume([this, user, good] { end_login(user, good); });
  };
  port_.state().logins->submit(port_.network(), port_.weak_from_this(), std::move(check), std::move(done));
}

void DialectSession::end_login(const std::string& user, bool good) {
  if (good) {
    port_.admit();
    port_.log(LogLevel::info, "user \"" + printable(user, 40) + "\" logged in");
  } else {
    port_.log(LogLevel::warning, "user \"" + printable(user, 40) + "\": no such user or a wrong password" +
                                     (port_.options().users ? "" : "; this server has no users file"));
  }
  if (good) {
    answer(dialect_.login_ok, {{}, {}, user, 0, {}});
  } else {
    answer_or_fail(dialect_.login_failed, {{}, {}, user, 0, {}}, ErrorCode::unauthenticated,
                   "no such user or a wrong password");
  }
  done();
  if (good || ++failed_logins_ < port_.options().max_login_attempts) return;
  port_.leave(std::to_string(failed_logins_) + " failed logins, max_login_attempts");
}

void DialectSession::run_command(const std::string& line) {
  const std::shared_ptr<const CommandTable> commands = port_.options().commands;
  if (!commands) {
    port_.log(LogLevel::warning,
              "not a request of the dialect, and there is no table of commands: \"" + printable(line) + "\"");
    answer_or_fail(dialect_.not_found, {printable(line), {}, {}, 0, {}}, ErrorCode::method_not_found,
                   "not a request of the dialect: \"" + printable(line) + "\"");
    done();
    return;
  }
  if (!commands->has(line)) port_.log(LogLevel::warning, "no such command: \"" + printable(line) + "\"");
  if (const auto text = commands->answer_at_once(line)) {
    send_output(*text);
    return;
  }
  port_.state().commands->run(port_.network(), line, [this, resume = port_.pause()](std::string output) {
    resume([this, output = std::move(output)] { send_output(output); });
  });
}

void DialectSession::send_output(std::string_view output) {
  send_frame(size_only(dialect_, output.size()), output);
  done();
}

void DialectSession::answer(const Answer& answer, const AnswerValues& values) {
  switch (answer.kind) {
    case Answer::Kind::none:
    case Answer::Kind::echo: break;
    case Answer::Kind::text: port_.out().append(fill_in(answer, values)); break;
    case Answer::Kind::frame:
      as_text_ ? port_.out().append(fill_in(answer, values)) : send_frame(fill_in(answer, values));
      break;
    case Answer::Kind::body: {
      std::string content;
      for (const std::string& file : values.files) content.append(file).append("\n");
      send_frame(size_only(dialect_, content.size()), content);
      break;
    }
    case Answer::Kind::zero_size: send_frame(file_header(dialect_, values.name, 0)); break;
    case Answer::Kind::zero_prefix: send_frame(""); break;
    case Answer::Kind::close: port_.finish(); break;
  }
}

// A known request gets an answer, also where the dialect has none for it.
void DialectSession::answer_or_fail(const Answer& given, const AnswerValues& values, ErrorCode code,
                                    const std::string& message) {
  if (given) {
    answer(given, values);
  } else if (as_text_) {
    std::string text;
    write_error(text, "null", static_cast<std::int64_t>(code), message);
    port_.out().append(text);
  } else {
    frames_.append_error("null", {static_cast<std::int64_t>(code), message, {}});
  }
}

void DialectSession::send_frame(std::string_view header, std::string_view body) {
  check_header(header);
  Buffer block;
  block.append(body);
  frames_.append_frame(header, std::move(block));
}

void DialectSession::check_header(std::string_view header) {
  const std::size_t room = frames_.longest_header();
  if (header.size() > room) {
    throw CallError(ErrorCode::resource_exhausted,
                    "an answer with a header of " + std::to_string(header.size()) +
                        " bytes: the length in front of it announces at most " + std::to_string(room),
                    limit_data(room, header.size()));
  }
}

void DialectSession::done() {
  as_text_ = false;
  if (dialect_.close_after_one && port_.admitted() && operation_ != Operation::login) port_.finish();
}

std::string DialectSession::progress(std::uint64_t body_left) const {
  if (!upload_) return {};
  return ", " + std::to_string(body_left) + " bytes before the end of \"" + printable(upload_->name()) + "\"";
}

std::string DialectSession::surplus(std::uint64_t offset) const {
  if (offset != last_end_) return {};
  if (last_file_.empty()) return advice_about_size(message_);
  return advice_about_surplus(last_file_);
}

void DialectSession::abandon() {
  upload_.reset();
  digest_.reset();
  stop_.request_stop();
}

}  // namespace framecall
