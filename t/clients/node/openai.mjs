// OpenAI's own library for Node, chat completions: streams read as they come,
// and by the library's helper that gathers them.

import { run } from "./lib.mjs";


function messages(ask) {
    const list = [{ role: "user", content: ask.prompt }];

    if (ask.turn) {
        list.push({
            role: "assistant",
            content: null,
            tool_calls: ask.turn.calls.map(({ id, name, args }) => ({
                id,
                type: "function",
                function: { name, arguments: JSON.stringify(args) },
            })),
        }, ...ask.turn.calls.map(({ id }, i) => ({
            role: "tool", tool_call_id: id, content: ask.turn.results[i],
        })));
    }

    return list;
}


function body(ask) {
    return {
        model: "any-model",
        messages: messages(ask),
        ...(ask.tools && {
            tools: ask.tools.map((f) => ({ type: "function", function: f })),
        }),
    };
}


function streamed(ask) {
    return {
        ...body(ask),
        ...(ask.usage && { stream_options: { include_usage: true } }),
    };
}


function called(call) {
    return {
        id: call.id,
        name: call.function.name,
        args: JSON.parse(call.function.arguments),
    };
}


function counted(usage) {
    return usage && {
        input: usage.prompt_tokens, output: usage.completion_tokens,
    };
}


// What OpenAI's manual tells to do: fragments of a call are joined by index.
function join(calls, deltas) {
    for (const delta of deltas ?? []) {
        const call = calls[delta.index] ??= {
            id: delta.id, function: { name: "", arguments: "" },
        };

        call.function.name += delta.function?.name ?? "";
        call.function.arguments += delta.function?.arguments ?? "";
    }
}


async function* create(api, ask, signal) {
    const stream = await api.chat.completions.create(
        { ...streamed(ask), stream: true }, { signal });
    const calls = [];

    for await (const chunk of stream) {
        const choice = chunk.choices[0];

        join(calls, choice?.delta.tool_calls);

        yield {
            text: choice?.delta.content,
            finish: choice?.finish_reason,
            usage: counted(chunk.usage),
        };
    }

    for (const call of calls) {
        yield { call: called(call) };
    }
}


async function* helper(api, ask, signal) {
    const stream = api.chat.completions.stream(streamed(ask), { signal });

    for await (const chunk of stream) {
        yield { text: chunk.choices[0]?.delta.content };
    }

    const { choices: [choice], usage } = await stream.finalChatCompletion();

    for (const call of choice.message.tool_calls ?? []) {
        yield { call: called(call) };
    }

    yield { finish: choice.finish_reason, usage: counted(usage) };
}


async function answer(api, ask, signal) {
    const { choices: [choice], usage } = await api.chat.completions.create(
        body(ask), { signal });

    return {
        text: choice.message.content ?? "",
        calls: (choice.message.tool_calls ?? []).map(called),
        finish: choice.finish_reason,
        usage: counted(usage),
    };
}


await run({
    name: "openai chat (node)",
    package: "openai",
    dialect: "openai",
    load: () => import("openai"),
    open: (sdk, url) => new sdk.OpenAI({
        baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, logLevel: "off",
    }),
    ways: { create, helper },
    answer,
    finish: { stop: "stop", calls: "tool_calls" },
    failed: (sdk, error) => error instanceof sdk.OpenAIError
        && (error.status ?? true),
});
