// The page that is shipped, examples/browser/index.html, in Chromium and
// through examples/browser-eventsource.conf: job.example says where that
// nginx and its mock are.  It asks no mock for anything by its address, so
// the mock is told before, and one case must be over before the next.

import { start } from "./chromium.mjs";
import { cases } from "./chromium-cases.mjs";
import { run } from "./lib.mjs";


await run({
    name: "chromium example page",
    dialect: "simple",
    load: start,
    version: (browser) => browser.version(),
    close: (browser) => browser.close(),
    atOnce: 1,
    cases: (browser, job) => cases(browser, job.example, {
        name: "chromium-example",
        page: null,
        requests: "**/chat?*",
        cut: 'data: {"content":"a","done":false}\n\n',
        eventSource: true,
    }),
});
