// The AI SDK with its provider for Google's Gemini.

import { ai } from "./ai-common.mjs";


await ai({
    name: "google",
    package: "@ai-sdk/google",
    dialect: "gemini",
    model: ({ createGoogleGenerativeAI }, url) => createGoogleGenerativeAI({
        baseURL: `${url}/v1beta`, apiKey: "none",
    })("any-model"),
});
