// Flowise's own library for Node.  Its streams cannot be told to stop, and
// who leaves the loop leaves the connection open: a request ends only with
// the thread or the process that reads.  So streams are read in a thread, and
// abort ends that.
//
// It raises when a stream begins with a status, and when the connection
// breaks.  The rest is for its user to look at: the event "error", and what
// one answer says, whose status it does not look at.

import { on } from "node:events";
import { Worker } from "node:worker_threads";

import { run } from "./lib.mjs";
import { version } from "./packages.mjs";

const READER = new URL("flowise-reader.mjs", import.meta.url);

// whose first event says nothing but that there will be an answer: by the
// error behind it the status is 200
const BEGIN_APART = ["openai-responses", "cohere"];

const idle = [];


function request(ask, streaming) {
    return { chatflowId: "any-flow", question: ask.prompt, streaming };
}


function counted(usage) {
    return usage && { input: usage.input_tokens, output: usage.output_tokens };
}


// What the thread posts, until the stream's end.  The thread is kept for the
// next one if it is done with this one.
async function* read(job, signal) {
    const reader = idle.pop() ?? new Worker(READER);
    let done = false;

    try {
        reader.postMessage(job);

        for await (const [said] of on(reader, "message", { signal })) {
            if (said.event) {
                yield said.event;
                continue;
            }

            done = true;

            if (said.error) {
                throw said.error;
            }

            return;
        }

    } finally {
        if (done) {
            idle.push(reader);

        } else {
            await reader.terminate();
        }
    }
}


async function* stream({ url }, ask, signal) {
    for await (const { event, data } of read({
        url, request: request(ask, true),
    }, signal)) {
        switch (event) {
        case "token":
            yield { text: data };
            break;

        case "usageMetadata":
            yield { usage: counted(data) };
            break;

        case "end":
        case "error":
            yield { finish: event };
            break;

        default:
            break;
        }
    }
}


// An answer has no word for its end: one with a text has come to it.
async function answer({ sdk, url }, ask) {
    const api = new sdk.FlowiseClient({ baseUrl: url });
    const whole = await api.createPrediction(request(ask, false));

    if (whole.success === false) {
        return { finish: `error ${whole.statusCode}` };
    }

    return {
        text: whole.text,
        finish: typeof whole.text === "string" ? "end" : "nothing",
        usage: counted(whole.usageMetadata),
    };
}


// an error as a value: it is there, and no end beside it
function known({ name, upstream, way, status }) {
    const sdk = `flowise-sdk ${version("flowise-sdk")}`;

    if (way === "answer") {
        return {
            note: `${sdk} does not look at the status of one answer, and `
                + "returns the error: success is false, statusCode is set",
            shows: ({ error, text, finish }) => !error && text === ""
                && (name === "before" ? finish === `error ${status}`
                    : /^error [45]\d\d$/.test(finish)),
        };
    }

    if (name === "before"
        || (name === "first" && !BEGIN_APART.includes(upstream)))
    {
        return null;
    }

    return {
        note: `${sdk} does not raise on an error in a stream: it hands on `
            + "the event error, and then the loop ends; the event end does "
            + "not come",
        shows: ({ error, finish }) => !error && finish === "error",
    };
}


await run({
    name: "flowise (node)",
    package: "flowise-sdk",
    dialect: "flowise",
    load: async () => (await import("flowise-sdk")).default,
    open: (sdk, url) => ({ sdk, url }),
    ways: { stream },
    answer,
    finish: { stop: "end" },
    failed: (sdk, error) => {
        const found = /^HTTP error! status: (\d+)$/.exec(error?.message);

        return found ? Number(found[1])
            : error?.message === "Error creating prediction";
    },
    known,
});

await Promise.all(idle.map((reader) => reader.terminate()));
