// OpenAI's own library for Node, the older completions of a prompt.

import { run } from "./lib.mjs";


function counted(usage) {
    return usage && {
        input: usage.prompt_tokens, output: usage.completion_tokens,
    };
}


async function* create(api, ask, signal) {
    const stream = await api.completions.create({
        model: "any-model",
        prompt: ask.prompt,
        stream: true,
        ...(ask.usage && { stream_options: { include_usage: true } }),
    }, { signal });

    for await (const chunk of stream) {
        yield {
            text: chunk.choices[0]?.text,
            finish: chunk.choices[0]?.finish_reason,
            usage: counted(chunk.usage),
        };
    }
}


async function answer(api, ask, signal) {
    const { choices: [choice], usage } = await api.completions.create(
        { model: "any-model", prompt: ask.prompt }, { signal });

    return {
        text: choice.text,
        finish: choice.finish_reason,
        usage: counted(usage),
    };
}


await run({
    name: "openai completions (node)",
    package: "openai",
    dialect: "openai-completions",
    load: () => import("openai"),
    open: (sdk, url) => new sdk.OpenAI({
        baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, logLevel: "off",
    }),
    ways: { create },
    answer,
    finish: { stop: "stop" },
    failed: (sdk, error) => error instanceof sdk.OpenAIError
        && (error.status ?? true),
});
