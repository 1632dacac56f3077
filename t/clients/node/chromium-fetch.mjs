// A page in Chromium that reads the dialect "openai" with fetch:
// t/clients/browser/openai.html.

import { start } from "./chromium.mjs";
import { cases } from "./chromium-cases.mjs";
import { run } from "./lib.mjs";


await run({
    name: "chromium fetch openai",
    dialect: "openai",
    load: start,
    version: (browser) => browser.version(),
    close: (browser) => browser.close(),
    atOnce: 2,
    cases: (browser, job) => cases(browser, job, {
        name: "chromium-fetch",
        page: "openai.html",
        requests: "**/v1/chat/completions",
        cut: 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
        eventSource: false,
    }),
});
