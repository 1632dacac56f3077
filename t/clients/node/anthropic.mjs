// Anthropic's own library for Node, messages: streams read as they come, and
// by the library's helper that gathers them.

import { run } from "./lib.mjs";


function body(ask) {
    const messages = [{ role: "user", content: ask.prompt }];

    if (ask.turn) {
        const { calls, results } = ask.turn;

        messages.push({
            role: "assistant",
            content: calls.map(({ id, name, args }) => ({
                type: "tool_use", id, name, input: args,
            })),
        }, {
            role: "user",
            content: calls.map(({ id }, i) => ({
                type: "tool_result", tool_use_id: id, content: results[i],
            })),
        });
    }

    return {
        model: "any-model",
        max_tokens: 1000,
        messages,
        ...(ask.tools && {
            tools: ask.tools.map(({ name, description, parameters }) => ({
                name, description, input_schema: parameters,
            })),
        }),
    };
}


// of one answer, or of a stream that the library gathered
function gathered(message) {
    return {
        text: message.content.filter((block) => block.type === "text")
            .map((block) => block.text).join(""),
        calls: message.content.filter((block) => block.type === "tool_use")
            .map(({ id, name, input }) => ({ id, name, args: input })),
        finish: message.stop_reason,
        usage: counted(message.usage),
    };
}


function counted(usage) {
    return { input: usage.input_tokens, output: usage.output_tokens };
}


// By the events alone, as Anthropic's manual has it: counts grow, arguments
// come in fragments between the beginning and the end of a block.
async function* create(api, ask, signal) {
    const stream = await api.messages.create(
        { ...body(ask), stream: true }, { signal });
    let usage, block, json, finish;

    for await (const event of stream) {
        switch (event.type) {

        case "message_start":
            usage = { ...event.message.usage };
            break;

        case "content_block_start":
            block = event.content_block;
            json = "";
            break;

        case "content_block_delta":
            json += event.delta.partial_json ?? "";
            yield { text: event.delta.text };
            break;

        case "content_block_stop":
            if (block.type === "tool_use") {
                const { id, name } = block;

                yield { call: { id, name, args: JSON.parse(json || "{}") } };
            }
            break;

        case "message_delta":
            Object.assign(usage, event.usage);
            finish = event.delta.stop_reason;
            break;

        case "message_stop":
            yield { finish, usage: counted(usage) };
        }
    }
}


async function* helper(api, ask, signal) {
    const stream = api.messages.stream(body(ask), { signal });

    for await (const event of stream) {
        if (event.type === "content_block_delta") {
            yield { text: event.delta.text };
        }
    }

    const { calls, finish, usage } = gathered(await stream.finalMessage());

    for (const call of calls) {
        yield { call };
    }

    yield { finish, usage };
}


async function answer(api, ask, signal) {
    return gathered(await api.messages.create(body(ask), { signal }));
}


await run({
    name: "anthropic (node)",
    package: "@anthropic-ai/sdk",
    dialect: "anthropic",
    load: () => import("@anthropic-ai/sdk"),
    open: (sdk, url) => new sdk.Anthropic({
        baseURL: url, apiKey: "none", maxRetries: 0, logLevel: "off",
    }),
    ways: { create, helper },
    answer,
    finish: { stop: "end_turn", calls: "tool_use" },
    failed: (sdk, error) => error instanceof sdk.AnthropicError
        && (error.status ?? true),
});
