// The Python functions that answer calls: on the server's own threads, which take the GIL once for many of them, or on an
// asyncio loop.
#pragma once

#include <Python.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "framecall/call.hpp"
#include "framecall/responder.hpp"
#include "framecall/router.hpp"
#include "framecall/server_options.hpp"
#include "framecall/stream.hpp"
#include "types/object.hpp"

namespace framecall::python {

/// A Python function, and how it wants its arguments. The objects belong to the framecall.Server, which outlives all calls.
struct Handler {
  struct Parameter {
    std::string name;
    PyObject* key;   // the name as a str
    unsigned kinds;  // of JSON values, see kind_of() in handler_call.cpp
    bool required;
    bool by_name;     // keyword-only
    PyObject* check;  // of what the kind alone does not tell: a predicate, or null
    std::string expected;
  };
  enum class Body : std::uint8_t { none, view, bytes, made };

  std::string name;
  PyObject* function = nullptr;
  bool takes_request = false;      ///< gets the Request, instead of values
  bool asynchronous = false;       ///< gives something to await, or an asynchronous iterator
  bool streams = false;            ///< gives parts, or reads them
  bool generates = false;          ///< gives parts, whatever it is asked
  bool any_parameters = false;     ///< *args or **kwargs: nothing is checked
  bool debug = false;              ///< errors carry the traceback
  Body body = Body::none;          ///< what its parameter `body` gets
  PyObject* body_maker = nullptr;  ///< makes it of the bytes and their layout
  bool body_optional = false;      ///< gets None without a body
  bool body_default = false;       ///< or its default
  PyObject* body_key = nullptr;    ///< "body"
  PyObject* task_name = nullptr;   ///< of asyncio tasks
  std::vector<Parameter> parameters;
};

/// All handlers of one server.
class Handlers : public Batch, public std::enable_shared_from_this<Handlers> {
 public:
  Handlers() = default;
  ~Handlers() override { stop(); }
  Handlers(const Handlers&) = delete;

  /// Makes a method of it. Before start().
  Method& add(Router& router, std::unique_ptr<Handler> handler);
  void start();
  /// Without the GIL. May be called again. The server has to have ended by then.
  void stop();

  /// Acquire and release the GIL, for many calls.
  void enter() override;
  void leave() override;

  // From any thread, without the GIL.

  /// Drops the reference where the GIL is at hand.
  void release_later(PyObject* object);
  /// Does so at once; for who has the lock of the interpreter, and no other.
  void release_now();
  /// Sets the result of a future, on the loop.
  void wake_later(PyObject* future);
  void cancel_later(PyObject* task);
  /// To logging.getLogger("framecall").
  void log_later(LogLevel level, std::string_view line);

  // With the GIL, on the thread of the asyncio loop.

  /// Readable when there is something to do.
  int loop_descriptor() const { return loop_descriptor_; }
  /// Starts what has come: task_type(coroutine, loop=loop) for each call; without the loop, if it is None. `shared`: the loop
  /// is the program's own, and shall not be ended by a handler.
  void run_on_loop(PyObject* task_type, PyObject* loop, bool shared);
  /// A body for a reply: borrowed if it is large.
  Buffer hold(PyObject* object, std::string_view bytes);

 private:
  struct Call {
    const Handler* handler;
    Request request;
    Responder reply;
    std::shared_ptr<Stream> stream;
  };
  struct LoopJob {
    std::unique_ptr<Call> call;  // none: `object` is a future to wake, or a task to cancel
    PyObject* object = nullptr;
    bool cancel = false;
  };
  struct LogLine {
    LogLevel level;
    std::string text;
  };
  using Lock = std::unique_lock<std::mutex>;

  Method& add_to(Router& router, const Handler* one);
  void push_to_loop(LoopJob job);
  void do_chores();
  bool has_chores() const { return !released_.empty() || !log_lines_.empty(); }
  void work_on_chores();

  std::vector<std::unique_ptr<Handler>> all_;

  // What needs the GIL and has no hurry, and the thread for it.
  std::mutex chores_mutex_;
  std::condition_variable chores_changed_;
  std::vector<PyObject*> released_;
  std::deque<LogLine> log_lines_;
  std::size_t dropped_lines_ = 0;
  bool ended_ = false;
  std::thread chores_;

  std::mutex loop_mutex_;
  std::vector<LoopJob> loop_jobs_;
  int loop_descriptor_ = -1;
};

/// A call, with the GIL: its arguments, its result, its error.
void run_call(Handlers& handlers, const Handler& handler, Request request, const Responder& reply);
/// A call of a handler that streams, on a thread for itself and without the GIL. Throws what it is answered with.
Response run_stream(Handlers& handlers, const Handler& handler, Request& request, Stream& stream);
/// The same for a handler on the loop: makes a task.
void begin_call(Handlers& handlers, const Handler& handler, Request request, const Responder& reply,
                std::shared_ptr<Stream> stream, PyObject* task_type, PyObject* loop, bool shared);

void add_handler_types(PyObject* module);

}  // namespace framecall::python
