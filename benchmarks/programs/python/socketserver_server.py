"""socketserver with a thread for each connection, framecall's wire by hand."""

import json
import socketserver

import load

args = load.arguments()


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        read, write = self.rfile.read, self.wfile.write
        while True:
            prefix = read(4)
            if len(prefix) < 4:
                return
            header = json.loads(read(load.LENGTH.unpack(prefix)[0]))
            write(load.reply_to(header, read(header["body_size"])))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 4096


Server(("127.0.0.1", args.port), Handler).serve_forever()
