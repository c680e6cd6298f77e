"""Clients on an event loop, for one class of connection or another: a coroutine for each call in flight."""

import asyncio
import time

import load


async def call_in_flight(args, open_connection):
    """`open_connection()` is awaited for something with call(method, body) and close(), both awaited."""
    clock, method = load.Clock(args), load.method_of(args.body)
    connections = [await open_connection() for _ in range(args.connections)]
    for connection in connections:
        for number in range(load.CHECKS):
            body = load.body_of(args.body, number)
            load.check(await connection.call(method, body) == load.answer_to(body))
            clock.total += 1
    body, now = load.body_of(args.body, 1), time.perf_counter
    wanted = load.answer_to(body)

    async def work(call):
        on = True
        while on:
            sent = now()
            reply = await call(method, body)
            on = clock.answered(sent, now())
            if reply != wanted:
                load.check(False)

    clock.start()
    await asyncio.gather(*[work(connection.call) for connection in connections for _ in range(args.in_flight)])
    for connection in connections:
        await connection.close()
    clock.print()


def run(loop, main):
    """On asyncio's own loop, or on uvloop's."""
    if loop == "uvloop":
        import uvloop

        runner = uvloop.new_event_loop()
    else:
        runner = asyncio.new_event_loop()
    asyncio.set_event_loop(runner)
    runner.run_until_complete(main)
