// The thread in which flowise.mjs reads streams, one after the other: what
// the library gives is posted as it comes, then how it ended.  It must never
// look into the events.

import { parentPort } from "node:worker_threads";

import { use } from "./packages.mjs";

use();

// a CommonJS package whose names Node does not find
const { FlowiseClient } = (await import("flowise-sdk")).default;


parentPort.on("message", async ({ url, request }) => {
    try {
        const api = new FlowiseClient({ baseUrl: url });

        for await (const event of await api.createPrediction(request)) {
            parentPort.postMessage({ event });
        }

        parentPort.postMessage({ end: true });

    } catch (error) {
        parentPort.postMessage({ error });
    }
});
