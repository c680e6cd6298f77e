"""framecall.aio.Client. --loop asyncio or uvloop."""

import framecall.aio
import load
import loops

args = load.arguments(loop="asyncio")


class Connection:
    def __init__(self):
        self.client = framecall.aio.Client(f"127.0.0.1:{args.port}")
        self.close = self.client.close

    def call(self, method, body):
        return self.client.call(method, body=body)


async def open_connection():
    return Connection()


loops.run(args.loop, loops.call_in_flight(args, open_connection))
