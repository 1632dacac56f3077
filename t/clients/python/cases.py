# The cases: what is asked of the mock provider, and what a library must make
# of it.  Every case tries each of the library's ways to stream and, where it
# makes sense, the call that is no stream.  A case returns None, or a note
# where a library behaves as is known of it; it raises Wrong with the reason
# if something is not as it must be.  It must never take an answer that broke
# off for one that ended.

from __future__ import annotations

import itertools
import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Iterator

if TYPE_CHECKING:
    from control import Mock
    from lib import Call, Client

# What text may hold: of every length in UTF-8, joined, escaped in JSON or
# not, a line end for some parsers and not for others, and what looks like
# the framing of an event.
PROMPT = (
    "Grüße aus Köln, naïve café; Привет, мир; 你好，世界。 "
    "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 𝄞 e\u0301. "
    "He said \"yes\" and 'no' \\ \\n \\u0041.\n"
    "A line\u2028and one more\u2029here,\u0085or\u000b\u000cthere. "
    "<b>&amp;</b> 100 % {a} [b]\n\n"
    "```js\nconst x = `${y}` // data: [DONE]\n```\n\nevent: done"
)

TOOLS = [{
    "name": "get_weather",
    "description": "The weather of a place.",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"},
                       "unit": {"type": "string"},
                       "n": {"type": "integer"}},
        "required": ["location"],
    },
}]

# Text alone, text among all else that an answer may have, and text with
# pauses, which nginx fills with heartbeats.
ECHO = "text=echo"
ECHOES = (ECHO, f"{ECHO},reasoning=3,citations=2,logprobs=1")
PAUSES = f"{ECHO},per_event=8,itl=40"

CALLS = ("tools=2", "tools=2,tokens=3,reasoning=2")

# broken off: FIN, an end that looks proper, RST, an empty last chunk
CUTS = ("fin-chunked-incomplete", "close-delimited-no-terminator",
        "rst-mid-event", "last-chunk-no-terminator")

# not the end of anything, but for nginx, whose patience has one
STALL = "stall-mid"

# milliseconds for the provider to see that a client has left
ABORT_LIMIT = int(5000 * float(os.environ.get("LLM_TEST_SLOW") or 1))

_count = itertools.count(1)


class Wrong(Exception):
    pass


@dataclass
class Context:
    client: Client
    sdk: Any
    mock: Mock
    nginx: str
    upstream: str
    name: str
    calls: list[dict]


@dataclass
class Seen:
    text: str = ""
    pieces: int = 0
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    usage: dict | None = None
    error: BaseException | None = None


def _demand(condition: Any, why: str) -> None:
    if not condition:
        raise Wrong(why)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)

    return text if len(text) <= 160 else f"{text[:160]}..."


def _same(got: Any, wanted: Any, what: str) -> None:
    _demand(got == wanted, f"{what} is {_shown(got)}, not {_shown(wanted)}")


def _described(error: BaseException | None) -> str:
    if error is None:
        return "nothing"

    return f"{type(error).__name__} {_shown(str(error))}"


# Reads to the end, however it comes.  enough(seen) says after each piece of
# text whether to break off.
def _read(events: Iterator[dict],
          enough: Callable[[Seen], bool] = lambda seen: False) -> Seen:
    seen = Seen()

    try:
        for event in events:
            if event.get("call") is not None:
                seen.calls.append(event["call"])

            if event.get("finish") is not None:
                seen.finish = event["finish"]

            if event.get("usage") is not None:
                seen.usage = event["usage"]

            if event.get("text"):
                seen.text += event["text"]
                seen.pieces += 1

                if enough(seen):
                    events.close()
                    break

    except Exception as error:
        seen.error = error

    return seen


# One question to a location with these options: what was seen, and the name
# that the mock gives the request.
def _try(c: Context, way: str, options: str, ask: Any,
         **more: Any) -> tuple[str, Seen]:
    name = re.sub(r"[^A-Za-z0-9-]", "", f"{c.client.package}-{c.upstream}"
                  f"-{c.name}-{next(_count)}")
    api = c.client.open(c.sdk, f"{c.nginx}/{c.upstream}/{options},id={name}")
    call = c.client.answer if way == "answer" else c.client.ways[way]

    return name, _read(call(api, ask), **more)


def _ask(**more: Any) -> Any:
    from lib import Ask

    return Ask(**more)


# the ways to ask: each kind of stream, and the one answer
def _ways(c: Context, answers: bool = True) -> list[str]:
    return [*c.client.ways, *(["answer"] if answers else [])]


def _fine(way: str, seen: Seen) -> None:
    _demand(seen.error is None, f"{way}: raised {_described(seen.error)}")


# What is known of the library here, which must show: a note, or None.
def _known(c: Context, way: str, what: str, seen: Seen) -> str | None:
    known = c.client.known(c.name, c.upstream, way, what)

    if known is None:
        return None

    note, shows = known
    _demand(shows(seen), f"{way}, {what}: not what is known of it: "
            f"{_described(seen.error)}, {_shown(vars(seen))}")

    return note


# It must have raised, with the library's own error, and shown no end before.
# Returns a note where something else is known of the library and shows.
def _broken(c: Context, way: str, fault: str, seen: Seen) -> str | None:
    note = _known(c, way, fault, seen)
    where = f"{way}, {fault}:"

    if note:
        return note

    _demand(seen.error is not None,
            f"{where} ended as a success, {_shown(vars(seen))}")
    _demand(c.client.failed(c.sdk, seen.error), f"{where} raised "
            f"{_described(seen.error)}, not the library's error")
    _demand(seen.finish is None,
            f"{where} showed the finish {seen.finish} before it raised")

    return None


def _noted(notes: list[str | None]) -> str | None:
    return "\n".join(dict.fromkeys(note for note in notes if note)) or None


def stream(c: Context) -> str | None:
    notes = []

    for options in (*ECHOES, PAUSES):
        for way in _ways(c, answers=False):
            _, seen = _try(c, way, options, _ask(prompt=PROMPT))
            where = f"{way}, {options}"
            note = _known(c, way, options, seen)

            if note:
                notes.append(note)
                continue

            _fine(where, seen)
            _same(seen.text, PROMPT, f"{where}: the text")
            _demand(seen.pieces > 1, f"{where}: all in one piece")
            _same(seen.finish, c.client.finish["stop"],
                  f"{where}: the finish")

    return _noted(notes)


def answer(c: Context) -> None:
    for options in ECHOES:
        _, seen = _try(c, "answer", options, _ask(prompt=PROMPT))

        _fine(options, seen)
        _same(seen.text, PROMPT, f"{options}: the text")
        _same(seen.finish, c.client.finish["stop"], f"{options}: the finish")


def tool(c: Context) -> None:
    for options in CALLS:
        for way in _ways(c):
            _, seen = _try(c, way, options, _ask(tools=TOOLS))
            where = f"{way}, {options}"

            _fine(where, seen)
            _same([{"name": call.name, "args": call.args}
                   for call in seen.calls], c.calls, f"{where}: the calls")
            _same(seen.finish, c.client.finish["calls"],
                  f"{where}: the finish")
            _results(c, way, seen.calls)


# The second half of a round trip: the results go back, and get there.
def _results(c: Context, way: str, calls: list[Call]) -> None:
    from lib import Turn

    marks = [f"result-{next(_count)}-of-call-{i}" for i in range(len(calls))]
    name, seen = _try(c, way, "tokens=3",
                      _ask(tools=TOOLS, turn=Turn(calls, marks)))

    _fine(f"{way}, with results", seen)
    _demand(seen.text, f"{way}: no text after the results")

    body = c.mock.body_of(name) or ""

    for mark in marks:
        _demand(mark in body,
                f"{way}: the provider did not get the result {mark}")


def usage(c: Context) -> None:
    counts = {}

    for way in _ways(c):
        _, seen = _try(c, way, "tokens=7", _ask(usage=True))

        _fine(way, seen)
        _demand(seen.usage, f"{way}: no usage")
        _demand((seen.usage["input"] or 0) > 0,
                f"{way}: input is {seen.usage['input']}")
        _same(seen.usage["output"], 7, f"{way}: output")
        counts[way] = seen.usage

    for way, said in counts.items():
        _same(said, counts["answer"], f"{way}: the usage")


def before(c: Context) -> str | None:
    faults = {"s5xx,variant=1": 500, "s5xx,variant=2": 502,
              "s5xx,variant=3": 503, "s429": 429, "s401": 401,
              "rst-before-headers": 502, "html-200": 502}
    notes = []

    # Gemini says of a bad key that the request is bad, and what it says goes
    # to its own clients as it came
    if c.upstream == c.client.dialect == "gemini":
        faults["s401"] = 400

    for fault, wanted in faults.items():
        for way in _ways(c):
            _, seen = _try(c, way, f"fault={fault}", _ask())
            note = _broken(c, way, fault, seen)

            if note:
                notes.append(note)
                continue

            _same(c.client.failed(c.sdk, seen.error), wanted,
                  f"{way}, {fault}: the status")
            _same(seen.text, "", f"{way}, {fault}: the text")

    return _noted(notes)


# The provider's own error, in a stream: none of these end as a success.  One
# answer of the same dialect is no stream, there is no event for the error.
def _reported(c: Context, fault: str, check: Callable) -> list[str | None]:
    notes = []

    for way in _ways(c, answers=c.upstream != c.client.dialect):
        _, seen = _try(c, way, f"tokens=12,fault={fault}", _ask())
        notes.append(_broken(c, way, fault, seen))
        check(way, seen)

    return notes


def first(c: Context) -> str | None:
    notes = []

    for variant in (1, 2, 3, 4):
        fault = f"error-event-first,variant={variant}"
        notes += _reported(c, fault, lambda way, seen: _same(
            seen.text, "", f"{way}, {fault}: the text"))

    return _noted(notes)


def mid(c: Context) -> str | None:
    notes = []

    for fault in (*(f"error-event-mid,at=5,variant={variant}"
                    for variant in (1, 2, 3, 4, 5)), "error-then-done,at=5"):
        notes += _reported(c, fault, lambda way, seen: _demand(
            way == "answer" or seen.pieces,
            f"{way}, {fault}: no text before the error"))

    return _noted(notes)


def truncated(c: Context) -> str | None:
    own = c.upstream == c.client.dialect
    notes = []

    for fault in (*CUTS, STALL):
        for way in _ways(c, answers=not own or fault != STALL):
            # one answer of the same dialect has a single event, its body
            at = 1 if own and way == "answer" else 5
            _, seen = _try(c, way, f"tokens=12,fault={fault},at={at}", _ask())

            notes.append(_broken(c, way, fault, seen))
            _demand(way == "answer" or seen.pieces,
                    f"{way}, {fault}: no text before the end")

    return _noted(notes)


def abort(c: Context) -> None:
    for way in _ways(c, answers=False):
        name, seen = _try(c, way, "itl=50,tokens=400", _ask(),
                          enough=lambda seen: seen.pieces == 2)

        _fine(way, seen)
        _same(seen.pieces, 2, f"{way}: the pieces read")
        _same(c.mock.end(name, ABORT_LIMIT), "aborted",
              f"{way}: the end that the provider saw")


CASES = {
    "stream": stream, "tool": tool, "answer": answer, "usage": usage,
    "before": before, "first": first, "mid": mid, "truncated": truncated,
    "abort": abort,
}
