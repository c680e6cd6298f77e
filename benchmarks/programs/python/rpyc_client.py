"""rpyc: one call after the other, or asynchronous ones on any number of connections."""

import time

import load
import rpyc

args = load.arguments()
connections = [rpyc.connect("127.0.0.1", args.port) for _ in range(args.connections)]
if args.connections * args.in_flight == 1:
    load.one_at_a_time(args, getattr(connections[0].root, load.method_of(args.body)))
else:
    clock, body, now, on = load.Clock(args), load.body_of(args.body, 1), time.perf_counter, True
    wanted = load.answer_to(body)
    calls = [rpyc.async_(connection.root.upper) for connection in connections] * args.in_flight
    clock.start()
    running = [(call, now(), call(body)) for call in calls]
    while on:  # replies of a connection come in their order
        going_on = []
        for call, sent, answer in running:
            load.check(answer.value == wanted)
            when = now()
            on = clock.answered(sent, when) and on
            going_on.append((call, when, call(body)))
        running = going_on
    clock.print()
