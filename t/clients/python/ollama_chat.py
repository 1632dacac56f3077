# Ollama's own library for Python, chat: a stream of lines, also
# asynchronously, and one answer.

from __future__ import annotations

from lib import Call, Client, blocking, run


def load():
    import ollama
    import httpx

    ollama.transport_error = httpx.HTTPError

    return ollama


# no certificates are read, which takes longer than a case
def open_at(sdk, url):
    return sdk.Client(host=url, verify=False)


def body(ask):
    messages = [{"role": "user", "content": ask.prompt}]

    if ask.turn:
        messages.append({
            "role": "assistant",
            "tool_calls": [{"function": {"name": call.name,
                                         "arguments": call.args}}
                           for call in ask.turn.calls],
        })
        messages += [{"role": "tool", "tool_name": call.name,
                      "content": result}
                     for call, result in zip(ask.turn.calls,
                                             ask.turn.results)]

    request = {"model": "any-model", "messages": messages}

    if ask.tools:
        request["tools"] = [{"type": "function", "function": tool}
                            for tool in ask.tools]

    return request


def chat(api, ask):
    for part in api.chat(**body(ask), stream=True):
        yield from said(part)


# the library names no address: its connections know it
async def chat_async(api, ask):
    later = load().AsyncClient(host=str(api._client.base_url), verify=False)

    async with later:
        parts = await later.chat(**body(ask), stream=True)

        try:
            async for part in parts:
                for event in said(part):
                    yield event

        finally:
            await parts.aclose()


def answer(api, ask):
    yield from said(api.chat(**body(ask)))


# a line of a stream has the form of an answer
def said(part):
    for call in part.message.tool_calls or []:
        yield {"call": Call(None, call.function.name,
                            dict(call.function.arguments))}

    yield {"text": part.message.content, **ended(part)}


def ended(part):
    if not part.done:
        return {}

    return {"finish": part.done_reason,
            "usage": {"input": part.prompt_eval_count,
                      "output": part.eval_count}}


# An error in a line has no status.  What breaks the connection is httpx's own
# error, which the library lets through.
def failed(sdk, error):
    if isinstance(error, sdk.ResponseError):
        return error.status_code if error.status_code > 0 else True

    return isinstance(error, sdk.transport_error)


if __name__ == "__main__":
    run(Client(
        name="ollama chat (python)",
        package="ollama",
        dialect="ollama",
        load=load,
        open=open_at,
        ways={"chat": chat, "chat_async": blocking(chat_async)},
        answer=answer,
        finish={"stop": "stop", "calls": "stop"},
        failed=failed,
    ))
