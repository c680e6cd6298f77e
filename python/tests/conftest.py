"""What every test has: Ctrl-C means something, also where the tests run in the background of a shell, which has it ignored; and
`run`, asyncio.run() with either loop."""

import asyncio
import signal

import pytest

try:
    import uvloop
except ImportError:  # there is none for the newest Pythons
    uvloop = None

LOOPS = ["asyncio"] + (["uvloop"] if uvloop else [])

signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=LOOPS)
def run(request):
    """asyncio.run(), with either loop."""

    def run(coroutine):
        loop = uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
        try:
            return loop.run_until_complete(asyncio.wait_for(coroutine, 120))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    return run
