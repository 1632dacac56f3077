// Google's own library for Node: generateContentStream, and a chat, which
// keeps the turns by itself and gathers what a stream said.

import { run } from "./lib.mjs";


function user(ask) {
    return { role: "user", parts: [{ text: ask.prompt }] };
}


// What the model called goes back as it came, with a signature if it had one.
function calling(ask) {
    return { role: "model", parts: ask.turn.calls.map(({ part }) => part) };
}


function answering(ask) {
    return ask.turn.calls.map(({ id, name }, i) => ({
        functionResponse: {
            id, name, response: { output: ask.turn.results[i] },
        },
    }));
}


// The library leaves its listeners on a signal: each call has one of its own.
function config(ask, signal) {
    return {
        abortSignal: AbortSignal.any([signal]),
        ...(ask.tools && { tools: [{ functionDeclarations:
            ask.tools.map(({ name, description, parameters }) => ({
                name, description, parametersJsonSchema: parameters,
            })),
        }] }),
    };
}


function request(ask, signal) {
    const contents = !ask.turn ? ask.prompt : [
        user(ask), calling(ask), { role: "user", parts: answering(ask) },
    ];

    return { model: "any-model", contents, config: config(ask, signal) };
}


function called(part) {
    const { id, name, args } = part.functionCall;

    return { id, name, args, part };
}


function calls(chunk) {
    const parts = chunk.candidates?.[0]?.content?.parts ?? [];

    return parts.filter((part) => part.functionCall).map(called);
}


function text(chunk) {
    const parts = chunk.candidates?.[0]?.content?.parts ?? [];

    // .text complains about parts that are not text
    return parts.some((part) => part.functionCall) ? "" : chunk.text ?? "";
}


function counted(usage) {
    return usage && {
        input: usage.promptTokenCount, output: usage.candidatesTokenCount,
    };
}


async function* events(stream) {
    for await (const chunk of await stream) {
        for (const call of calls(chunk)) {
            yield { call };
        }

        yield {
            text: text(chunk),
            finish: chunk.candidates?.[0]?.finishReason,
            usage: counted(chunk.usageMetadata),
        };
    }
}


function generate(api, ask, signal) {
    return events(api.models.generateContentStream(request(ask, signal)));
}


function chat(api, ask, signal) {
    const session = api.chats.create({
        model: "any-model",
        history: ask.turn ? [user(ask), calling(ask)] : [],
        config: config(ask, signal),
    });

    return events(session.sendMessageStream({
        message: ask.turn ? answering(ask) : ask.prompt,
    }));
}


async function answer(api, ask, signal) {
    const whole = await api.models.generateContent(request(ask, signal));

    return {
        text: text(whole),
        calls: calls(whole),
        finish: whole.candidates[0].finishReason,
        usage: counted(whole.usageMetadata),
    };
}


await run({
    name: "google genai (node)",
    package: "@google/genai",
    dialect: "gemini",
    load: () => import("@google/genai"),
    open: (sdk, url) => new sdk.GoogleGenAI({
        apiKey: "none",
        httpOptions: { baseUrl: url, retryOptions: { attempts: 1 } },
    }),
    ways: { generate, chat },
    answer,
    finish: { stop: "STOP", calls: "STOP" },
    failed: (sdk, error) => error instanceof sdk.ApiError && error.status,
});
