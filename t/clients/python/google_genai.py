# Google's own library for Python, Gemini: a stream of chunks, also
# asynchronously, and one answer.

from __future__ import annotations

import functools

from lib import Call, Client, blocking, run


def load():
    from google import genai

    return genai


@functools.cache
def shared(sdk):
    return sdk.Client(api_key="none")


# the library and where it is to ask: its connections are shared
def open_at(sdk, url):
    return sdk, shared(sdk), sdk.types.HttpOptions(base_url=url)


def body(api, ask):
    sdk, _, options = api
    types = sdk.types
    contents = [types.UserContent(ask.prompt)]
    config = types.GenerateContentConfig(http_options=options)

    if ask.turn:
        contents += [types.ModelContent([
            types.Part(function_call=types.FunctionCall(
                id=call.id, name=call.name, args=call.args))
            for call in ask.turn.calls
        ]), types.UserContent([
            types.Part(function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"result": result}))
            for call, result in zip(ask.turn.calls, ask.turn.results)
        ])]

    if ask.tools:
        config.tools = [types.Tool(function_declarations=[
            types.FunctionDeclaration(
                name=tool["name"], description=tool["description"],
                parameters_json_schema=tool["parameters"])
            for tool in ask.tools
        ])]

    return {"model": "any-model", "contents": contents, "config": config}


def stream(api, ask):
    chunks = api[1].models.generate_content_stream(**body(api, ask))

    try:
        for chunk in chunks:
            yield from said(chunk)

    finally:
        chunks.close()


# without certificates, which would take longer to read than a case
async def stream_async(api, ask):
    sdk = api[0]
    later = sdk.Client(api_key="none", http_options=sdk.types.HttpOptions(
        client_args={"verify": False}, async_client_args={"verify": False}))

    async with later.aio as aio:
        chunks = await aio.models.generate_content_stream(**body(api, ask))

        try:
            async for chunk in chunks:
                for event in said(chunk):
                    yield event

        finally:
            await chunks.aclose()


def answer(api, ask):
    yield from said(api[1].models.generate_content(**body(api, ask)))


# a chunk has the form of an answer
def said(response):
    for candidate in response.candidates or []:
        for part in (candidate.content and candidate.content.parts) or []:
            if part.function_call:
                yield {"call": Call(part.function_call.id,
                                    part.function_call.name,
                                    part.function_call.args)}

            elif not part.thought:
                yield {"text": part.text}

        if candidate.finish_reason:
            yield {"finish": candidate.finish_reason.value}

    if response.usage_metadata:
        yield {"usage": {
            "input": response.usage_metadata.prompt_token_count,
            "output": response.usage_metadata.candidates_token_count}}


def failed(sdk, error):
    return isinstance(error, sdk.errors.APIError) and error.code


run(Client(
    name="google-genai (python)",
    package="google-genai",
    dialect="gemini",
    load=load,
    open=open_at,
    ways={"stream": stream, "stream_async": blocking(stream_async)},
    answer=answer,
    finish={"stop": "STOP", "calls": "STOP"},
    failed=failed,
))
