import sys

import numpy

import framecall

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8080"
with framecall.Client(address) as client:  # thread-safe; connects with the first call
    print(client.call("add", 2, 3), client.call("add", a=2))
    print(client.call("scale", body=numpy.arange(3.0), factor=2))
    print([part.value for part in client.stream("countdown", [3])])

    with client.pipeline() as pipeline:  # a thousand calls in one go
        for i in range(1000):
            pipeline.call("add", i)
        print(sum(pipeline.execute()))

    try:
        client.call("add", "two", timeout=5)
    except framecall.RemoteError as error:
        print(error.code, error.message)

    digest = client.put(__file__, "copy.py", progress=lambda done, size: None)  # verified, resumable
    print(client.stat("copy.py").size == client.get("copy.py", "back.py"), len(digest))
