// What the sessions of one event loop share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "framecall/wire/header.hpp"
#include "server/loop_mailbox.hpp"
#include "server/server_state.hpp"

namespace framecall {

class SessionPort;

/// When calls are late, and whose: rare enough for a tree.
using Deadlines = std::multimap<std::int64_t, std::pair<SessionPort*, std::string>>;

/// Clock and memory that connections use one turn at a time: an idle connection owns none. For the loop's thread.
struct LoopResources {
  static constexpr std::size_t input_size = 64 * 1024;
  static constexpr std::size_t file_block_size = 1024 * 1024;

  LoopResources(ServerState& given_state, std::shared_ptr<LoopMailbox> given_mailbox)
      : state(given_state), mailbox(std::move(given_mailbox)) {}
  LoopResources(const LoopResources&) = delete;
  /// For the next part of a body on its way to a file.
  char* file_block() {
    if (!file_block_) file_block_ = std::make_unique_for_overwrite<char[]>(file_block_size);
    return file_block_.get();
  }

  ServerState& state;
  const std::shared_ptr<LoopMailbox> mailbox;
  std::int64_t now = 0;   ///< milliseconds of no particular origin, read once per turn
  bool draining = false;  ///< the server takes no more connections, and ends those that it has
  Deadlines deadlines;
  Header header;     ///< of the message under way
  std::string text;  ///< for the header of a reply
  std::unique_ptr<char[]> input = std::make_unique_for_overwrite<char[]>(input_size);

 private:
  std::unique_ptr<char[]> file_block_;
};

}  // namespace framecall
