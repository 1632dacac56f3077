// examples/chat in Chromium: what a reader does there and sees, and nothing of
// what a model or a mock does.  Every page has a profile of its own, so that
// no conversation is found in another's.  It must never take for granted that
// the page was quiet: errors of its scripts, words in its console and what its
// policy forbade are kept as faults.

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { alertOf } from "./chromium.mjs";

const PICTURES = fileURLToPath(new URL("../../../build/clients/",
    import.meta.url));

const DESK = { width: 900, height: 700 };
const PHONE = { width: 390, height: 844 };

// Chromium's own words for an error status, which a page cannot prevent
const REFUSED = /^Failed to load resource: the server responded with a status/;


// Runs in the page before its own scripts.

function watch() {
    window.seen = { sources: [] };

    window.EventSource = class extends EventSource {
        constructor(...given) {
            super(...given);
            window.seen.sources.push(this);
        }
    };

    addEventListener("securitypolicyviolation", (event) =>
        console.error(`forbidden: ${event.violatedDirective}`));
}


// Runs in the page: what it shows, all at one moment.  An answer's text is as
// the model said it, but for the fences of code.

function look() {
    const texts = (selector) => [...document.querySelectorAll(selector)];
    const log = document.getElementById("log");
    const answer = texts(".answer").at(-1);
    const blocks = [...answer?.querySelector(":scope > .text")?.children
        ?? []];
    const figure = (box) => [box.dataset.figure, box.textContent];
    const remark = answer?.querySelector(".remark");

    return {
        questions: texts(".question .text").map((box) => box.textContent),
        answers: texts(".answer > .text").map((box) => box.textContent),
        text: blocks.map((box) => box.textContent).join("\n\n"),
        blocks: blocks.map((box) => box.localName),
        state: answer?.dataset.state,
        figures: Object.fromEntries([...answer?.querySelectorAll(
            "[data-figure]") ?? []].map(figure)),
        remark: remark?.textContent ?? "",
        wrong: remark?.classList.contains("wrong") ?? false,
        status: document.getElementById("status").textContent,
        focus: document.activeElement?.id,
        fromEnd: log.scrollHeight - log.clientHeight - log.scrollTop,
        wide: Math.max(document.documentElement.scrollWidth - innerWidth,
            log.scrollWidth - log.clientWidth),
        sources: window.seen.sources.map((source) => source.readyState),
    };
}


export class ChatPage {
    static async open(browser, url, limit) {
        const self = new ChatPage();

        self.context = await browser.newContext({ viewport: DESK,
            colorScheme: "light" });
        self.context.setDefaultTimeout(limit);
        await self.context.addInitScript(watch);
        self.page = await self.context.newPage();
        self.asked = [];
        self.faults = [];

        self.page.on("request", (request) => {
            if (["eventsource", "fetch"].includes(request.resourceType())) {
                self.asked.push(request.method());
            }
        });
        self.page.on("pageerror", (error) => self.faults.push(error.message));
        self.page.on("console", (message) => {
            if (message.type() !== "log" && !REFUSED.test(message.text())) {
                self.faults.push(message.text());
            }
        });

        await self.page.goto(url);

        return self;
    }

    now() {
        return this.page.evaluate(look);
    }

    // until there is an answer with a longer text than that, and in a frame

    async grown(length) {
        await this.page.waitForFunction((n) =>
            [...document.querySelectorAll(".answer > .text")].at(-1)
                ?.textContent.length > n, length, { polling: "raf" });

        return this.now();
    }

    async over() {
        await this.page.waitForFunction(() =>
            [...document.querySelectorAll(".answer")].at(-1)
                ?.querySelector("footer"), null, { polling: "raf" });

        return this.now();
    }

    async ask(question) {
        const box = this.page.locator("#message");
        const before = await this.page.locator(".answer").count();

        this.asked = [];
        await this.page.evaluate(() => { window.seen.sources = []; });
        await box.fill(question);
        await box.press("Enter");
        await this.page.locator(".answer").nth(before).waitFor();
    }

    async again() {
        this.asked = [];
        await this.page.evaluate(() => { window.seen.sources = []; });
        await this.page.getByRole("button", { name: "Ask again" }).click();
    }

    press(key) {
        return this.page.keyboard.press(key);
    }

    click(name) {
        return this.page.getByRole("button", { name, exact: true }).click();
    }

    // "fetch" or "eventsource"; model and system if they are given

    async set({ way, model, system }) {
        const settings = this.page.locator("header details");

        await settings.evaluate((box) => { box.open = true; });

        if (way) {
            await this.page.locator(`input[value=${way}]`).check();
        }

        if (model !== undefined) {
            await this.page.getByLabel("Model").fill(model);
        }

        if (system !== undefined) {
            await this.page.getByLabel("System prompt").fill(system);
        }

        await this.page.locator("h1").click();
        await this.page.evaluate(() => document.activeElement.blur());
        await settings.evaluate((box) => { box.open = false; });
    }

    // the words of an error as a user finds them without scrolling, or null

    async alert() {
        return alertOf(this.page);
    }

    // NAME.png, NAME-dark.png and NAME-phone.png; by how many pixels
    // something stands out of the narrow one

    async pictures(name) {
        const { page } = this;
        const shoot = (mark) =>
            page.screenshot({ path: `${PICTURES}${name}${mark}.png` });

        mkdirSync(PICTURES, { recursive: true });
        await shoot("");
        await page.emulateMedia({ colorScheme: "dark" });
        await shoot("-dark");
        await page.setViewportSize(PHONE);
        await shoot("-phone");

        const { wide } = await this.now();

        await page.setViewportSize(DESK);
        await page.emulateMedia({ colorScheme: "light" });

        return wide;
    }

    // answers the page's next question in nginx's place

    fake(body, type = "text/event-stream", status = 200) {
        return this.page.route(/\/(v1\/chat\/completions|chat\?.*)$/, (route) =>
            route.fulfill({ body, contentType: type, status }), { times: 1 });
    }

    // the width of a phone and back; whether the end of the log is in sight
    // in both, in some frame

    async atEndWhenResized() {
        for (const size of [PHONE, DESK]) {
            await this.page.setViewportSize(size);
            await this.page.waitForFunction(() => {
                const log = document.getElementById("log");

                return log.scrollHeight - log.clientHeight - log.scrollTop < 2;
            }, null, { polling: "raf" });
        }
    }

    reload() {
        return this.page.reload();
    }

    close() {
        return this.context.close();
    }
}
