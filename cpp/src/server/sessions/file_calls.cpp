#include "server/sessions/file_calls.hpp"

#include <optional>

#include "framecall/wire/digest.hpp"
#include "server/methods/dispatch.hpp"

namespace framecall {

void FileCalls::run(const Method& method, std::shared_ptr<FileStore> files, Request request, const Call& call) {
  auto answer = [&method, files = std::move(files), request = std::move(request)]() -> FileAnswer {
    check_wanted(request.stop_token());
    return std::visit([](auto&& made) -> FileAnswer { return std::move(made); },
                      answer_about_files(method, *files, request));
  };
  queue(call, method.builtin->runs_on, call->on_close(), std::move(answer));
}

void FileCalls::finish(std::unique_ptr<IncomingBody> body, const std::stop_token& stop, const Call& call,
                       std::function<void(const std::string&)> log) {
  const RunsOn where = body->runs_on();
  auto answer = [body = std::move(body), stop, log = std::move(log)]() -> FileAnswer {
    Response response = body->finish(stop);
    log(body->summary());
    return response;
  };
  queue(call, where, FairQueue::OnClose::run, std::move(answer));
}

template <class Function>
void FileCalls::queue(const Call& call, RunsOn where, FairQueue::OnClose on_close, Function function) {
  const bool in_turn = where == RunsOn::worker_in_turn;
  const auto answer = std::make_shared<std::optional<FileAnswer>>();
  // Made beforehand, so that nothing can fail when the work is done.
  Task back = host_.way_back([this, call, answer, in_turn] {
    host_.on_file_answer(*call, **answer);
    if (!in_turn) return;
    runs_ = false;
    next();
  });
  Task work([function = std::move(function), answer, back = std::move(back)]() mutable {
    try {
      answer->emplace(function());
    } catch (...) {
      answer->emplace(current_failure());
    }
    back();
  });
  if (!in_turn) {
    host_.start_file_work(std::move(work), on_close);
  } else if (waiting_.empty() && may_begin()) {
    begin(std::move(work));
  } else {
    waiting_.push_back(std::move(work));
  }
}

void FileCalls::begin(Task work) {
  host_.start_file_work(std::move(work), FairQueue::OnClose::drop);
  runs_ = true;
}

void FileCalls::next() {
  if (waiting_.empty() || !may_begin()) return;
  Task work = std::move(waiting_.front());
  waiting_.pop_front();
  begin(std::move(work));
}

}  // namespace framecall
