// What is said on a connection beside calls: uploads, and the requests, answers and logins of dialects.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "framecall/detail/file_upload.hpp"
#include "framecall/wire/dialect.hpp"
#include "framecall/wire/digest.hpp"
#include "framecall/wire/header.hpp"
#include "server/sessions/frame_writer.hpp"
#include "server/sessions/session.hpp"
#include "server/sessions/session_port.hpp"

namespace framecall {

/// One for each connection that says such things, on its thread. Whatever cannot be served is a CallError or a
/// ProtocolError, which the connection makes a refusal. Answers that need the disk or a slow computation come later; the
/// connection reads nothing meanwhile.
class DialectSession final : public BodySink {
 public:
  /// Both must outlive it.
  DialectSession(SessionPort& port, FrameWriter& frames);

  /// A frame that is no call, its body in pieces, and its end.
  void on_header(const Header& header);
  void write(std::string_view bytes) override;
  void end() override;
  /// `offset`: of what follows the message in the stream.
  void set_end(std::uint64_t offset) { last_end_ = offset; }
  /// A raw line between two frames; a length of 0.
  void on_text(std::string_view line);
  void on_zero();

  /// How far an upload got, for log lines: `, 12 bytes before the end of "a.txt"`. Empty if there is none.
  std::string progress(std::uint64_t body_left) const;
  /// Advice about bytes at `offset` that are no frame.
  std::string surplus(std::uint64_t offset) const;
  /// Drops what is under way.
  void abandon();

 private:
  void begin_upload(const UploadHead& head, const Header& header);
  void begin_download(const Header& header);
  void begin_message(const Header& header);
  void act(Operation operation, std::string argument);
  void end_upload();
  bool judge_checksum();
  void publish();
  void send_file(const std::string& name);
  void send_list();
  void log_in();
  void end_login(const std::string& user, bool good);
  void run_command(const std::string& line);
  void send_output(std::string_view output);
  void answer(const Answer& answer, const AnswerValues& values);
  void answer_or_fail(const Answer& given, const AnswerValues& values, ErrorCode code, const std::string& message);
  void send_frame(std::string_view header, std::string_view body = {});
  void check_header(std::string_view header);
  void done();

  SessionPort& port_;
  FrameWriter& frames_;
  const Dialect& dialect_;
  Operation operation_ = Operation::message;
  bool as_text_ = false;  // the request came without a length in front: its answer goes so, too
  std::size_t failed_logins_ = 0;
  std::string argument_, user_, password_;
  std::optional<FileStore::Upload> upload_;
  std::optional<Digest> digest_;
  std::uint64_t size_ = 0;                   // of the file that is announced
  std::string checksum_, trailer_;           // as announced; as it came behind the body
  std::string message_, body_;               // of a message that is answered with itself
  std::string last_file_;                    // that was uploaded
  std::uint64_t last_end_ = 0;               // where in the stream the last message ended
  std::stop_source stop_{std::nostopstate};  // of a sum that a thread makes
};

}  // namespace framecall
