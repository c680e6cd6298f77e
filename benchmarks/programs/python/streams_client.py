"""asyncio streams: a task that reads the replies, and a future for each call. --loop asyncio or uvloop."""

import asyncio
import contextlib
import json

import load
import loops

args = load.arguments(loop="asyncio")


class Connection:
    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", args.port, limit=4 << 20)
        self.number, self.waiting = 0, {}
        self.reading = asyncio.ensure_future(self.read())
        return self

    async def read(self):
        while True:
            (size,) = load.LENGTH.unpack(await self.reader.readexactly(4))
            header = json.loads(await self.reader.readexactly(size))
            body = await self.reader.readexactly(header["body_size"])
            self.waiting.pop(header["id"]).set_result(body)

    async def call(self, method, body):
        self.number += 1
        answer = self.waiting[self.number] = asyncio.get_running_loop().create_future()
        self.writer.write(load.request(self.number, method, body))
        await self.writer.drain()
        return await answer

    async def close(self):
        self.reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.reading
        self.writer.close()


loops.run(args.loop, loops.call_in_flight(args, lambda: Connection().open()))
