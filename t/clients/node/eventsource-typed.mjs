// EventSource for Node, as browsers have it, with the dialect typed.

import { Told, failed, messages, open } from "./eventsource-common.mjs";
import { run } from "./lib.mjs";


// the last event repeats what the tokens were
function ended({ full_text: whole, finish_reason: finish, usage }, text) {
    if (whole !== text) {
        throw new Error("full_text is not what the tokens were");
    }

    return {
        finish,
        usage: usage && {
            input: usage.prompt_tokens, output: usage.completion_tokens,
        },
    };
}


async function* stream(api, ask, signal) {
    let text = "";

    for await (const event of messages(api, "typed", ask, signal)) {
        switch (event.type) {
        case "metadata":
            break;

        case "token":
            text += event.data.token;
            yield { text: event.data.token };
            break;

        case "done":
            yield ended(event.data, text);
            return;

        case "error":
            throw new Told(event.data.message);

        default:
            throw new Error(`an event of the type ${event.type}`);
        }
    }
}


await run({
    name: "eventsource typed (node)",
    package: "eventsource",
    dialect: "typed",
    load: () => import("eventsource"),
    open,
    ways: { stream },
    answer: null,
    finish: { stop: "stop" },
    failed,
});
