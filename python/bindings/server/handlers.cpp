#include "server/handlers.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "types/gil.hpp"

namespace framecall::python {
namespace {

constexpr std::size_t max_log_lines = 10000;  // that wait
constexpr int wake_tries = 5;                 // a signal may interrupt one; nobody else would wake the loop
constexpr std::size_t hold_from = 16 * 1024;  // smaller bodies are copied

}  // namespace

Method& Handlers::add(Router& router, std::unique_ptr<Handler> handler) {
  const Handler* const one = handler.get();
  all_.push_back(std::move(handler));
  Method& method = add_to(router, one);
  method.writes_json = true;
  return method;
}

Method& Handlers::add_to(Router& router, const Handler* one) {
  const auto made = [one](Request&& request, const Responder& reply, std::shared_ptr<Stream> stream) {
    return std::make_unique<Call>(Call{one, std::move(request), reply, std::move(stream)});
  };
  if (one->streams && one->asynchronous) {
    return router.on_stream_later(
        one->name, [this, made](Request request, const Responder& reply, std::shared_ptr<Stream> stream) {
          push_to_loop({made(std::move(request), reply, std::move(stream))});
        });
  }
  if (one->streams) {  // a thread for itself, as it may take its time
    return router.on_stream(
        one->name, [this, one](Request& request, Stream& stream) { return run_stream(*this, *one, request, stream); });
  }
  if (one->asynchronous) {
    return router.on_later(one->name, [this, made](Request request, const Responder& reply) {
      push_to_loop({made(std::move(request), reply, nullptr)});
    });
  }
  return router.on_batch(one->name, [this, one](Request request, const Responder& reply) {
    run_call(*this, *one, std::move(request), reply);
  });
}

void Handlers::start() {
  loop_descriptor_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (loop_descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  chores_ = std::thread([this] { work_on_chores(); });
}

void Handlers::stop() {
  {
    const Lock lock(chores_mutex_);
    ended_ = true;
    chores_changed_.notify_all();
  }
  if (chores_.joinable()) chores_.join();
  const Lock lock(loop_mutex_);
  if (loop_descriptor_ >= 0) ::close(std::exchange(loop_descriptor_, -1));
}

// ---- calls

namespace {

// The interpreter's state of a thread of the server, for all of the thread's life: making one costs as much as a call.
class ThreadState {
 public:
  ThreadState() {
    take_gil([this] { before_ = PyGILState_Ensure(); });
    leave();
  }
  ThreadState(const ThreadState&) = delete;
  ~ThreadState() {
    if (is_finalizing()) return;  // it ends this thread as well
    enter();
    PyGILState_Release(before_);
  }
  void enter() {
    take_gil([this] { PyEval_RestoreThread(state_); });
  }
  void leave() { state_ = PyEval_SaveThread(); }

 private:
  PyGILState_STATE before_;
  PyThreadState* state_;
};

// While there is no memory for it, waits for some: somebody waits for what it does.
template <class Function>
void insist(Function function) {
  for (;;) {
    try {
      function();
      return;
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

ThreadState& thread_state() {
  thread_local ThreadState thread;
  return thread;
}

}  // namespace

void Handlers::enter() { thread_state().enter(); }

void Handlers::leave() { thread_state().leave(); }

// ---- chores

// Called by destructors.
void Handlers::release_later(PyObject* object) {
  const Lock lock(chores_mutex_);
  insist([&] { released_.push_back(object); });
  if (released_.size() == 1) chores_changed_.notify_one();
}

void Handlers::log_later(LogLevel level, std::string_view line) {
  const Lock lock(chores_mutex_);
  if (log_lines_.size() >= max_log_lines) {
    ++dropped_lines_;
    return;
  }
  log_lines_.push_back({level, std::string(line)});
  if (log_lines_.size() == 1) chores_changed_.notify_one();
}

void Handlers::work_on_chores() {
  Lock lock(chores_mutex_);
  while (!ended_ || has_chores()) {
    if (!has_chores()) {
      chores_changed_.wait(lock);
      continue;
    }
    lock.unlock();
    thread_state().enter();  // one for all chores: an interpreter without memory for another one ends the process
    do_chores();
    thread_state().leave();
    lock.lock();
  }
}

void Handlers::release_now() {
  std::vector<PyObject*> released;
  {
    const Lock lock(chores_mutex_);
    released.swap(released_);
  }
  for (PyObject* object : released) Py_DECREF(object);
}

void Handlers::do_chores() {
  release_now();
  try {
    std::deque<LogLine> lines;
    std::size_t dropped = 0;
    {
      const Lock lock(chores_mutex_);
      lines.swap(log_lines_);
      dropped = std::exchange(dropped_lines_, 0);
    }
    if (dropped > 0) lines.push_back({LogLevel::warning, std::to_string(dropped) + " lines were not logged: too many"});
    const Ref log = lines.empty() ? none() : function_of("_server", "log_line");
    for (const LogLine& line : lines) {
      own(PyObject_CallFunction(log.get(), "iO", static_cast<int>(line.level), to_str(line.text).get()));
    }
  } catch (const PyError&) {
    PyErr_WriteUnraisable(nullptr);
  } catch (const std::bad_alloc&) {
    // These lines are lost, or come with the next ones.
  }
}

Buffer Handlers::hold(PyObject* object, std::string_view bytes) {
  Buffer buffer;
  if (bytes.size() < hold_from) {
    buffer.append(bytes);
    return buffer;
  }
  // A view of its own keeps the bytes where they are.
  PyObject* const view = own(PyMemoryView_FromObject(object)).release();
  const std::shared_ptr<void> owner(
      view, [handlers = shared_from_this()](void* held) { handlers->release_later(static_cast<PyObject*>(held)); });
  return Buffer(bytes, owner);
}

// ---- the asyncio loop

void Handlers::push_to_loop(LoopJob job) {
  const Lock lock(loop_mutex_);
  if (loop_descriptor_ < 0) return;                       // at the end: it dies unanswered, and its connection with it
  insist([&] { loop_jobs_.push_back(std::move(job)); });  // moves only once there is room
  if (loop_jobs_.size() == 1) {                           // else it is awake, or will be
    const std::uint64_t one = 1;
    ssize_t written = -1;
    for (int tries = 0; tries < wake_tries && written < 0; ++tries)
      written = ::write(loop_descriptor_, &one, sizeof one);
  }
}

void Handlers::wake_later(PyObject* future) { push_to_loop({nullptr, future}); }

void Handlers::cancel_later(PyObject* task) { push_to_loop({nullptr, task, true}); }

void Handlers::run_on_loop(PyObject* task_type, PyObject* loop, bool shared) {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = ::read(loop_descriptor_, &count, sizeof count);
  std::vector<LoopJob> jobs;
  {
    const Lock lock(loop_mutex_);
    jobs.swap(loop_jobs_);
  }
  for (LoopJob& job : jobs) {
    if (const auto call = std::move(job.call)) {
      begin_call(*this, *call->handler, std::move(call->request), call->reply, std::move(call->stream), task_type, loop,
                 shared);
      continue;
    }
    const Ref object(job.object);
    const Ref done(PyObject_CallMethod(object.get(), job.cancel ? "cancel" : "wake", nullptr));
    if (!done) PyErr_WriteUnraisable(object.get());
  }
}

}  // namespace framecall::python
