# LangChain's chat model for OpenAI: chunks that are added up, also
# asynchronously, and one answer.

from __future__ import annotations

import functools

from lib import Call, Client, blocking, run


def load():
    import langchain_openai
    import openai
    from langchain_core import messages

    langchain_openai.openai = openai
    langchain_openai.messages = messages

    return langchain_openai


# shared; the asynchronous ones are not used, but each model makes its own
# where it is given none, which takes longer than a case
@functools.cache
def connections(sdk):
    return {"http_client": sdk.openai.DefaultHttpxClient(),
            "http_async_client": sdk.openai.DefaultAsyncHttpxClient()}


def open_at(sdk, url):
    return sdk, url, chat_model(sdk, url)


def chat_model(sdk, url, **more):
    return sdk.ChatOpenAI(
        model="any-model", api_key="none", base_url=f"{url}/v1",
        max_retries=0, stream_usage=True, **{**connections(sdk), **more})


def conversation(sdk, ask):
    found = [sdk.messages.HumanMessage(ask.prompt)]

    if ask.turn:
        found.append(sdk.messages.AIMessage("", tool_calls=[
            {"id": call.id, "name": call.name, "args": call.args}
            for call in ask.turn.calls
        ]))
        found += [sdk.messages.ToolMessage(result, tool_call_id=call.id)
                  for call, result in zip(ask.turn.calls, ask.turn.results)]

    return found


def bound(model, ask):
    if not ask.tools:
        return model

    return model.bind_tools([{"type": "function", "function": tool}
                             for tool in ask.tools])


def stream(api, ask):
    sdk, _, model = api
    chunks = bound(model, ask).stream(conversation(sdk, ask))
    whole = None

    try:
        for chunk in chunks:
            whole = chunk if whole is None else whole + chunk

            yield said(chunk)

    finally:
        chunks.close()

    yield from called(whole)


# without certificates, which would take longer to read than a case
async def stream_async(api, ask):
    sdk, url, _ = api
    whole = None

    async with sdk.openai.DefaultAsyncHttpxClient(verify=False) as later:
        model = chat_model(sdk, url, http_async_client=later)
        chunks = bound(model, ask).astream(conversation(sdk, ask))

        try:
            async for chunk in chunks:
                whole = chunk if whole is None else whole + chunk

                yield said(chunk)

        finally:
            await chunks.aclose()

    for call in called(whole):
        yield call


# a chunk has the form of an answer
def said(message):
    return {"text": message.text,
            "finish": message.response_metadata.get("finish_reason"),
            "usage": counted(message.usage_metadata)}


def called(message):
    for call in message.tool_calls:
        yield {"call": Call(call["id"], call["name"], call["args"])}


def answer(api, ask):
    sdk, _, model = api
    message = bound(model, ask).invoke(conversation(sdk, ask))

    yield from called(message)
    yield said(message)


def counted(usage):
    return usage and {"input": usage["input_tokens"],
                      "output": usage["output_tokens"]}


def failed(sdk, error):
    return isinstance(error, sdk.openai.APIError) and getattr(
        error, "status_code", True)


run(Client(
    name="langchain-openai chat (python)",
    package="langchain-openai",
    dialect="openai",
    load=load,
    open=open_at,
    ways={"stream": stream, "stream_async": blocking(stream_async)},
    answer=answer,
    finish={"stop": "stop", "calls": "tool_calls"},
    failed=failed,
))
