// Dialects: how the relatives of the taught format spell it, and who says what when. Data, never subclasses.
// DIALECTS.md explains every field; dialect_file.hpp reads them from small TOML files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framecall/wire/header.hpp"

namespace framecall {

/// The number in front of a header, which says how many bytes the header has.
struct PrefixFormat {
  enum class Kind : std::uint8_t { binary, decimal };  ///< decimal: ASCII digits, padded with zeros or blanks
  enum class Order : std::uint8_t { little, big };     ///< of binary ones
  Kind kind = Kind::binary;
  Order order = Order::little;
  std::uint8_t width = 4;  ///< bytes: 2, 4, 8 for binary, 3 .. 16 for decimal

  bool operator==(const PrefixFormat&) const = default;
};

/// What a peer wants. `message`: a frame that is none of the others.
enum class Operation : std::uint8_t { message, upload, download, list, login, register_user, command, quit };

/// What one side says at one point of a conversation.
struct Answer {
  Answer() {}

  enum class Kind : std::uint8_t {
    none,
    text,         ///< raw bytes: `content`
    frame,        ///< a frame without a body: `content` is a JSON object
    echo,         ///< the frame that came, its body too
    body,         ///< a frame with nothing but the size, and the content as its body (lists)
    zero_size,    ///< a frame with the name and the size 0
    zero_prefix,  ///< a length of 0 and nothing else
    close,        ///< the end of the connection
  };
  Kind kind = Kind::none;
  std::string content;  ///< with the places of AnswerValues: `$name`, `$size`, `$checksum`, `$user`, `$files`, ...

  explicit operator bool() const { return kind != Kind::none; }
};

/// What one family of scripts writes and reads. The first entry of a list is the one that is sent; all are taken on
/// receipt. An aggregate with a constructor, because it travels through awaited calls.
struct Dialect {
  Dialect() {}

  std::string name = "default";
  std::string summary = "what the taught receiver reads: file_name, file_size";

  // Frames.
  enum class ZeroPrefix : std::uint8_t { refuse, end, not_found };
  std::vector<PrefixFormat> prefixes = {PrefixFormat()};  ///< several: told apart by the first bytes of a connection
  ZeroPrefix zero_prefix = ZeroPrefix::refuse;            ///< what a length of 0 means
  bool escape_non_ascii = true;                           ///< in headers we write
  bool byte_order_mark = false;                           ///< one in front of a header is skipped
  bool calls = true;                                      ///< frames with `method`, `result`, `error`, `item` are RPC

  // Keys.
  std::vector<std::string> name_keys = {"file_name", "filename"};
  std::vector<std::string> size_keys = {"file_size", "file_siz", "filesize", "total_size"};
  std::vector<std::string> checksum_keys, operation_keys, user_keys, password_keys;
  std::string extra_members;                    ///< added to every file header we write: `"md5": "xxdxxx"`, or empty
  std::string command_size_key = "total_size";  ///< in replies of the remote-command form

  // Requests.
  enum class UploadForm : std::uint8_t { header, operation, line };  ///< what we send in front of a file
  enum class AskForm : std::uint8_t { frame, line, name };           ///< how we ask for a file or a list
  UploadForm upload_form = UploadForm::header;
  AskForm ask_form = AskForm::frame;
  bool lines = false;                                    ///< raw text is a request: `get a.txt`
  bool bare_names = false;                               ///< and what is no known word names a file to download
  std::vector<std::pair<std::string, Operation>> words;  ///< what `operation_keys` and lines may say
  bool last_path_part = false;                           ///< of a name that is a path, the last part counts

  // Answers.
  Answer before_body, after_body, refused, not_found, list, login_ok, login_failed, message;

  // Checksums: MD5 of the content in 32 hexadecimal digits.
  enum class ChecksumPlace : std::uint8_t { none, header, trailer };  ///< trailer: 32 bytes right behind the body
  enum class ChecksumCheck : std::uint8_t { warn, reject, off };
  ChecksumPlace checksum_place = ChecksumPlace::none;
  ChecksumCheck checksum_check = ChecksumCheck::warn;

  // Login.
  enum class Login : std::uint8_t { none, frame, text };  ///< text: a JSON object without a length in front
  Login login = Login::none;

  // Sessions.
  bool one_file = true;          ///< our client opens a connection for each file
  bool close_after_one = false;  ///< our server closes after one request
  std::uint32_t pause_ms = 0;    ///< our client waits between a raw line and a frame
};

inline constexpr std::size_t checksum_size = 32;

/// The taught format. Lives as long as the program.
const Dialect& default_dialect();

/// The header in front of a file as JSON text, `{"file_name": NAME, "file_size": SIZE}`, keys as the dialect sends them,
/// then, where it belongs there, the checksum, and the extra members. `name` is generalised UTF-8; throws
/// std::invalid_argument if it is not.
std::string file_header(const Dialect& dialect, std::string_view name, std::uint64_t size,
                        std::string_view checksum = {});
/// The same for an upload: behind the operation, where the dialect sends one.
std::string upload_header(const Dialect& dialect, std::string_view name, std::uint64_t size,
                          std::string_view checksum = {});

/// A request of our client as JSON text: operation and, unless empty, the name.
std::string request_header(const Dialect& dialect, Operation operation, std::string_view name);

/// The word that is sent for an operation; empty if the dialect has none.
std::string_view word_for(const Dialect& dialect, Operation operation);

/// True for frames of the RPC service: with `method`, `result`, `error` or `item`, in a dialect that has calls.
bool is_call(const Header& header, const Dialect& dialect);

/// What a frame that is no call asks for.
Operation operation_of(const Header& header, const Dialect& dialect);

/// What a raw line asks for, and the rest of it behind the word.
struct LineRequest {
  Operation operation = Operation::message;
  std::string argument;
};
LineRequest read_line(std::string_view line, const Dialect& dialect);

/// The string, or the number as its digits, that a header has under one of `keys`.
std::optional<std::string> text_of(const Header& header, const std::vector<std::string>& keys);

/// An upload as it was announced.
struct UploadHead {
  const Token* name;   ///< of any type: a name is judged by the file store
  std::uint64_t size;  ///< bytes of the file
};

/// The upload that a header announces: a name key and a size key, and no call; nothing if it is none. Throws
/// ProtocolError(invalid_request) for sizes that are none or differ, and for two names that differ.
std::optional<UploadHead> upload_head(const Header& header, const Dialect& dialect);

/// Bytes behind the header: `body_size` in calls, else the dialect's size key and its trailer, 0 for requests other than
/// uploads, and when absent. Throws ProtocolError(invalid_request) unless it is an integer 0 .. 2^63 - 1, and for two
/// size keys that differ.
std::uint64_t body_size(const Header& header, const Dialect& dialect);

/// What the places of an answer stand for.
struct AnswerValues {
  std::string_view name, checksum, user;
  std::uint64_t size = 0;
  std::vector<std::string> files;
  std::string_view message = {};  ///< what is wrong
};

/// The content of a `text` or `frame` answer with its places filled in. In a frame a string that is nothing but
/// `$size` becomes a number and `$files` a list.
std::string fill_in(const Answer& answer, const AnswerValues& values);

/// True if what came is what the answer promises: in a frame all its members are there, and equal unless they have a
/// place.
bool agrees(const Answer& answer, std::string_view received);

}  // namespace framecall
