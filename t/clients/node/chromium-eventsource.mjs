// A page in Chromium that reads the dialect "simple" with EventSource:
// t/clients/browser/simple.html.

import { start } from "./chromium.mjs";
import { cases } from "./chromium-cases.mjs";
import { run } from "./lib.mjs";


await run({
    name: "chromium EventSource simple",
    dialect: "simple",
    load: start,
    version: (browser) => browser.version(),
    close: (browser) => browser.close(),
    atOnce: 2,
    cases: (browser, job) => cases(browser, job, {
        name: "chromium-eventsource",
        page: "simple.html",
        requests: "**/simple?*",
        cut: 'data: {"content":"a","done":false}\n\n',
        eventSource: true,
    }),
});
