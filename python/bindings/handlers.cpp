#include "handlers.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>
#include <utility>

#include "gil.hpp"

namespace framecall::python {
namespace {

// For so long a thread may be in Python before another one takes over what waits behind it.
constexpr auto patience = std::chrono::milliseconds(1);
constexpr int quiet_looks = 50;                         // without a job in between; then nobody looks any more
constexpr auto grace = std::chrono::milliseconds(500);  // at the end, for handlers that still run
constexpr std::size_t max_log_lines = 10000;            // that wait
constexpr std::size_t hold_from = 16 * 1024;            // smaller bodies are copied

}  // namespace

Method& Handlers::add(Router& router, std::unique_ptr<Handler> handler) {
  const Handler* const one = handler.get();
  all_.push_back(std::move(handler));
  const auto job = [one](Request request, const Responder& reply, std::shared_ptr<Stream> stream) {
    Job job;
    job.handler = one;
    job.request = std::make_unique<Request>(std::move(request));
    job.reply = std::make_unique<Responder>(reply);
    job.stream = std::move(stream);
    return job;
  };
  if (one->streams && one->asynchronous) {
    return router.on_stream_later(one->name,
                                  [this, job](Request request, const Responder& reply, std::shared_ptr<Stream> stream) {
                                    push_to_loop(job(std::move(request), reply, std::move(stream)));
                                  });
  }
  if (one->streams) {  // a thread for itself, as it may take its time
    return router.on_stream(
        one->name, [this, one](Request& request, Stream& stream) { return run_stream(*this, *one, request, stream); });
  }
  return router.on_later(one->name, [this, one, job](Request request, const Responder& reply) {
    Job made = job(std::move(request), reply, nullptr);
    one->asynchronous ? push_to_loop(std::move(made)) : push(std::move(made));
  });
}

void Handlers::start() {
  loop_descriptor_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (loop_descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  // Signals are the main thread's, where Python looks for them.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  alive_ = thread_count_;
  for (std::size_t i = 0; i < thread_count_; ++i) {
    threads_.emplace_back([self = shared_from_this()] {
      self->work();
      const Lock lock(self->mutex_);
      --self->alive_;
      self->finished_.notify_all();
    });
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Handlers::stop() {
  Lock lock(mutex_);
  ended_ = true;
  idle_.notify_all();
  watch_.notify_all();
  // A handler that does not come to an end is left behind, as a daemon thread is; it keeps this object.
  const bool all = finished_.wait_for(lock, grace, [this] { return alive_ == 0; });
  lock.unlock();
  for (std::thread& thread : threads_) all ? thread.join() : thread.detach();
  threads_.clear();
  const Lock loop_lock(loop_mutex_);
  if (loop_descriptor_ >= 0) ::close(std::exchange(loop_descriptor_, -1));
}

void Handlers::push(Job job) {
  const Lock lock(mutex_);
  jobs_.push_back(std::move(job));
  // Who is in Python takes it when it comes back, and somebody looks whether it does.
  if (running_ == 0 || !watched_) idle_.notify_one();
}

// One thread is in Python and takes job after job; the next one helps when it does not get on.
bool Handlers::take(Job& job) {
  Lock lock(mutex_);
  for (;;) {
    if (running_ == 0 && (!jobs_.empty() || has_chores())) break;
    if (ended_ && jobs_.empty()) return false;
    if (running_ > 0 && !jobs_.empty() && !watched_ && watch(lock)) break;
    if (ended_) continue;
    if (running_ > 0 || jobs_.empty()) idle_.wait(lock);
  }
  ++running_;
  take_next(job);
  return true;
}

// True: who is in Python does not get on, or is not there any more while jobs wait.
bool Handlers::watch(Lock& lock) {
  watched_ = true;
  std::uint64_t seen = taken_;
  int quiet = 0;
  bool stuck = false;
  while (!stuck && !ended_ && quiet < quiet_looks) {
    watch_.wait_for(lock, patience);
    stuck = !jobs_.empty() && taken_ == seen;
    quiet = taken_ == seen ? quiet + 1 : 0;
    seen = taken_;
  }
  watched_ = false;
  return stuck;
}

// For the thread that is in Python.
bool Handlers::take_more(Job& job) {
  const Lock lock(mutex_);
  if (jobs_.empty() && !has_chores()) {
    --running_;
    return false;
  }
  take_next(job);
  return true;
}

void Handlers::take_next(Job& job) {
  if (jobs_.empty()) return;  // just chores
  job = std::move(jobs_.front());
  jobs_.pop_front();
  ++taken_;
  if (!jobs_.empty() && !watched_) idle_.notify_one();
}

void Handlers::work() {
  // One thread state for all of the thread's life: making one costs as much as a call.
  const PyGILState_STATE before = PyGILState_Ensure();
  PyThreadState* state = PyEval_SaveThread();
  for (Job job; take(job);) {
    PyEval_RestoreThread(state);
    do {
      if (job.handler != nullptr) {
        Job one = std::exchange(job, Job());
        run_call(*this, *one.handler, std::move(*one.request), *one.reply);
      }
      do_chores();
    } while (take_more(job));
    state = PyEval_SaveThread();
  }
  PyEval_RestoreThread(state);
  do_chores();
  PyGILState_Release(before);
}

// ---- what needs the GIL and has no hurry

void Handlers::release_later(PyObject* object) {
  const Lock lock(mutex_);
  released_.push_back(object);
  notify_chores();
}

void Handlers::log_later(LogLevel level, std::string_view line) {
  const Lock lock(mutex_);
  if (log_lines_.size() >= max_log_lines) {
    ++dropped_lines_;
    return;
  }
  log_lines_.push_back({level, std::string(line)});
  notify_chores();
}

void Handlers::notify_chores() {
  if (running_ == 0) idle_.notify_one();
}

void Handlers::do_chores() {
  std::vector<PyObject*> released;
  std::deque<LogLine> lines;
  std::size_t dropped = 0;
  {
    const Lock lock(mutex_);
    if (!has_chores()) return;
    released.swap(released_);
    lines.swap(log_lines_);
    dropped = std::exchange(dropped_lines_, 0);
  }
  for (PyObject* object : released) Py_DECREF(object);
  try {
    if (dropped > 0) lines.push_back({LogLevel::warning, std::to_string(dropped) + " lines were not logged: too many"});
    const Ref log = lines.empty() ? none() : function_of("_server", "log_line");
    for (const LogLine& line : lines) {
      own(PyObject_CallFunction(log.get(), "iO", static_cast<int>(line.level), to_str(line.text).get()));
    }
  } catch (const PyError&) {
    PyErr_WriteUnraisable(nullptr);
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

void Handlers::push_to_loop(Job job) {
  const Lock lock(loop_mutex_);
  if (loop_descriptor_ < 0) return;  // at the end: it dies unanswered, and its connection with it
  loop_jobs_.push_back(std::move(job));
  if (loop_jobs_.size() == 1) {  // else it is awake, or will be
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(loop_descriptor_, &one, sizeof one);
  }
}

void Handlers::wake_later(PyObject* future) {
  Job job;
  job.object = future;
  push_to_loop(std::move(job));
}

void Handlers::cancel_later(PyObject* task) {
  Job job;
  job.object = task;
  job.cancel = true;
  push_to_loop(std::move(job));
}

void Handlers::run_on_loop(PyObject* create_task) {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = ::read(loop_descriptor_, &count, sizeof count);
  std::deque<Job> jobs;
  {
    const Lock lock(loop_mutex_);
    jobs.swap(loop_jobs_);
  }
  for (Job& job : jobs) {
    if (job.handler != nullptr) {
      begin_call(*this, *job.handler, std::move(*job.request), *job.reply, std::move(job.stream), create_task);
      continue;
    }
    const Ref object(job.object);
    const Ref done(PyObject_CallMethod(object.get(), job.cancel ? "cancel" : "wake", nullptr));
    if (!done) PyErr_WriteUnraisable(object.get());
  }
}

}  // namespace framecall::python
