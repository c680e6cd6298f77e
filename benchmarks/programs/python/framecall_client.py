"""framecall.Client: one call after the other, or pipelines."""

import framecall
import load

args = load.arguments()
client = framecall.Client(f"127.0.0.1:{args.port}")
method = load.method_of(args.body)


def call(body):
    return client.call(method, body=body)


def call_all(bodies):
    with client.pipeline() as pipeline:
        for body in bodies:
            pipeline.call(method, body=body)
        return pipeline.execute()


if args.in_flight > 1:
    load.in_batches(args, call_all)
else:
    load.one_at_a_time(args, call)
