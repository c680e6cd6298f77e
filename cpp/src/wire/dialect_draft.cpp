#include "wire/dialect_draft.hpp"

#include <filesystem>
#include <stdexcept>

#include "framecall/error.hpp"

namespace framecall {

std::string quoted_value(std::string_view text) { return std::string("\"").append(printable(text, 60)).append("\""); }

void fail_at(std::string_view source, std::uint32_t line, std::string_view message) {
  std::string text(source);
  if (line != 0) text.append(":").append(std::to_string(line));
  throw std::invalid_argument(text.append(": ").append(message));
}

DialectDraft::DialectDraft(std::string_view source) : source(source) {
  name = std::filesystem::path(source).filename().string();
  if (name.ends_with(".toml")) name.resize(name.size() - 5);
  summary.clear();
  zero_prefix = ZeroPrefix::end;
  byte_order_mark = true;
  name_keys = {"file_name", "filename", "name", "fileName", "fname", "key"};
  size_keys = {"file_size", "file_siz", "filesize", "total_size", "size", "data_size", "fileSize", "fsize", "data_len"};
  checksum_keys = {"md5", "file_md5", "fmd5", "filename_md5", "md5value", "MD5", "hash", "checksum"};
  last_path_part = true;
  word_list(Operation::upload) = {"put", "upload"};
  word_list(Operation::download) = {"get", "download"};
  word_list(Operation::list) = {"ls", "dir", "list"};
  word_list(Operation::login) = {"login", "auth"};
  word_list(Operation::register_user) = {"register"};
  word_list(Operation::command) = {"cmd", "command"};
  word_list(Operation::quit) = {"quit", "quite", "exit", "q", "stop"};
}

void DialectDraft::fail(std::string_view setting, std::string_view text) const {
  const auto line = lines_given.find(setting);
  fail_at(source, line != lines_given.end() ? line->second : 0, std::string(setting).append(" ").append(text));
}

}  // namespace framecall
