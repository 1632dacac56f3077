// EventSource for Node, as browsers have it, with the dialect simple.

import { Told, failed, messages, open } from "./eventsource-common.mjs";
import { run } from "./lib.mjs";


async function* stream(api, ask, signal) {
    for await (const data of messages(api, "simple", ask, signal)) {
        if (data.error !== undefined) {
            throw new Told(data.error);
        }

        if (data.done) {
            yield { finish: "done" };
            return;
        }

        yield { text: data.content };
    }
}


await run({
    name: "eventsource simple (node)",
    package: "eventsource",
    dialect: "simple",
    load: () => import("eventsource"),
    open,
    ways: { stream },
    answer: null,
    finish: { stop: "done" },
    failed,
});
