"""How quickly the server answers, and whether its memory stays as it is.

Run as `python -m benchmarks.serve [FOLDER]` after `dvc repro` and `make serve-extra`, on an idle
machine. It starts `python -m tagger.serve` on FOLDER (data/tagger), and takes the time to its first
answer; then the time of each of many requests with one short text, sent one after the other on one
connection, in the round with the lowest median; then how many of them 64 clients get answered, and
the server's resident memory before and after them. The clients are one process, which takes a part
of the machine's cores too.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.process import machine

TEXTS = [
    "Laura Osborne of Chase Bank flew to Bergen on Monday, the Norwegian Parliament said.",
    "Leeds United lost at home in Kingston on Sunday, and sold David Morgan to Reading.",
    "Norway sells Poland more oil than Denmark does.",
]
SINGLE, ROUNDS = 2000, 3  # requests one after the other, and how often
CLIENTS = 64
TOGETHER = 20_000  # requests of all clients
JSON = {"Content-Type": "application/json"}


def latencies(port: int, number: int) -> list[float]:
    """The seconds that each of some requests took, sorted; they share a connection."""
    connection = HTTPConnection("127.0.0.1", port)
    seconds = []
    for i in range(number):
        body = json.dumps({"texts": [TEXTS[i % len(TEXTS)]]})
        start = time.perf_counter()
        connection.request("POST", "/tag", body, JSON)
        response = connection.getresponse()
        response.read()
        seconds.append(time.perf_counter() - start)
        assert response.status == 200, response.status
    return sorted(seconds)


async def client(port: int, number: int) -> None:
    """Send a number of requests, each after the answer to the last."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for i in range(number):
        body = json.dumps({"texts": [TEXTS[i % len(TEXTS)]]}).encode()
        writer.write(
            b"POST /tag HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200 "), head
        await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
    writer.close()
    await writer.wait_closed()


async def rate(port: int, clients: int, number: int) -> float:
    """The number of requests that clients get answered a second."""
    start = time.perf_counter()
    await asyncio.gather(*(client(port, number // clients) for _ in range(clients)))
    return number // clients * clients / (time.perf_counter() - start)


def memory(process: int) -> float:
    """The resident memory of a process in MiB (Linux)."""
    fields = dict(
        line.split(":") for line in Path(f"/proc/{process}/status").read_text().splitlines()
    )
    return int(fields["VmRSS"].split()[0]) / 1024


def main() -> None:
    """Measure, and print a table."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "data/tagger"
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "tagger.serve", folder, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        port = int(process.stdout.readline().split("127.0.0.1:")[1].split(";")[0])
        latencies(port, 1)
        first = time.perf_counter() - start
        latencies(port, 100)
        rounds = [latencies(port, SINGLE) for _ in range(ROUNDS)]
        single = min(rounds, key=statistics.median)
        asyncio.run(rate(port, CLIENTS, TOGETHER // 10))
        before = memory(process.pid)
        answered = asyncio.run(rate(port, CLIENTS, TOGETHER))
        after = memory(process.pid)
    finally:
        process.terminate()
        process.wait()
    print(f"{machine()}\n{SINGLE:,} requests of a short text, the quickest of {ROUNDS} rounds")
    print(f"\nfirst answer, from the command    {first:6.2f} s")
    print(f"a short text, median              {statistics.median(single) * 1e3:6.2f} ms")
    print(f"a short text, 99th percentile     {single[int(0.99 * SINGLE)] * 1e3:6.2f} ms")
    print(f"{CLIENTS} clients                        {answered:6,.0f} requests/s")
    print(f"memory before {TOGETHER:,} requests     {before:6.1f} MiB")
    print(f"memory after them                 {after:6.1f} MiB")


if __name__ == "__main__":
    main()
