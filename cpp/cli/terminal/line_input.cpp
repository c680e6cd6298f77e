#include "terminal/line_input.hpp"

#include <langinfo.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string_view>
#include <system_error>
#include <utility>

#ifdef FRAMECALL_HAVE_LIBEDIT
#include <histedit.h>
#endif

#include "commands/arguments.hpp"

namespace framecall::cli {
namespace {

termios terminal_before;
bool have_terminal = false;

// Editing turns echo and line mode off: a program that is ended in the middle of a line would leave the shell so.
void end_by_signal(int signal) {
  if (have_terminal && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp()) {  // one in the background would be stopped here
    ::tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
    [[maybe_unused]] const ssize_t ignored = ::write(STDOUT_FILENO, "\n", 1);
  }
  if (signal == SIGINT) ::_exit(interrupted);
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

// libedit reads characters as the locale says. Lines are UTF-8 on the wire, whatever the locale.
void want_utf8() {
  const char* const named = std::setlocale(LC_CTYPE, "");
  if (named == nullptr || std::string_view(::nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

#ifdef FRAMECALL_HAVE_LIBEDIT

struct LineInput::Editor {
  explicit Editor(const std::string& prompt_text) : prompt(prompt_text) {
    if (edit == nullptr || lines == nullptr) return;
    el_set(edit, EL_CLIENTDATA, this);
    el_set(edit, EL_PROMPT, show_prompt);
    el_set(edit, EL_EDITOR, "emacs");
    history(lines, &event, H_SETSIZE, history_size);
    history(lines, &event, H_SETUNIQUE, 1);
    el_set(edit, EL_HIST, history, lines);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;
  ~Editor() {
    if (edit != nullptr) el_end(edit);
    if (lines != nullptr) history_end(lines);
  }
  bool works() const { return edit != nullptr && lines != nullptr; }

  std::optional<std::string> next() {
    int size = 0;
    el_resize(edit);                // the window may have changed since the last line
    el_set(edit, EL_PREP_TERM, 1);  // before the prompt, not behind it: keys typed at the prompt are ours
    const char* const line = el_gets(edit, &size);
    if (line == nullptr || size <= 0) {
      std::fputc('\n', stdout);  // behind the prompt, where the cursor stays
      std::fflush(stdout);
      return std::nullopt;
    }
    std::string_view text(line, static_cast<std::size_t>(size));
    if (text.ends_with('\n')) text.remove_suffix(1);
    return std::string(text);
  }
  void remember(const std::string& line) { history(lines, &event, H_ENTER, line.c_str()); }

 private:
  static char* show_prompt(EditLine* edit) {
    Editor* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return self->prompt.data();
  }

  std::string prompt;
  HistEvent event{};
  EditLine* edit = el_init("framecall", stdin, stdout, stderr);
  History* lines = history_init();
};

#else

struct LineInput::Editor {
  explicit Editor(const std::string&) {}
  bool works() const { return false; }
  std::optional<std::string> next() { return std::nullopt; }
  void remember(const std::string&) {}
};

#endif

LineInput::LineInput(std::string prompt)
    : prompt_(std::move(prompt)), interactive_(::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1) {
  have_terminal = interactive_ && ::tcgetattr(STDIN_FILENO, &terminal_before) == 0;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, end_by_signal);
  if (!interactive_) return;
  want_utf8();
  editor_ = std::make_unique<Editor>(prompt_);
  if (!editor_->works()) editor_.reset();
}

LineInput::~LineInput() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_DFL);
}

std::optional<std::string> LineInput::next() {
  if (editor_) return editor_->next();
  if (interactive_) std::cout << prompt_ << std::flush;
  std::string line;
  if (!std::getline(std::cin, line)) {
    if (std::cin.bad()) throw std::system_error(EIO, std::generic_category(), "stdin");
    if (interactive_) std::cout << std::endl;
    return std::nullopt;
  }
  return line;
}

void LineInput::remember(const std::string& line) {
  if (editor_) editor_->remember(line);
}

}  // namespace framecall::cli
