// Two ways to ask the module: fetch with a stream of the dialect "openai",
// and EventSource with one of "simple".  Both tell what comes by a callback,
//
//   { text } { reasoning } { model } { finish } { usage }
//
// and return only if the answer was said to be finished; for anything else
// they throw, a Problem or the reason of the signal.  They know nothing of
// the page.  An end of the connection must never pass for an end of the
// answer.

import { EventStream } from "./sse.js";

const LOST = "The connection was lost before the answer was finished.";


// message and code are the module's where it said them; status is that of
// the answer, if it was not 200

export class Problem extends Error {
    constructor(message, code, status) {
        super(message);
        this.code = code ?? null;
        this.status = status ?? null;
    }
}


// The error of a body or an event: OpenAI's {"error":{"message","code"}}, or
// {"error":"...","code":"..."}.

function problem(value, status) {
    const error = value.error;

    if (typeof error === "object") {
        return new Problem(String(error.message ?? "The request failed."),
            error.code ?? error.type, status);
    }

    return new Problem(String(error), value.code, status);
}


function parsed(text, what) {
    try {
        const value = JSON.parse(text);

        if (typeof value === "object" && value !== null) {
            return value;
        }

    } catch {
        // said below
    }

    throw new Problem(`${what} cannot be read.`, "not_json");
}


// what a chunk, or a whole answer, has to say

function tell(value, said) {
    const choice = value.choices?.[0];
    const part = choice?.delta ?? choice?.message;
    const reasoning = part?.reasoning_content ?? part?.reasoning;
    const text = part?.content || part?.refusal;

    if (typeof value.model === "string" && value.model !== "") {
        said({ model: value.model });
    }

    if (typeof reasoning === "string" && reasoning !== "") {
        said({ reasoning });
    }

    if (typeof text === "string" && text !== "") {
        said({ text });
    }

    if (choice?.finish_reason) {
        said({ finish: String(choice.finish_reason) });
    }

    if (value.usage) {
        said({ usage: value.usage });
    }
}


async function readStream(body, said) {
    const reader = body.getReader();
    const stream = new EventStream();

    for (;;) {
        const { done, value } = await reader.read();

        if (done) {
            throw new Problem(LOST, "connection_lost");
        }

        for (const { data } of stream.push(value)) {
            if (data === "[DONE]") {
                await reader.cancel();
                return;
            }

            const chunk = parsed(data, "An event of the answer");

            if (chunk.error) {
                await reader.cancel();
                throw problem(chunk);
            }

            tell(chunk, said);
        }
    }
}


// an error status: its body says why, or only the status does

async function refusal(response) {
    const words = await response.text();

    try {
        const body = parsed(words, "");

        if (body.error) {
            return problem(body, response.status);
        }

    } catch {
        // a page of another server, perhaps
    }

    return new Problem("The server refused the request.", null,
        response.status);
}


async function readAnswer(response, said) {
    const type = response.headers.get("Content-Type") ?? "";

    if (!response.ok) {
        throw await refusal(response);
    }

    if (/^text\/event-stream\b/i.test(type)) {
        await readStream(response.body, said);
        return;
    }

    if (!/^application\/json\b/i.test(type)) {
        throw new Problem("The server's answer is not one of a model.",
            "not_json");
    }

    const value = parsed(await response.text(), "The answer");

    if (value.error) {
        throw problem(value);
    }

    tell(value, said);
}


// question: { model, messages }

export async function byFetch(question, said, signal) {
    try {
        const response = await fetch("v1/chat/completions", {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify({ ...question, stream: true,
                stream_options: { include_usage: true } }),
            signal,
        });

        await readAnswer(response, said);

    } catch (error) {
        signal.throwIfAborted();

        if (error instanceof Problem) {
            throw error;
        }

        // the browser says no more than that it failed
        throw new Problem("The server cannot be reached, or the connection "
            + "was lost.", "connection_lost");
    }
}


// Only the last message is sent.  Whatever ends it closes the source: or the
// browser would connect again, and ask once more.

export function byEventSource(question, said, signal) {
    const message = question.messages.at(-1).content;

    return new Promise((resolve, reject) => {
        const source = new EventSource("chat?message="
            + encodeURIComponent(message));
        let begun = false;

        const end = (settle, value) => {
            source.close();
            settle(value);
        };

        const read = ({ data }) => {
            const value = parsed(data, "An event of the answer");

            begun = true;

            if (value.content) {
                said({ text: String(value.content) });
            }

            if (value.error) {
                end(reject, problem(value));

            } else if (value.done) {
                end(resolve);
            }
        };

        source.onmessage = (event) => {
            try {
                read(event);

            } catch (error) {
                end(reject, error);
            }
        };

        source.onerror = () => end(reject, begun
            ? new Problem(LOST, "connection_lost")
            : new Problem("The server refused, or cannot be reached. "
                + "EventSource cannot say why.", "no_answer"));

        signal.addEventListener("abort", () => end(reject, signal.reason));
    });
}
