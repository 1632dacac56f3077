// OpenAI's own library for Node, Responses: streams read as they come, and by
// the library's helper that gathers them.

import { run } from "./lib.mjs";


function body(ask) {
    const input = [{ role: "user", content: ask.prompt }];

    if (ask.turn) {
        const { calls, results } = ask.turn;

        input.push(...calls.map(({ id, name, args }) => ({
            type: "function_call", call_id: id, name,
            arguments: JSON.stringify(args),
        })), ...calls.map(({ id }, i) => ({
            type: "function_call_output", call_id: id, output: results[i],
        })));
    }

    return {
        model: "any-model",
        input,
        ...(ask.tools && {
            tools: ask.tools.map((f) => ({
                type: "function", strict: false, ...f,
            })),
        }),
    };
}


function called(item) {
    return {
        id: item.call_id, name: item.name, args: JSON.parse(item.arguments),
    };
}


function counted(usage) {
    return usage && {
        input: usage.input_tokens, output: usage.output_tokens,
    };
}


function calls(response) {
    return response.output.filter((item) => item.type === "function_call")
        .map(called);
}


// What the stream's last event says must be what was streamed.
function sameText(response, text) {
    if (response.output_text !== text) {
        throw new Error("the whole text is not the text of the pieces");
    }
}


async function* create(api, ask, signal) {
    const stream = await api.responses.create(
        { ...body(ask), stream: true }, { signal });

    for await (const event of stream) {
        if (event.type === "response.output_text.delta") {
            yield { text: event.delta };

        } else if (event.type === "response.output_item.done"
            && event.item.type === "function_call")
        {
            yield { call: called(event.item) };

        } else if (event.type === "response.completed"
            || event.type === "response.incomplete")
        {
            yield {
                finish: event.response.status,
                usage: counted(event.response.usage),
            };
        }
    }
}


async function* helper(api, ask, signal) {
    const stream = api.responses.stream(body(ask), { signal });
    let text = "";

    for await (const event of stream) {
        if (event.type === "response.output_text.delta") {
            text += event.delta;
            yield { text: event.delta };
        }
    }

    const response = await stream.finalResponse();

    sameText(response, text);

    for (const call of calls(response)) {
        yield { call };
    }

    yield { finish: response.status, usage: counted(response.usage) };
}


async function answer(api, ask, signal) {
    const response = await api.responses.create(body(ask), { signal });

    return {
        text: response.output_text,
        calls: calls(response),
        finish: response.status,
        usage: counted(response.usage),
    };
}


await run({
    name: "openai responses (node)",
    package: "openai",
    dialect: "openai-responses",
    load: () => import("openai"),
    open: (sdk, url) => new sdk.OpenAI({
        baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, logLevel: "off",
    }),
    ways: { create, helper },
    answer,
    finish: { stop: "completed", calls: "completed" },
    // the helper throws the flat event of OpenAI's own as it is
    failed: (sdk, error) => (error instanceof sdk.OpenAIError
        ? error.status ?? true : error?.type === "error"),
});
