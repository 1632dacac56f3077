// Debian's Chromium without a window: starts it, opens a page, watches what
// the page shows in every frame, and takes its picture.  It knows where a
// page says what (#message, #ask, #stop, #answer, #state) and nothing of
// dialects.  It must never load a browser from anywhere, or reach another
// address than the page's own.

import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Missing } from "./lib.mjs";

const PATH = "/usr/bin/chromium";
const PICTURES = fileURLToPath(new URL("../../../build/clients/",
    import.meta.url));

// no name is looked up: the browser would ask its maker's hosts at each start
const ARGUMENTS = ["--disable-gpu", "--disable-quic", "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];

const PHONE = { width: 390, height: 844 };
const DESK = { width: 900, height: 640 };


export async function start() {
    const { chromium } = await import("playwright-core");

    if (!existsSync(PATH)) {
        throw new Missing(`no ${PATH}; util/deps clients installs it`);
    }

    return chromium.launch({ executablePath: PATH, args: ARGUMENTS });
}


// the words of an error as a user finds them without scrolling, or null

export async function alertOf(page) {
    const alert = page.getByRole("alert");

    if (await alert.count() !== 1 || !await alert.isVisible()) {
        return null;
    }

    return alert.evaluate((box) => {
        const { top, bottom } = box.getBoundingClientRect();

        return top >= 0 && bottom <= innerHeight ? box.textContent : null;
    });
}


// Runs in the page before its own scripts.  A frame is kept when it differs
// from the one before.

function watch() {
    const seen = { frames: [], sources: [] };

    window.seen = seen;
    window.EventSource = class extends EventSource {
        constructor(...given) {
            super(...given);
            seen.sources.push(this);
        }
    };

    const look = () => {
        const length = document.getElementById("answer")?.textContent.length;
        const state = document.getElementById("state")?.dataset.state;
        const last = seen.frames.at(-1);    // none after a click

        if (last?.length !== length || last?.state !== state) {
            seen.frames.push({ length, state });
        }

        requestAnimationFrame(look);
    };

    requestAnimationFrame(look);
}


// A page of its own profile: nothing is shared with another but the process.

export class Page {
    static async open(browser, limit) {
        const context = await browser.newContext({ viewport: DESK,
            colorScheme: "light" });
        const self = new Page();

        context.setDefaultTimeout(limit);
        await context.addInitScript(watch);

        self.context = context;
        self.page = await context.newPage();
        self.asked = 0;
        self.faults = [];

        self.page.on("request", (request) => {
            if (["eventsource", "fetch"].includes(request.resourceType())) {
                self.asked++;
            }
        });
        self.page.on("pageerror", (e) => self.faults.push(e.message));

        return self;
    }

    // to that address, which is the same page if only its #part is another

    async go(url) {
        await this.page.goto(url);
    }

    // The page's state changes with the click: what it showed before is
    // forgotten then.

    async ask(message) {
        this.asked = 0;
        await this.page.locator("#message").fill(message);
        await this.page.evaluate(() => { window.seen.sources = []; });
        await this.page.locator("#ask").click();
        await this.page.evaluate(() => { window.seen.frames = []; });
    }

    stop() {
        return this.page.locator("#stop").click();
    }

    close() {
        return this.context.close();
    }

    text() {
        return this.page.locator("#answer").textContent();
    }

    // what the page shows, all at one moment

    now() {
        return this.page.evaluate(() => ({
            text: document.getElementById("answer").textContent,
            state: document.getElementById("state").dataset.state,
            words: document.getElementById("state").textContent,
            frames: window.seen.frames,
            sources: window.seen.sources.map((s) => s.readyState),
        }));
    }

    // until there was a frame with a longer answer than that

    async grown(length) {
        await this.page.waitForFunction((n) =>
            window.seen?.frames.at(-1)?.length > n,
        length, { polling: "raf" });

        return this.now();
    }

    // until there was a frame that says that it is over, and how

    async over() {
        await this.page.waitForFunction(() =>
            ["done", "error", "stopped"].includes(
                window.seen?.frames.at(-1)?.state),
        null, { polling: "raf" });

        return this.now();
    }

    async alert() {
        return alertOf(this.page);
    }

    // NAME.png, and NAME-phone.png: narrow and dark.  Returns whether
    // something stands out of the narrow one.

    async picture(name) {
        const { page } = this;

        mkdirSync(PICTURES, { recursive: true });
        await page.screenshot({ path: `${PICTURES}${name}.png` });

        await page.setViewportSize(PHONE);
        await page.emulateMedia({ colorScheme: "dark" });
        await page.screenshot({ path: `${PICTURES}${name}-phone.png` });

        const wide = await page.evaluate(() =>
            document.documentElement.scrollWidth > innerWidth);

        await page.setViewportSize(DESK);
        await page.emulateMedia({ colorScheme: "light" });

        return wide;
    }

    // answers the page's next question in nginx's place

    async fake(pattern, body) {
        await this.page.route(pattern, (route) => route.fulfill({ body,
            contentType: "text/event-stream",
            headers: { "Access-Control-Allow-Origin": "*" } }), { times: 1 });
    }
}
