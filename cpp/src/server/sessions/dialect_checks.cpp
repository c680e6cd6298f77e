#include "server/sessions/dialect_checks.hpp"

#include <algorithm>
#include <cstdint>

#include "framecall/detail/file_store.hpp"
#include "framecall/error.hpp"

namespace framecall {
namespace {

// Keys of transfers in pieces. No dialect maps them, and without them a piece would be taken for the whole file.
constexpr std::string_view piece_keys[] = {"offset",      "seek",         "resume",      "chunk",       "chunks",
                                           "chunk_index", "chunk_id",     "chunk_no",    "chunk_num",   "chunk_number",
                                           "chunk_count", "total_chunks", "part",        "parts",       "part_index",
                                           "part_no",     "part_num",     "part_number", "total_parts", "seq",
                                           "sequence",    "seq_num",      "file_offset", "start_pos",   "has_received"};

}  // namespace

std::string joined(const std::vector<std::string>& keys) {
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "" : ", ") + printable(key, 40);
  return text.empty() ? "none" : text;
}

void check_whole(const Header& header, const Dialect& dialect, const char* what) {
  std::vector<std::string> found;
  for (const std::string_view key : piece_keys) {
    const Token* token = header.find(key);
    if (token == nullptr || token->kind == Token::Kind::null || token->kind == Token::Kind::boolean_false) continue;
    const auto is_mapped = [key](const auto* keys) {
      return std::find(keys->begin(), keys->end(), key) != keys->end();
    };
    const auto lists = {&dialect.name_keys, &dialect.size_keys, &dialect.checksum_keys, &dialect.operation_keys};
    if (std::none_of(lists.begin(), lists.end(), is_mapped)) found.emplace_back(key);
  }
  if (found.empty()) return;
  throw CallError(ErrorCode::invalid_params, std::string(what) + " of a piece of a file: the dialect \"" +
                                                 printable(dialect.name, 40) + "\" has no meaning for the keys " +
                                                 joined(found) + "; send and ask for whole files");
}

std::string stored_name(const Dialect& dialect, std::string_view name) {
  if (!dialect.last_path_part) return std::string(name);
  const std::size_t slash = name.find_last_of("/\\");
  return std::string(slash == std::string_view::npos ? name : name.substr(slash + 1));
}

void check_stored_name(const std::string& name, const Dialect& dialect) {
  try {
    check_file_name(name);
  } catch (const CallError& error) {
    const bool path = name.find_first_of("/\\") != std::string::npos;
    if (!path || dialect.last_path_part) throw;
    throw CallError(error.code(), std::string(error.what()) +
                                      "; the dialect setting request.last_path_part = true takes the last part of it");
  }
}

// Integers of the message: one of them may be the size of what follows.
std::string advice_about_size(std::string_view message) {
  if (message.empty()) return {};
  Header header;
  header.read(message);
  for (const std::string& key : header.keys(32)) {
    const Token* token = header.find(key);
    const auto size = size_value(*token);
    if (!size || *size == 0) continue;
    return "; the frame before has \"" + printable(key, 40) + "\": " + std::to_string(*size) +
           ": if that is the size of what follows, add the key to the dialect setting keys.size";
  }
  return {};
}

std::string advice_about_surplus(std::string_view file) {
  return "; these bytes are surplus behind \"" + printable(file) +
         "\": its sender announced fewer than it sent, or sends a checksum there (dialect setting checksum.place = "
         "\"trailer\")";
}

}  // namespace framecall
