// Ollama's own library for Node, generate.

import { counted, failed, open, stoppable } from "./ollama-common.mjs";
import { run } from "./lib.mjs";


function request(ask) {
    return { model: "any-model", prompt: ask.prompt };
}


async function* stream(api, ask, signal) {
    const chunks = await api.generate({ ...request(ask), stream: true });

    for await (const chunk of stoppable(chunks, signal)) {
        yield {
            text: chunk.response,
            finish: chunk.done_reason,
            usage: counted(chunk),
        };
    }
}


async function answer(api, ask) {
    const whole = await api.generate(request(ask));

    return {
        text: whole.response,
        finish: whole.done_reason,
        usage: counted(whole),
    };
}


await run({
    name: "ollama generate (node)",
    package: "ollama",
    dialect: "ollama-generate",
    load: () => import("ollama"),
    open,
    ways: { stream },
    answer,
    finish: { stop: "stop" },
    failed,
});
