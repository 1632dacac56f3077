# OpenAI's own library for Python, chat completions: streams read as they
# come, also asynchronously, and by the library's helper that gathers them.

from __future__ import annotations

import functools
import json
import os

from lib import Call, Client, blocking, run


def load():
    import openai

    return openai


@functools.cache
def shared(sdk):
    return sdk.OpenAI(api_key="none", max_retries=0)


def open_at(sdk, url):
    return shared(sdk).with_options(base_url=f"{url}/v1")


# The asynchronous twin, in an event loop of its own; without certificates,
# which would take longer to read than a case.
def asynchronous(api):
    sdk = load()

    return sdk.AsyncOpenAI(
        base_url=api.base_url, api_key="none", max_retries=0,
        http_client=sdk.DefaultAsyncHttpxClient(verify=False))


def messages(ask):
    found = [{"role": "user", "content": ask.prompt}]

    if ask.turn:
        found.append({
            "role": "assistant", "content": None,
            "tool_calls": [{
                "id": call.id, "type": "function",
                "function": {"name": call.name,
                             "arguments": json.dumps(call.args)},
            } for call in ask.turn.calls],
        })
        found += [{"role": "tool", "tool_call_id": call.id, "content": result}
                  for call, result in zip(ask.turn.calls, ask.turn.results)]

    return found


def body(ask):
    request = {"model": "any-model", "messages": messages(ask)}

    if ask.tools:
        request["tools"] = [{"type": "function", "function": tool}
                            for tool in ask.tools]

    return request


def streamed(ask):
    request = body(ask)

    if ask.usage:
        request["stream_options"] = {"include_usage": True}

    return request


def called(call):
    return {"call": Call(call.id, call.function.name,
                         json.loads(call.function.arguments))}


def counted(usage):
    return usage and {"input": usage.prompt_tokens,
                      "output": usage.completion_tokens}


# What OpenAI's manual tells to do: fragments of a call are joined by index.
def join(calls, deltas):
    for delta in deltas or []:
        if delta.index not in calls:
            calls[delta.index] = delta

        else:
            calls[delta.index].function.arguments += delta.function.arguments


def create(api, ask):
    calls = {}

    with api.chat.completions.create(**streamed(ask), stream=True) as chunks:
        for chunk in chunks:
            yield from said(chunk, calls)

    for call in calls.values():
        yield called(call)


async def create_async(api, ask):
    calls = {}

    async with asynchronous(api) as later:
        async with await later.chat.completions.create(
                **streamed(ask), stream=True) as chunks:
            async for chunk in chunks:
                for event in said(chunk, calls):
                    yield event

    for call in calls.values():
        yield called(call)


def said(chunk, calls):
    for choice in chunk.choices:
        join(calls, choice.delta.tool_calls)

        yield {"text": choice.delta.content, "finish": choice.finish_reason}

    yield {"usage": counted(chunk.usage)}


def helper(api, ask):
    with api.chat.completions.stream(**streamed(ask)) as events:
        for event in events:
            if event.type == "content.delta":
                yield {"text": event.delta}

        yield from gathered(events.get_final_completion(), text=False)


def gathered(completion, text=True):
    choice = completion.choices[0]

    for call in choice.message.tool_calls or []:
        yield called(call)

    yield {"text": choice.message.content if text else None,
           "finish": choice.finish_reason,
           "usage": counted(completion.usage)}


def answer(api, ask):
    yield from gathered(api.chat.completions.create(**body(ask)))


def failed(sdk, error):
    return isinstance(error, sdk.APIError) and getattr(
        error, "status_code", True)


# The helper joins the objects of lists by their index.  Annotations of
# providers have none, and one after the other is more than it can join.  The
# module counts them, but not what a provider of the same dialect wrote, unless
# controls make it write its events anew.
def known(case, upstream, way, options):
    if (case == "stream" and upstream == "openai" and way == "helper"
            and "citations=" in options
            and not os.environ.get("LLM_CONTROLLED")):
        return ("chat.completions.stream() cannot join annotations of "
                "several chunks that have no index, as providers send them",
                lambda seen: isinstance(seen.error, RuntimeError)
                and "`index` key" in str(seen.error)
                and seen.finish is None)

    return None


if __name__ == "__main__":
    run(Client(
        name="openai chat (python)",
        package="openai",
        dialect="openai",
        load=load,
        open=open_at,
        ways={"create": create, "create_async": blocking(create_async),
              "helper": helper},
        answer=answer,
        finish={"stop": "stop", "calls": "tool_calls"},
        failed=failed,
        known=known,
    ))
