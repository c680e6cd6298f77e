// The commands of the program. Each adds its flags to the command line and, when chosen, runs.
#pragma once

#include <CLI/CLI.hpp>

#include <span>

namespace framecall::cli {

/// Each sets `exit_code` (see arguments.hpp) when its command was given. `arguments`: those of the program, which tell flags
/// from values of other sources.
void add_serve(CLI::App& app, int& exit_code, std::span<char* const> arguments);
void add_send(CLI::App& app, int& exit_code);
void add_receive(CLI::App& app, int& exit_code);
void add_ask(CLI::App& app, int& exit_code);
void add_call(CLI::App& app, int& exit_code);
void add_ping(CLI::App& app, int& exit_code);
void add_discover(CLI::App& app, int& exit_code);
void add_put(CLI::App& app, int& exit_code);
void add_get(CLI::App& app, int& exit_code);
/// ls, stat, rm.
void add_files(CLI::App& app, int& exit_code);
void add_passwd(CLI::App& app, int& exit_code);
void add_chat(CLI::App& app, int& exit_code);
void add_udp(CLI::App& app, int& exit_code);
void add_dialects(CLI::App& app, int& exit_code);
void add_check(CLI::App& app, int& exit_code);

}  // namespace framecall::cli
