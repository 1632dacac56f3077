// The AI SDK with its provider for OpenAI, Responses.

import { ai } from "./ai-common.mjs";


await ai({
    name: "responses",
    package: "@ai-sdk/openai",
    dialect: "openai-responses",
    model: ({ createOpenAI }, url) => createOpenAI({
        baseURL: `${url}/v1`, apiKey: "none",
    }).responses("any-model"),
});
