# The mock provider's control side, and what it says when it is asked
# directly: the truth that the clients' answers are compared with.  It must
# never go through nginx.

from __future__ import annotations

import json
import urllib.request


# no proxy, whatever the environment says
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Mock:
    def __init__(self, address: str) -> None:
        self.address = address

    def _json(self, path: str, body: dict | None = None,
              options: str = "") -> dict | list:
        request = urllib.request.Request(
            self.address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Mock": options, "Content-Type": "application/json"})

        with _direct.open(request) as answer:
            return json.load(answer)

    def calls(self, n: int) -> list[dict]:
        """The calls that tools=N makes, as name and arguments."""
        said = self._json("/v1/chat/completions", {
            "model": "m", "messages": [{"role": "user", "content": "any"}],
        }, f"tools={n}")

        return [{"name": call["function"]["name"],
                 "args": json.loads(call["function"]["arguments"])}
                for call in said["choices"][0]["message"]["tool_calls"]]

    def body_of(self, name: str) -> str | None:
        """The body of the newest request whose options have this id."""
        found = [request for request in self._json("/mock/requests?last=256")
                 if f"id={name}" in json.dumps(request["headers"])]

        return found[-1]["body"] if found else None

    def end(self, name: str, milliseconds: int) -> str:
        """How the stream of that id ended: it has, or will within the limit.
        """
        self._json(f"/mock/wait?id={name}&end=1&timeout={milliseconds}")

        return self._json(f"/mock/stats?id={name}")["end"]
