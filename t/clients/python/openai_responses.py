# OpenAI's own library for Python, Responses: events read as they come, also
# asynchronously, and by the library's helper that gathers them.

from __future__ import annotations

import json

from lib import Call, Client, blocking, run
from openai_chat import asynchronous, failed, load, open_at


def body(ask):
    items = [{"role": "user", "content": ask.prompt}]

    if ask.turn:
        items += [{"type": "function_call", "call_id": call.id,
                   "name": call.name, "arguments": json.dumps(call.args)}
                  for call in ask.turn.calls]
        items += [{"type": "function_call_output", "call_id": call.id,
                   "output": result}
                  for call, result in zip(ask.turn.calls, ask.turn.results)]

    request = {"model": "any-model", "input": items}

    if ask.tools:
        request["tools"] = [{"type": "function", "strict": False, **tool}
                            for tool in ask.tools]

    return request


def called(item):
    return {"call": Call(item.call_id, item.name, json.loads(item.arguments))}


def create(api, ask):
    with api.responses.create(**body(ask), stream=True) as events:
        for event in events:
            yield from said(event)


async def create_async(api, ask):
    async with asynchronous(api) as later:
        async with await later.responses.create(
                **body(ask), stream=True) as events:
            async for event in events:
                for seen in said(event):
                    yield seen


def said(event):
    if event.type == "response.output_text.delta":
        yield {"text": event.delta}

    elif (event.type == "response.output_item.done"
          and event.item.type == "function_call"):
        yield called(event.item)

    elif event.type in ("response.completed", "response.incomplete",
                        "response.failed"):
        yield from gathered(event.response, items=False)


def helper(api, ask):
    with api.responses.stream(**body(ask)) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                yield {"text": event.delta}

        response = events.get_final_response()

    for item in response.output:
        if item.type == "function_call":
            yield called(item)

    yield from gathered(response, items=False)


def gathered(response, items=True):
    for item in response.output if items else []:
        if item.type == "function_call":
            yield called(item)

    yield {"text": response.output_text if items else None,
           "finish": response.status,
           "usage": response.usage and {
               "input": response.usage.input_tokens,
               "output": response.usage.output_tokens}}


def answer(api, ask):
    yield from gathered(api.responses.create(**body(ask)))


if __name__ == "__main__":
    run(Client(
        name="openai responses (python)",
        package="openai",
        dialect="openai-responses",
        load=load,
        open=open_at,
        ways={"create": create, "create_async": blocking(create_async),
              "helper": helper},
        answer=answer,
        finish={"stop": "completed", "calls": "completed"},
        failed=failed,
    ))
