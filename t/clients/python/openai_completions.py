# OpenAI's own library for Python, the old completions: text that goes on from
# a prompt, without tools.

from __future__ import annotations

from lib import Client, run
from openai_chat import counted, failed, load, open_at


def body(ask):
    return {"model": "any-model", "prompt": ask.prompt, "max_tokens": 4096}


def create(api, ask):
    more = {"stream_options": {"include_usage": True}} if ask.usage else {}

    with api.completions.create(**body(ask), **more, stream=True) as chunks:
        for chunk in chunks:
            yield from said(chunk)


def answer(api, ask):
    yield from said(api.completions.create(**body(ask)))


# a chunk has the form of an answer
def said(completion):
    for choice in completion.choices:
        yield {"text": choice.text, "finish": choice.finish_reason}

    yield {"usage": counted(completion.usage)}


if __name__ == "__main__":
    run(Client(
        name="openai completions (python)",
        package="openai",
        dialect="openai-completions",
        load=load,
        open=open_at,
        ways={"create": create},
        answer=answer,
        finish={"stop": "stop", "calls": None},
        failed=failed,
    ))
