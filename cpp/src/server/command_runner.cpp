#include "server/command_runner.hpp"

#include <asio/post.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include "server/insist.hpp"

namespace framecall {

CommandRunner::CommandRunner(std::shared_ptr<const CommandTable> table, std::size_t max_commands)
    : table_(std::move(table)),
      max_commands_(std::max<std::size_t>(max_commands, 1)),
      threads_(table_->has_programs() ? max_commands_ : 1) {}

CommandRunner::~CommandRunner() {
  stop_.request_stop();
  threads_.join();
}

void CommandRunner::run(const std::string& address, const std::string& line, std::function<void(std::string)> done) {
  std::string problem;
  std::shared_ptr<Place> place = take_place(address, problem);
  if (!place) {
    done(std::move(problem));
    return;
  }
  asio::post(threads_, [this, place = std::move(place), line, done = std::move(done)]() mutable {
    std::string output;
    try {
      output = table_->run(line, stop_.get_token());
    } catch (const std::exception& error) {
      insist([&] { output = std::string(error.what()) + "\n"; });
    }
    place.reset();
    insist([&] { done(output); });  // the peer waits for it
  });
}

// Null: `problem` says what is wrong.
std::shared_ptr<CommandRunner::Place> CommandRunner::take_place(const std::string& address, std::string& problem) {
  auto place = std::make_shared<Place>(*this, address);
  const std::lock_guard lock(mutex_);
  std::size_t& here = running_[address];
  const std::size_t share = std::max<std::size_t>(max_commands_ / 2, 1);
  if (all_running_ < max_commands_ && here < share) {
    ++all_running_;
    ++here;
    place->taken = true;
    return place;
  }
  problem = "too many commands: " + std::to_string(all_running_) + " are running, " + std::to_string(here) +
            " of them for this address; max_commands is " + std::to_string(max_commands_) +
            ", half of it for one address\n";
  if (here == 0) running_.erase(address);
  return nullptr;
}

CommandRunner::Place::~Place() {
  if (taken) runner.leave_place(address);
}

void CommandRunner::leave_place(const std::string& address) {
  const std::lock_guard lock(mutex_);
  --all_running_;
  const auto here = running_.find(address);
  if (--here->second == 0) running_.erase(here);
}

}  // namespace framecall
