// The AI SDK with its provider for Anthropic.

import { ai } from "./ai-common.mjs";


await ai({
    name: "anthropic",
    package: "@ai-sdk/anthropic",
    dialect: "anthropic",
    model: ({ createAnthropic }, url) => createAnthropic({
        baseURL: `${url}/v1`, apiKey: "none",
    })("any-model"),
});
