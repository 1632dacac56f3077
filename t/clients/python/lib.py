# The frame of a client's test: reads the job, runs every case that is to be
# run against every upstream dialect, a few at a time and each within a time
# limit, and prints a line of JSON for each.  What a case is stands in
# cases.py.  It must never print a case as passed that was not run whole, and
# knows nothing of any library.
#
# A client's file calls run() with a Client.  Its ways and answers are
# generators that give what the library shows, as it comes: dictionaries with
#
#     "text"    a piece of text
#     "call"    Call(id, name, args): whole, args a dictionary
#     "finish"  the word for it, as the library shows it
#     "usage"   {"input": 8, "output": 7}
#
# Members that are None are as good as missing.  A generator that is closed
# ends its request the way the library has for that.

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import queue
import sys
import threading
import traceback
from dataclasses import dataclass
from typing import Any, AsyncIterator, Callable, Iterator

import cases
from control import Mock

AT_ONCE = 4
LIMIT = 20 * float(os.environ.get("LLM_TEST_SLOW") or 1)
MISSING = 3

# what a library may read of the environment: addresses, keys, proxies, and
# where to report to
FOREIGN = ("OPENAI_", "ANTHROPIC_", "OLLAMA_", "GOOGLE_", "GEMINI_",
           "LANGCHAIN_", "LANGSMITH_", "OTEL_", "SSL_")


@dataclass
class Call:
    id: str | None
    name: str
    args: dict


@dataclass
class Turn:
    """What the model called before, and the text for each call."""
    calls: list[Call]
    results: list[str]


@dataclass
class Ask:
    """A question; tools are dictionaries: name, description, parameters."""
    prompt: str = "hi"
    usage: bool = False
    tools: list[dict] | None = None
    turn: Turn | None = None


Events = Iterator[dict]


def blocking(way: Callable[[Any, Ask], AsyncIterator[dict]]
             ) -> Callable[[Any, Ask], Events]:
    """A way that is asynchronous, as one that is not: an event loop of its
    own runs as far as the next event."""
    def events(api: Any, ask: Ask) -> Events:
        loop = asyncio.new_event_loop()
        said = way(api, ask)

        try:
            while True:
                try:
                    event = loop.run_until_complete(anext(said))

                except StopAsyncIteration:
                    return

                yield event

        finally:
            loop.run_until_complete(said.aclose())
            _settle(loop)
            loop.close()

    return events


# What a library leaves to be closed when it is collected is a task of the
# loop's a moment later; a loop that goes on runs it.  Generators that close
# each other then are reported on standard error, and no matter.
def _settle(loop: asyncio.AbstractEventLoop) -> None:
    loop.set_exception_handler(lambda *_: None)
    loop.run_until_complete(asyncio.sleep(0))

    left = asyncio.all_tasks(loop)

    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=1))

    loop.run_until_complete(loop.shutdown_asyncgens())


@dataclass
class Client:
    name: str                   # "openai chat (python)"
    package: str                # whose version is shown: "openai"
    dialect: str                # what it speaks to nginx: "openai"

    # imports the library
    load: Callable[[], Any]

    # open(sdk, url): the library with its retries off; its connections may
    # be shared.  The url has no slash at its end, and the library's own path
    # goes behind it: http://127.0.0.1:PORT/UPSTREAM/OPTIONS.
    open: Callable[[Any, str], Any]

    # the library's ways to stream, and its call that is no stream
    ways: dict[str, Callable[[Any, Ask], Events]]
    answer: Callable[[Any, Ask], Events]

    # the words expected, {"stop": "stop", "calls": "tool_calls"}; None where
    # the dialect has none
    finish: dict

    # failed(sdk, error): False if it is not an error that the library raises,
    # else True or the HTTP status, where the library has one
    failed: Callable[[Any, BaseException], Any]

    # known(case, upstream, way, options): None, or a note and a function of
    # what was seen, where the library cannot notice a bad end, or fails on
    # what is right: the case is right if that function says so
    known: Callable[..., Any] = lambda *_: None


_lock = threading.Lock()


def say(**line: Any) -> None:
    with _lock:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def _clear_environment() -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(FOREIGN):
            del os.environ[name]


def _load(client: Client) -> Any:
    try:
        return client.load()

    except ImportError as error:
        say(client=client.name, missing=str(error).split("\n", 1)[0])
        sys.exit(MISSING)


def _reason(error: BaseException) -> str:
    if isinstance(error, cases.Wrong):
        return str(error)

    return " ".join(traceback.format_exception(error)[-3:])


# One case, within its time.  A case that does not end is left behind: what it
# says later is not listened to, and its thread does not keep the process.
def _judge(name: str, context: cases.Context) -> dict:
    said: queue.SimpleQueue = queue.SimpleQueue()

    def body() -> None:
        try:
            note = cases.CASES[name](context)
            said.put({"ok": True, "note": note} if note else {"ok": True})

        except BaseException as error:
            said.put({"ok": False, "why": _reason(error)})

    threading.Thread(target=body, daemon=True).start()

    try:
        result = said.get(timeout=LIMIT)

    except queue.Empty:
        return {"ok": False, "why": f"not done after {LIMIT:g} s"}

    if "why" in result:
        result["why"] = " ".join(result["why"].split())[:600]

    return result


# everything to be run, the cases of an upstream one after the other
def _plan(job: dict) -> queue.SimpleQueue:
    plan: queue.SimpleQueue = queue.SimpleQueue()

    for upstream in job["upstreams"]:
        for name in job["cases"]:
            if name not in job.get("skip", {}).get(upstream, {}):
                plan.put((upstream, name))

    return plan


def run(client: Client) -> None:
    job = json.load(sys.stdin)

    _clear_environment()

    sdk = _load(client)
    mock = Mock(job["mock"])
    plan = _plan(job)
    calls = mock.calls(2)

    say(client=client.name,
        version=importlib.metadata.version(client.package),
        dialect=client.dialect)

    def worker() -> None:
        while True:
            try:
                upstream, name = plan.get_nowait()

            except queue.Empty:
                return

            say(upstream=upstream, case=name, **_judge(name, cases.Context(
                client=client, sdk=sdk, mock=mock, nginx=job["nginx"],
                upstream=upstream, name=name, calls=calls)))

    workers = [threading.Thread(target=worker) for _ in range(AT_ONCE)]

    for thread in workers:
        thread.start()

    for thread in workers:
        thread.join()
