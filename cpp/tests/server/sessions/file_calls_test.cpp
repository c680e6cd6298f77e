// The calls about files of one connection, on workers that the test plays.
#include "server/sessions/file_calls.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framecall/detail/file_upload.hpp"
#include "framecall/error.hpp"
#include "framecall/router.hpp"
#include "support/temporary_folder.hpp"

namespace framecall::file_calls_test {
namespace {

struct Host final : FileCallsHost {
  void start_file_work(Task work, FairQueue::OnClose on_close) override {
    if (no_memory) throw std::bad_alloc();
    queued.push_back(std::move(work));
    on_closes.push_back(on_close);
  }
  bool sends_file() const override { return sending; }
  Task way_back(std::function<void()> then) override {
    return Task([this, then = std::move(then)] {
      if (open) then();
    });
  }
  void on_file_answer(PendingCall& call, FileAnswer& answer) override {
    const auto* failure = std::get_if<Failure>(&answer);
    answers.push_back(call.id + ": " +
                      (failure != nullptr                             ? failure->message
                       : std::holds_alternative<OutgoingFile>(answer) ? "a file"
                                                                      : std::get<Response>(answer).result));
    if (std::holds_alternative<OutgoingFile>(answer)) sending = true;
  }
  void run_one() {
    Task work = std::move(queued.front());
    queued.pop_front();
    work();
  }

  std::deque<Task> queued;
  std::vector<FairQueue::OnClose> on_closes;
  std::vector<std::string> answers;
  bool sending = false, open = true, no_memory = false;
};

class FileCallsTest : public testing::Test {
 protected:
  FileCallsTest() {
    FileStore::Upload upload = files_->begin("f");
    upload.write("content");
    upload.publish();
  }
  PendingCalls::Call run(const std::string& id, const char* name, const char* params) {
    CallHead head;
    head.id = id;
    head.method = name;
    head.params = params;
    Request request(head, std::string_view(), "peer");
    const PendingCalls::Call call = pending_.add(id, request, budget_);
    calls_.run(*router_.find(name), files_, std::move(request), call);
    return call;
  }

  TemporaryFolder root_;
  std::shared_ptr<FileStore> files_ = std::make_shared<FileStore>(root_.path());
  std::shared_ptr<MemoryBudget> budget_ = std::make_shared<MemoryBudget>(1 << 20);
  Router router_;
  Host host_;
  FileCalls calls_{host_};
  PendingCalls pending_;
};

TEST_F(FileCallsTest, of_any_number_run_at_once_if_they_are_short) {
  run("1", "file.stat", R"({"name": "f", "partial": true})");
  run("2", "file.stat", R"({"name": "none"})");
  EXPECT_EQ(host_.queued.size(), 2u);
  host_.run_one();
  host_.run_one();
  EXPECT_EQ(host_.answers[0], R"(1: {"offset": 0})");
  EXPECT_TRUE(host_.answers[1].starts_with("2: ")) << host_.answers[1];
}

TEST_F(FileCallsTest, that_take_long_run_one_at_a_time) {
  run("1", "file.list", R"({"prefix": "x"})");
  run("2", "file.list", R"({"prefix": "x"})");
  EXPECT_EQ(host_.queued.size(), 1u);
  calls_.next();
  EXPECT_EQ(host_.queued.size(), 1u) << "the first is not done";
  host_.run_one();
  EXPECT_EQ(host_.answers.size(), 1u);
  EXPECT_EQ(host_.queued.size(), 1u) << "the second has begun";
  host_.run_one();
  EXPECT_EQ(host_.answers[1], R"(2: {"files": [], "next": null})");
}

TEST_F(FileCallsTest, that_send_a_file_hold_up_the_next_one_until_it_is_sent) {
  run("1", "file.get", R"({"name": "f"})");
  run("2", "file.get", R"({"name": "f"})");
  host_.run_one();
  EXPECT_EQ(host_.answers, std::vector<std::string>{"1: a file"});
  EXPECT_TRUE(host_.queued.empty());
  host_.sending = false;
  calls_.next();
  host_.run_one();
  EXPECT_EQ(host_.answers.back(), "2: a file");
}

TEST_F(FileCallsTest, that_were_cancelled_before_they_began_say_so) {
  const PendingCalls::Call call = run("1", "file.list", "{}");
  call->stop.request_stop();
  host_.run_one();
  EXPECT_EQ(host_.answers.size(), 1u);
  EXPECT_NE(host_.answers[0], R"(1: {"files": [], "next": null})");
}

TEST_F(FileCallsTest, of_a_closed_connection_answer_nobody) {
  run("1", "file.stat", R"({"name": "f"})");
  EXPECT_EQ(host_.on_closes.back(), FairQueue::OnClose::drop);
  run("", "file.remove", R"({"name": "f"})");
  EXPECT_EQ(host_.on_closes.back(), FairQueue::OnClose::run) << "a notification";
  host_.open = false;
  host_.run_one();
  host_.run_one();
  EXPECT_TRUE(host_.answers.empty());
  EXPECT_FALSE(files_->exists("f"));
}

TEST_F(FileCallsTest, that_cannot_be_queued_hold_up_nothing) {
  host_.no_memory = true;
  EXPECT_THROW(run("1", "file.list", "{}"), std::bad_alloc);
  host_.no_memory = false;
  run("2", "file.list", "{}");
  EXPECT_EQ(host_.queued.size(), 1u);
}

struct Body final : IncomingBody {
  explicit Body(RunsOn where) : where_(where) {}
  void write(std::string_view) override {}
  RunsOn runs_on() const override { return where_; }
  Response finish(const std::stop_token&) override { return Response(Json("stored")); }
  std::string summary() const override { return "a line"; }
  const RunsOn where_;
};

TEST_F(FileCallsTest, with_a_body_end_on_a_worker_even_if_the_connection_is_closed) {
  std::vector<std::string> log;
  for (const RunsOn where : {RunsOn::worker, RunsOn::worker_in_turn}) {
    CallHead head;
    head.id = "1";
    Request request(head, std::string_view(), "peer");
    PendingCalls pending;
    calls_.finish(std::make_unique<Body>(where), {}, pending.add("1", request, budget_),
                  [&](const std::string& line) { log.push_back(line); });
    host_.run_one();
    EXPECT_EQ(host_.answers.back(), "1: \"stored\"");
  }
  EXPECT_EQ(host_.on_closes[0], FairQueue::OnClose::run);
  EXPECT_EQ(log, (std::vector<std::string>{"a line", "a line"}));
}

}  // namespace
}  // namespace framecall::file_calls_test
