// A page in Chromium that reads the dialect "simple" with EventSource from
// another origin: t/clients/browser/simple.html, by llm_stream_cors.  job.cors says
// where the page comes from, whom it asks, and where it must not come from.

import { start } from "./chromium.mjs";
import { cases } from "./chromium-cases.mjs";
import { run } from "./lib.mjs";


await run({
    name: "chromium cors EventSource",
    dialect: "simple",
    load: start,
    version: (browser) => browser.version(),
    close: (browser) => browser.close(),
    atOnce: 2,
    cases: (browser, job) => cases(browser,
        { mock: job.mock, nginx: job.cors.right }, {
            name: "chromium-cors-eventsource",
            page: "simple.html",
            requests: "**/simple?*",
            cut: 'data: {"content":"a","done":false}\n\n',
            eventSource: true,
            api: job.cors.api,
            wrong: job.cors.wrong,
        }),
});
