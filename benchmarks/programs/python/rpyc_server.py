"""rpyc with a thread for each connection."""

import load
import rpyc
from rpyc.utils.server import ThreadedServer

args = load.arguments()


class Echo(rpyc.Service):
    def exposed_upper(self, body):
        return body.upper()

    def exposed_echo(self, body):
        return body


ThreadedServer(Echo, hostname="127.0.0.1", port=args.port, backlog=4096).start()
