"""What the Python programs share: arguments, bodies, a clock with latencies, framecall's wire by hand."""

import argparse
import json
import struct
import time

CHECKS = 20  # calls of each connection before the clock starts, each with a body of its own
LENGTH = struct.Struct("<i")


def arguments(**more):
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--body", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--warm", type=float, default=0.3)
    for name, default in more.items():
        parser.add_argument("--" + name, default=default)
    return parser.parse_args()


def body_of(size, number):
    """Lower case; another one for each number."""
    piece = bytes(97 + (i * 7 + number * 3) % 26 for i in range(min(size, 1040)))
    return (piece * (size // len(piece) + 1))[:size]


def method_of(size):
    return "echo" if size > 4096 else "upper"


def answer_to(body):
    """What the method gives back."""
    return body.upper() if method_of(len(body)) == "upper" else body


def check(right):
    if not right:
        raise SystemExit("a wrong reply")


class Clock:
    """Counts what is answered behind the warm-up and before the end."""

    def __init__(self, args):
        self.args, self.total, self.latencies = args, 0, []

    def start(self):
        self.cpu, self.before = time.process_time(), self.total
        self.begin = time.perf_counter() + self.args.warm
        self.end = self.begin + self.args.seconds

    def answered(self, sent, when):
        """One call; False once time is up."""
        self.total += 1
        if when >= self.end:
            return False
        if when >= self.begin:
            self.latencies.append(when - sent)
        return True

    def print(self):
        cpu = time.process_time() - self.cpu
        times = sorted(self.latencies) or [0.0]
        figures = {
            "calls": len(self.latencies),
            "calls_total": self.total,
            "seconds": self.args.seconds,
            "calls_per_second": round(len(self.latencies) / self.args.seconds, 1),
            "p50_us": round(times[len(times) // 2] * 1e6, 2),
            "p99_us": round(times[len(times) * 99 // 100] * 1e6, 2),
            "client_cpu_us": round(cpu / (self.total - self.before) * 1e6, 3),  # without the start of Python
        }
        print(json.dumps(figures))


def one_at_a_time(args, call, answer=answer_to):
    """The whole of a blocking client with one call in flight; `call` takes a body and returns one."""
    clock = Clock(args)
    for number in range(CHECKS):
        body = body_of(args.body, number)
        check(call(body) == answer(body))
    clock.total = CHECKS
    body, now, on = body_of(args.body, 1), time.perf_counter, True
    wanted = answer(body)[:32]
    clock.start()
    while on:
        sent = now()
        reply = call(body)
        on = clock.answered(sent, now())
        if len(reply) != len(body) or reply[:32] != wanted:
            check(False)
    clock.print()


def in_batches(args, call_all, answer=answer_to):
    """The same for batches; `call_all` takes a list of bodies and returns one."""
    clock = Clock(args)
    bodies = [body_of(args.body, number) for number in range(args.in_flight)]
    wanted = [answer(body) for body in bodies]
    now, on = time.perf_counter, True
    clock.start()
    while on:
        sent = now()
        replies = call_all(bodies)
        when = now()
        check(replies == wanted)
        for _ in replies:
            on = clock.answered(sent, when)
    clock.print()


def request(number, method, body):
    header = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "body_size": len(body)}).encode()
    return LENGTH.pack(len(header)) + header + body


def reply_to(header, body):
    """The whole answer of a server written by hand."""
    if header["method"] == "upper":
        body = body.upper()
    head = json.dumps({"jsonrpc": "2.0", "id": header["id"], "result": None, "body_size": len(body)}).encode()
    return LENGTH.pack(len(head)) + head + body
