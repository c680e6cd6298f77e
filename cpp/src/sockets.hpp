// Plain sockets: opening, naming, limits. Every function throws std::system_error that names the address.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <string>

#include "framecall/endpoint.hpp"

namespace framecall {

/// A listening, non-blocking socket. Of a host with several addresses the first that can be bound, IPv4 before IPv6.
int open_listener(const Endpoint& endpoint);

/// A bound, non-blocking UDP socket. Throws std::invalid_argument for a Unix endpoint.
int open_udp_listener(const Endpoint& endpoint);

/// A connected, non-blocking socket with TCP_NODELAY, within `timeout` for all addresses of the host together.
int open_connection(const Endpoint& endpoint, std::chrono::milliseconds timeout);

/// The address a socket is bound to.
Endpoint bound_endpoint(int socket);

/// A peer's address for messages; "unix" for the other end of a Unix socket.
std::string peer_name(const sockaddr_storage& address);

void set_no_delay(int socket);

}  // namespace framecall
