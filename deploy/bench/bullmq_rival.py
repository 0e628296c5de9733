"""BullMQ beside our own queue in `make bench`: the same arguments, and a job that does nothing.

  bullmq_rival.py work <port> <concurrency>                        works off the queue until it is ended
  bullmq_rival.py bulk|single <port> <jobs> <lanes> [<begin>]      fills it; prints jobs per second

<begin> is a time in Unix seconds, so that several processes fill at the same moment. A lane is a queue object with its own connection:
BullMQ sends one call at a time over each.
"""
import asyncio
import sys
import time

import bullmq

try:
    import uvloop
except ImportError:
    uvloop = None

QUEUE = "bench"
# What is done is not kept, as with the others.
OPTIONS = {"removeOnComplete": True, "attempts": 3}


def arguments(number):
    return {"number": number, "text": "as long as most jobs are: 200 bytes"}


def connection(port):
    return {"connection": {"host": "127.0.0.1", "port": port}}


async def no_operation(job, token):
    return None


async def work(port, concurrency):
    worker = bullmq.Worker(QUEUE, no_operation, {**connection(port), "concurrency": concurrency, "removeOnComplete": True})
    try:
        await asyncio.Event().wait()
    finally:
        await worker.close(True)


async def fill(way, port, jobs, lanes, begin):
    queues = [bullmq.Queue(QUEUE, connection(port)) for _ in range(lanes)]
    for queue in queues:
        await queue.getWaitingCount()
    await asyncio.sleep(max(0, begin - time.time()))
    share = jobs // lanes

    async def lane(queue, first):
        if way == "bulk":
            for start in range(first, first + share, 1000):
                numbers = range(start, min(start + 1000, first + share))
                await queue.addBulk([{"name": "noop", "data": arguments(number), "opts": OPTIONS} for number in numbers])
        else:
            for number in range(first, first + share):
                await queue.add("noop", arguments(number), OPTIONS)

    begun = time.monotonic()
    await asyncio.gather(*(lane(queue, index * share) for index, queue in enumerate(queues)))
    print(share * lanes / (time.monotonic() - begun))
    for queue in queues:
        await queue.close()


def main(words):
    if words[0] == "work":
        return work(int(words[1]), int(words[2]))
    return fill(words[0], int(words[1]), int(words[2]), int(words[3]), float(words[4]) if len(words) > 4 else 0)


if __name__ == "__main__":
    if uvloop is not None:
        uvloop.install()
    asyncio.run(main(sys.argv[1:]))
