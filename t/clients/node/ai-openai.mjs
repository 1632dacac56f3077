// The AI SDK with its provider for OpenAI, chat completions.

import { ai } from "./ai-common.mjs";


await ai({
    name: "openai",
    package: "@ai-sdk/openai",
    dialect: "openai",
    model: ({ createOpenAI }, url) => createOpenAI({
        baseURL: `${url}/v1`, apiKey: "none",
    }).chat("any-model"),
});
