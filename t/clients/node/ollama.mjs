// Ollama's own library for Node, chat.

import { counted, failed, open, stoppable } from "./ollama-common.mjs";
import { run } from "./lib.mjs";


function request(ask) {
    const messages = [{ role: "user", content: ask.prompt }];

    if (ask.turn) {
        messages.push({
            role: "assistant",
            content: "",
            tool_calls: ask.turn.calls.map(({ name, args }) => ({
                function: { name, arguments: args },
            })),
        }, ...ask.turn.calls.map(({ name }, i) => ({
            role: "tool", tool_name: name, content: ask.turn.results[i],
        })));
    }

    return {
        model: "any-model",
        messages,
        ...(ask.tools && {
            tools: ask.tools.map((f) => ({ type: "function", function: f })),
        }),
    };
}


function called({ id, function: { name, arguments: args } }) {
    return { id, name, args };
}


async function* stream(api, ask, signal) {
    const chunks = await api.chat({ ...request(ask), stream: true });

    for await (const chunk of stoppable(chunks, signal)) {
        for (const call of chunk.message.tool_calls ?? []) {
            yield { call: called(call) };
        }

        yield {
            text: chunk.message.content,
            finish: chunk.done_reason,
            usage: counted(chunk),
        };
    }
}


async function answer(api, ask) {
    const whole = await api.chat(request(ask));

    return {
        text: whole.message.content,
        calls: (whole.message.tool_calls ?? []).map(called),
        finish: whole.done_reason,
        usage: counted(whole),
    };
}


await run({
    name: "ollama chat (node)",
    package: "ollama",
    dialect: "ollama",
    load: () => import("ollama"),
    open,
    ways: { stream },
    answer,
    finish: { stop: "stop", calls: "stop" },
    failed,
});
