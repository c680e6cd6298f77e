"""A blocking client by hand. --api raw: no JSON, [u32 length][body], the floor of all of them; json: framecall's wire."""

import json
import socket

import load

args = load.arguments(api="json")
sock = socket.create_connection(("127.0.0.1", args.port))
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
method = load.method_of(args.body)
number = 0


def call_raw(body):
    sock.sendall(len(body).to_bytes(4, "little") + body)
    size = 4 + len(body)
    reply = sock.recv(size)
    while len(reply) < size:
        reply += sock.recv(size - len(reply))
    return reply[4:]


def call_json(body):
    global number
    number += 1
    sock.sendall(load.request(number, method, body))
    data = sock.recv(65536)  # mostly the whole reply
    while len(data) < 4:
        data += sock.recv(65536)
    start = 4 + load.LENGTH.unpack_from(data)[0]
    while len(data) < start:
        data += sock.recv(65536)
    header = json.loads(data[4:start])
    load.check(header["id"] == number)
    size = header["body_size"]
    if len(data) - start == size:
        return data[start:]
    reply, have = bytearray(size), len(data) - start
    reply[:have] = data[start:]
    with memoryview(reply) as view:
        while have < size:
            have += sock.recv_into(view[have:])
    return reply


def call_all(bodies):
    """One write for all requests, and as few reads as there can be."""
    global number
    first = number + 1
    number += len(bodies)
    sock.sendall(b"".join([load.request(first + i, method, body) for i, body in enumerate(bodies)]))
    replies, data, at = [], b"", 0
    while len(replies) < len(bodies):
        data = data[at:] + sock.recv(262144)
        at = 0
        while len(data) - at >= 4:
            start = at + 4 + load.LENGTH.unpack_from(data, at)[0]
            if start > len(data):
                break
            header = json.loads(data[at + 4 : start])
            end = start + header["body_size"]
            if end > len(data):
                break
            load.check(header["id"] == first + len(replies))
            replies.append(data[start:end])
            at = end
    return replies


if args.in_flight > 1:
    load.in_batches(args, call_all)
elif args.api == "raw":
    load.one_at_a_time(args, call_raw, lambda body: body)
else:
    load.one_at_a_time(args, call_json)
