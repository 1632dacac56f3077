// A page in Chromium that reads the dialect "openai" with fetch from
// another origin: t/clients/browser/openai.html, by llm_stream_cors.  job.cors says
// where the page comes from, whom it asks, and where it must not come from.
// The location wants a credential, which the preflight has not.

import { start } from "./chromium.mjs";
import { cases } from "./chromium-cases.mjs";
import { run } from "./lib.mjs";


await run({
    name: "chromium cors fetch",
    dialect: "openai",
    load: start,
    version: (browser) => browser.version(),
    close: (browser) => browser.close(),
    atOnce: 2,
    cases: (browser, job) => cases(browser,
        { mock: job.mock, nginx: job.cors.right }, {
            name: "chromium-cors-fetch",
            page: "openai.html",
            requests: "**/v1/chat/completions",
            cut: 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
            eventSource: false,
            api: job.cors.api,
            wrong: job.cors.wrong,
        }),
});
