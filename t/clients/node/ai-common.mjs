// Vercel's AI SDK, whichever of its providers speaks to nginx: streams read
// part by part, and as text with the rest afterwards.  Errors in a stream are
// parts of it, or given to onError; nothing is thrown.  What is told of them
// here is thrown as Reported.

import { run } from "./lib.mjs";
import { version } from "./packages.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;


class Reported extends Error {
    constructor(error) {
        super(error?.message ?? String(error), { cause: error });
    }
}


// What the model called goes back with what its provider put beside it.
function turn(ask) {
    return [
        { role: "user", content: ask.prompt },
        {
            role: "assistant",
            content: ask.turn.calls.map(({ id, name, args, beside }) => ({
                type: "tool-call", toolCallId: id, toolName: name,
                input: args, providerOptions: beside,
            })),
        },
        {
            role: "tool",
            content: ask.turn.calls.map(({ id, name }, i) => ({
                type: "tool-result", toolCallId: id, toolName: name,
                output: { type: "text", value: ask.turn.results[i] },
            })),
        },
    ];
}


function tools(sdk, list) {
    return Object.fromEntries(list.map(({ name, description, parameters }) => [
        name, sdk.tool({
            description, inputSchema: sdk.jsonSchema(parameters),
        }),
    ]));
}


function options({ sdk, model }, ask, signal) {
    return {
        model,
        messages: ask.turn ? turn(ask)
            : [{ role: "user", content: ask.prompt }],
        abortSignal: signal,
        maxRetries: 0,
        ...(ask.tools && { tools: tools(sdk, ask.tools) }),
    };
}


function called({ toolCallId, toolName, input, invalid, providerMetadata }) {
    if (invalid) {
        throw new Error(`the call of ${toolName} is invalid`);
    }

    return {
        id: toolCallId, name: toolName, args: input, beside: providerMetadata,
    };
}


function counted({ inputTokens, outputTokens }) {
    return { input: inputTokens, output: outputTokens };
}


async function* parts(api, ask, signal) {
    const { fullStream } = api.sdk.streamText({
        ...options(api, ask, signal), onError: () => {},
    });

    for await (const part of fullStream) {
        switch (part.type) {
        case "text-delta":
            yield { text: part.text };
            break;

        case "tool-call":
            yield { call: called(part) };
            break;

        case "finish":
            yield {
                finish: part.finishReason, usage: counted(part.totalUsage),
            };
            break;

        case "error":
            throw new Reported(part.error);

        default:
            break;
        }
    }
}


// After an error the text so far may be had of the result: it must not have
// a reason that says it is whole.
async function raise(error, result) {
    const finish = await result.finishReason.catch(() => "error");

    throw finish === "error" ? new Reported(error)
        : new Error(`an error, but the finish reason is ${finish}`);
}


async function* text(api, ask, signal) {
    const errors = [];
    const result = api.sdk.streamText({
        ...options(api, ask, signal),
        onError: ({ error }) => errors.push(error),
    });

    for await (const piece of result.textStream) {
        yield { text: piece };
    }

    if (signal.aborted) {
        return;
    }

    if (errors.length) {
        await raise(errors[0], result);
    }

    for (const call of await result.toolCalls) {
        yield { call: called(call) };
    }

    yield {
        finish: await result.finishReason,
        usage: counted(await result.totalUsage),
    };
}


async function answer(api, ask, signal) {
    const whole = await api.sdk.generateText(options(api, ask, signal));

    return {
        text: whole.text,
        calls: whole.toolCalls.map(called),
        finish: whole.finishReason,
        usage: counted(whole.totalUsage),
    };
}


// An error that is a status is the library's own; one in a stream is what the
// provider sent, read by it.  An event that it could not read is neither.
function failed(sdk, thrown) {
    const error = thrown instanceof Reported ? thrown.cause : thrown;

    if (sdk.APICallError.isInstance(error)) {
        return error.statusCode ?? true;
    }

    return thrown instanceof Reported && !(error instanceof Error)
        && typeof error?.message === "string";
}


// ai({ name, package, dialect, model }) runs a provider: model(its module,
// url) is the language model
export async function ai(provider) {
    await run({
        name: `ai ${provider.name} (node)`,
        package: provider.package,
        version: () => `${version("ai")}/${version(provider.package)}`,
        dialect: provider.dialect,
        load: async () => ({
            ...await import("ai"),
            provider: await import(provider.package),
        }),
        open: (sdk, url) => ({
            sdk, model: provider.model(sdk.provider, url),
        }),
        ways: { parts, text },
        answer,
        finish: { stop: "stop", calls: "tool-calls" },
        failed,
    });
}
