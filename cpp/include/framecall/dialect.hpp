// Dialects: how the relatives of the taught upload format spell it. Data, never subclasses.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/header.hpp"

namespace framecall {

/// What one family of scripts writes and reads. The first key of a list is the one that is sent; all are taken on
/// receipt. An aggregate with a constructor, because it travels through awaited calls.
struct Dialect {
  Dialect() {}

  std::string name = "default";
  std::string summary = "what the taught receiver reads: file_name, file_size";
  std::vector<std::string> name_keys = {"file_name", "filename"};
  std::vector<std::string> size_keys = {"file_size", "file_siz", "filesize", "total_size"};
};

/// Every dialect there is, the default first.
std::span<const Dialect> dialects();
/// The one of this name, null if there is none.
const Dialect* find_dialect(std::string_view name);

/// The header of a tutorial upload as JSON text, `{"file_name": NAME, "file_size": SIZE}`, keys as the dialect sends
/// them. `name` is generalised UTF-8; throws std::invalid_argument if it is not.
std::string upload_header(const Dialect& dialect, std::string_view name, std::uint64_t size);

/// An upload as it was announced.
struct UploadHead {
  const Token* name;   ///< of any type: a name is judged by the file store
  std::uint64_t size;  ///< bytes of body
};

/// The upload that a header announces: a name key and a size key and no `method`, `result` or `error`; nothing if it is
/// none. Throws ProtocolError(invalid_request) for sizes that are none or differ, and for two names that differ.
std::optional<UploadHead> upload_head(const Header& header, const Dialect& dialect);

/// Bytes of body behind the header: `body_size` in RPC frames (those with `method`, `result`, `error` or `item`), else
/// the dialect's size key; 0 when absent. Throws ProtocolError(invalid_request) unless it is an integer
/// 0 .. 2^63 - 1, and for two size keys that differ.
std::uint64_t body_size(const Header& header, const Dialect& dialect);

}  // namespace framecall
