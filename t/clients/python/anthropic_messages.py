# Anthropic's own library for Python: events read as they come, also
# asynchronously, and by the library's helper that gathers them.

from __future__ import annotations

import functools
import json

from lib import Call, Client, blocking, run


def load():
    import anthropic

    return anthropic


@functools.cache
def shared(sdk):
    return sdk.Anthropic(api_key="none", max_retries=0)


def body(ask):
    messages = [{"role": "user", "content": ask.prompt}]

    if ask.turn:
        messages += [{
            "role": "assistant",
            "content": [{"type": "tool_use", "id": call.id,
                         "name": call.name, "input": call.args}
                        for call in ask.turn.calls],
        }, {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id,
                         "content": result}
                        for call, result in zip(ask.turn.calls,
                                                ask.turn.results)],
        }]

    request = {"model": "any-model", "max_tokens": 1024,
               "messages": messages}

    if ask.tools:
        request["tools"] = [{"name": tool["name"],
                             "description": tool["description"],
                             "input_schema": tool["parameters"]}
                            for tool in ask.tools]

    return request


def create(api, ask):
    state = State()

    with api.messages.create(**body(ask), stream=True) as events:
        for event in events:
            yield from state.said(event)


# without certificates, which would take longer to read than a case
async def create_async(api, ask):
    state = State()
    sdk = load()

    async with sdk.AsyncAnthropic(
            base_url=api.base_url, api_key="none", max_retries=0,
            http_client=sdk.DefaultAsyncHttpxClient(verify=False)) as later:
        async with await later.messages.create(
                **body(ask), stream=True) as events:
            async for event in events:
                for seen in state.said(event):
                    yield seen


class State:
    def __init__(self):
        self.call, self.args, self.reason = None, "", None
        self.usage = {"input": None, "output": None}

    # the reason stands beside the last counts, and message_stop says that it
    # is the end
    def said(self, event):
        if event.type == "message_start":
            self.count(event.message.usage)

        elif event.type == "content_block_start":
            self.call, self.args = event.content_block, ""

        elif event.type == "content_block_delta":
            if event.delta.type == "text_delta":
                yield {"text": event.delta.text}

            elif event.delta.type == "input_json_delta":
                self.args += event.delta.partial_json

        elif event.type == "content_block_stop":
            if self.call.type == "tool_use":
                yield {"call": Call(self.call.id, self.call.name,
                                    json.loads(self.args))}

        elif event.type == "message_delta":
            self.count(event.usage)
            self.reason = event.delta.stop_reason

        elif event.type == "message_stop":
            yield {"finish": self.reason, "usage": self.usage}

    def count(self, usage):
        if usage.input_tokens is not None:
            self.usage["input"] = usage.input_tokens

        self.usage["output"] = usage.output_tokens


def helper(api, ask):
    with api.messages.stream(**body(ask)) as events:
        for event in events:
            if event.type == "text":
                yield {"text": event.text}

        yield from gathered(events.get_final_message(), text=False)


def gathered(message, text=True):
    for block in message.content:
        if block.type == "tool_use":
            yield {"call": Call(block.id, block.name, block.input)}

        elif text and block.type == "text":
            yield {"text": block.text}

    yield {"finish": message.stop_reason,
           "usage": {"input": message.usage.input_tokens,
                     "output": message.usage.output_tokens}}


def answer(api, ask):
    yield from gathered(api.messages.create(**body(ask)))


def failed(sdk, error):
    return isinstance(error, sdk.APIError) and getattr(
        error, "status_code", True)


run(Client(
    name="anthropic (python)",
    package="anthropic",
    dialect="anthropic",
    load=load,
    open=lambda sdk, url: shared(sdk).with_options(base_url=url),
    ways={"create": create, "create_async": blocking(create_async),
          "helper": helper},
    answer=answer,
    finish={"stop": "end_turn", "calls": "tool_use"},
    failed=failed,
))
