# Ollama's own library for Python, generate: text that goes on from a prompt,
# without tools.

from __future__ import annotations

from lib import Client, run
from ollama_chat import ended, failed, load, open_at


def generate(api, ask):
    for part in api.generate(model="any-model", prompt=ask.prompt,
                             stream=True):
        yield {"text": part.response, **ended(part)}


def answer(api, ask):
    part = api.generate(model="any-model", prompt=ask.prompt)

    yield {"text": part.response, **ended(part)}


run(Client(
    name="ollama generate (python)",
    package="ollama",
    dialect="ollama-generate",
    load=load,
    open=open_at,
    ways={"generate": generate},
    answer=answer,
    finish={"stop": "stop", "calls": None},
    failed=failed,
))
