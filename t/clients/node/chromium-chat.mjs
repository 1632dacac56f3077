// The chat page, examples/chat, in Chromium and through its own nginx.conf:
// job.example says where that nginx and its mock are.  The mock is told
// before each question what it does, so one case must be over before the
// next.

import { start } from "./chromium.mjs";
import { cases } from "./chat-cases.mjs";
import { run } from "./lib.mjs";


await run({
    name: "chromium chat page",
    dialect: "openai",
    load: start,
    version: (browser) => browser.version(),
    close: (browser) => browser.close(),
    atOnce: 1,
    cases: (browser, job) => cases(browser, job.example),
});
