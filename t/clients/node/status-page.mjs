// The page of llm_stream_status in Chromium, over a real nginx that counts
// real streams: t/clients/page.t starts it, says on standard input where
// nginx and the mock are, and stops and starts nginx when it is asked to.
// Prints a line of JSON for each thing seen.  It must never ask the page's
// script for a number: it reads what people read.

import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { start } from "./chromium.mjs";
import { Lockstep } from "./lockstep.mjs";
import { use } from "./packages.mjs";

const LIMIT = 20_000 * Number(process.env.LLM_TEST_SLOW || 1);
const PICTURES = fileURLToPath(new URL("../../../build/clients/",
    import.meta.url));
const MISSING = 3;

const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

const HOSTILE = `</script><img src=x onerror="hacked=1">'&amp;`;
const DASH = "\u2013";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => (await lines.next()).value;
const job = JSON.parse(await next());
const mock = new Lockstep(job.mock, LIMIT);


function say(line) {
    process.stdout.write(JSON.stringify(line) + "\n");
}

function is(name, got, wanted) {
    const [a, b] = [got, wanted].map((value) => JSON.stringify(value));

    say({ name, ok: a === b, why: `${a} is not ${b}`.slice(0, 2000) });
}

async function want(what) {
    say({ want: what });
    await next();
}


// A request, read to its end; the end of a broken one is no matter here.

function ask(path, model, options, signal = undefined) {
    return fetch(job.nginx + path, {
        method: "POST", signal,
        headers: { "Content-Type": "application/json", "X-Mock": options },
        body: JSON.stringify({ model, stream: true,
            messages: [{ role: "user", content: "Hello" }] }),
    });
}

async function asked(...given) {
    await (await ask(...given)).text().catch(() => "");
}

async function json() {
    const answer = await fetch(`${job.nginx}/status`,
        { headers: { Accept: "application/json" } });

    return answer.json();
}

const sum = (list) => list.reduce((a, b) => a + b, 0);
const requests = ({ series }) => sum(series.map((s) =>
    sum(Object.values(s.requests))));
const open = ({ series }) => sum(series.map((s) => s.open ?? 0));
const chunks = ({ series }) => sum(series.map((s) => s.chunks));

// nginx counts a request when it is over, which may be after the client's end
async function counted(n) {
    const until = Date.now() + LIMIT;

    for (;;) {
        const data = await json();

        if (requests(data) === n && open(data) === 0) {
            return data;
        }

        if (Date.now() > until) {
            throw new Error(`${requests(data)} requests counted, not ${n}`);
        }
    }
}

async function traffic() {
    const leave = new AbortController();

    for (let i = 0; i < 3; i++) {
        await asked("/v1/chat/completions", "gpt-4o-mini",
            `tokens=${5 + i},ttft=20,itl=5`);
    }

    await asked("/v1/messages", "claude-sonnet-4-5", "tokens=8,ttft=40");
    await asked("/v1/messages", "claude-sonnet-4-5",
        "tokens=8,fault=fin-chunked-incomplete");
    await asked("/v1/messages", "claude-sonnet-4-5", "status=503");
    await asked("/api/", HOSTILE, "tokens=4");
    await asked("/api/", "\u05e9\u05dc\u05d5\u05dd \u{1f999}", "tokens=4");
    await asked("/api/", "m".repeat(64), "tokens=4");

    const answer = await ask("/v1/messages", "claude-sonnet-4-5",
        "lockstep=left,tokens=8", leave.signal);

    await answer.body.getReader().read();
    leave.abort();
    await mock.end("left");

    return 10;
}


// Every page: what it asked for, and what went wrong in it.

async function visit(browser, options) {
    const context = await browser.newContext({ viewport: DESK,
        colorScheme: "light", extraHTTPHeaders: { Accept: "text/html" },
        ...options });
    const page = await context.newPage();

    context.setDefaultTimeout(LIMIT);
    page.wrong = [];
    page.asked = [];

    page.on("pageerror", (e) => page.wrong.push(e.message));
    page.on("console", (m) => {
        if (["error", "warning"].includes(m.type())) {
            page.wrong.push(m.text());
        }
    });
    page.on("request", (r) => page.asked.push(r.url()));

    await page.goto(`${job.nginx}/status`);

    return page;
}

async function picture(page, name) {
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path: `${PICTURES}page-${name}.png`,
        fullPage: true });
}

// what people read, all at one moment
function seen(page) {
    return page.evaluate(() => {
        const texts = (list) => [...list].map((e) => e.textContent);
        const pairs = (id) => Object.fromEntries([
            ...document.querySelectorAll(`#${id} dt`)].map((dt) =>
            [dt.textContent, dt.nextElementSibling.textContent]));
        const table = (id) => [
            ...document.getElementById(id).tBodies[0].rows].map((tr) =>
            texts(tr.cells));

        return { facts: pairs("facts"), tiles: pairs("tiles"),
            series: table("series"), ends: table("ends"),
            state: document.getElementById("state").textContent };
    });
}

const shown = (page, id, name, value) => page.waitForFunction(
    ([list, dt, text]) => [...document.querySelectorAll(`#${list} dt`)]
        .some((e) => e.textContent === dt
            && e.nextElementSibling.textContent === text),
    [id, name, value]);

const wide = (page) => page.evaluate(() =>
    document.documentElement.scrollWidth > innerWidth);


async function plain(browser, data) {
    const page = await visit(browser, { javaScriptEnabled: false });
    const text = await page.locator("body").innerText();
    const series = page.locator("#series tbody tr");

    is("plain: all series", await series.count(), data.series.length);
    is("plain: a hostile name is text",
        await page.getByRole("rowheader", { name: HOSTILE }).count(), 1);
    is("plain: no picture", await page.locator("img").count(), 0);
    is("plain: nothing that needs a script",
        await page.locator(".live:visible").count(), 0);

    for (const words of ["Streams open", "TTFT p99, ms", "ITL p50, ms",
        "Output tokens", "truncated", "Reload the page"])
    {
        is(`plain: ${words}`, text.includes(words), true);
    }

    await picture(page, "plain");
    await page.setViewportSize(PHONE);
    is("plain: nothing stands out of a phone", await page.evaluate(() =>
        document.documentElement.scrollWidth > innerWidth), false);
    is("plain: nothing wrong", page.wrong, []);
    await page.context().close();
}


// Two streams that go on when they are told to.

async function live(browser, page, before) {
    const was = chunks(await json());
    const streams = ["one", "two"].map((id) => ask("/v1/chat/completions",
        "gpt-4o-mini", `lockstep=${id},tokens=40`).then((answer) =>
        answer.text()));

    await shown(page, "tiles", "Streams open", "2");
    is("live: open, in the totals",
        (await seen(page)).facts["Streams open"], "2");

    for (const id of ["one", "two"]) {
        await mock.ack(id, 11);
        await mock.events(id, 12);
    }

    // event 1 has no content
    await shown(page, "facts", "Chunks", String(was + 22));
    is("live: chunks come before the end",
        Number((await seen(page)).tiles["Chunks/s"]) > 0, true);
    is("live: no request more yet",
        (await seen(page)).facts.Requests, String(before));

    for (const id of ["one", "two"]) {
        await mock.ack(id, 1000);
    }

    await Promise.all(streams);
    await shown(page, "facts", "Requests", String(before + 2));
    await shown(page, "tiles", "Streams open", "0");
    await counted(before + 2);
}


// Numbers at the end: those of a page that was opened now, and of JSON.

async function same(browser, page) {
    const other = await visit(browser, { javaScriptEnabled: false });
    const [mine, theirs] = [await seen(page), await seen(other)];
    const data = await json();

    for (const part of ["facts", "series", "ends"]) {
        is(`same ${part}`, mine[part], theirs[part]);
    }

    is("requests are those of JSON", mine.facts.Requests,
        String(requests(data)));
    is("chunks are those of JSON", mine.facts.Chunks, String(chunks(data)));
    is("the last minute has seen two",
        Number(mine.tiles["Ended well"] === "100.0\u2009%"), 1);

    await other.context().close();
}


async function controls(page) {
    const all = page.getByRole("button", { name: "all" });
    const column = async (n) => (await seen(page)).series.map((row) =>
        row[n]);
    const numbers = async () => (await column(5)).map(Number);
    const before = await numbers();
    const down = [...before].sort((a, b) => b - a);

    is("sort: there is something to sort", before.join() === down.join(),
        false);
    await all.focus();
    await page.keyboard.press("Enter");
    is("sort: the most first", await numbers(), down);
    is("sort: said", await page.locator("[aria-sort]").evaluateAll((list) =>
        list.map((th) => th.textContent + th.ariaSort)), ["alldescending"]);
    await page.keyboard.press("Enter");
    is("sort: the least first", await numbers(), down.reverse());
    await page.getByRole("button", { name: "Model" }).click();

    const names = await column(0);

    is("sort: by name", names,
        [...names].sort((a, b) => a.localeCompare(b)));

    await page.getByRole("radio", { name: "the last minute" }).check();
    is("last minute: the two streams", sum(await numbers()), 2);
    is("last minute: no latency where nothing was", (await seen(page))
        .series.filter((row) => row[7] !== DASH).length, 1);
    await page.getByRole("radio", { name: "totals" }).check();
    is("totals again", sum(await numbers()), sum(before));
}


async function looks(page) {
    await picture(page, "light");
    await page.emulateMedia({ colorScheme: "dark" });
    await picture(page, "dark");
    await page.setViewportSize(PHONE);
    is("nothing stands out of a phone", await wide(page), false);
    await picture(page, "phone-dark");
    await page.emulateMedia({ colorScheme: "light" });
    await picture(page, "phone");
    await page.setViewportSize(DESK);
}


// A tab that is not seen asks nothing, however long a stream takes meanwhile.

async function hidden(page, before) {
    const turn = (off) => page.evaluate((value) => {
        Object.defineProperty(document, "hidden",
            { value, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }, off);

    await turn(true);
    await page.getByText("Paused").waitFor();

    const asked = page.asked.length;

    await slowly(3000);
    is("hidden: nothing was asked", page.asked.length - asked <= 1, true);

    await turn(false);
    await page.getByText("Live").waitFor();
    await shown(page, "facts", "Requests", String(before + 1));
}

// a stream that takes that many milliseconds
function slowly(ms) {
    return asked("/v1/chat/completions", "gpt-4o-mini",
        `tokens=2,itl=${ms / 2},ttft=${ms / 2}`);
}


// nginx is stopped, and started: it counts from 0 again, and no number that
// was ever shown is negative.

async function restart(page) {
    await page.evaluate(() => {
        window.negative = [];
        new MutationObserver(() => {
            const texts = [...document.querySelectorAll(
                "dd, td:not(.word)")].map((e) => e.textContent);

            window.negative.push(...texts.filter((t) => /^-/.test(t)));
        }).observe(document.querySelector("main"),
            { childList: true, characterData: true, subtree: true });
    });

    is("no console error before", page.wrong, []);
    await want("stop");
    await page.getByText(/^No answer since \d\d:\d\d:\d\d/).waitFor();
    await picture(page, "failed");
    await want("start");
    await page.getByText("Live", { exact: true }).waitFor();
    await shown(page, "facts", "Requests", "0");
    await asked("/api/", "anew", "tokens=3");
    await shown(page, "facts", "Requests", "1");
    is("restart: nothing negative",
        await page.evaluate(() => window.negative), []);
    is("restart: rows of the new zone", (await seen(page)).series
        .filter((row) => row[0] === "anew").length, 1);
    is("restart: only connections failed", page.wrong.filter((text) =>
        !/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/
            .test(text)), []);
    page.wrong.length = 0;
}


// The policy is at work: what were markup could not run.

async function policy(page) {
    await page.evaluate(() => {
        const script = document.createElement("script");

        script.textContent = "window.hacked = 1";
        document.body.append(script);
    });

    is("policy: a script of others does not run",
        await page.evaluate(() => window.hacked ?? null), null);
    is("policy: said", page.wrong.filter((text) =>
        /Content Security Policy/.test(text)).length, 1);
}


async function run(browser) {
    const n = await traffic();
    const data = await counted(n);

    await plain(browser, data);

    const page = await visit(browser, {});

    await page.getByText("Live", { exact: true }).waitFor();
    is("a hostile name is text",
        await page.getByRole("rowheader", { name: HOSTILE }).count(), 1);
    is("no picture", await page.locator("img").count(), 0);

    await live(browser, page, n);
    await same(browser, page);
    await controls(page);
    await looks(page);
    await hidden(page, n + 2);
    await restart(page);
    await policy(page);

    is("asked no other address", page.asked.filter((url) =>
        url !== `${job.nginx}/status` && url !== "data:,"), []);
}


let browser;

use();

try {
    browser = await start();

} catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") {
        throw error;
    }

    say({ missing: error.message });
    process.exit(MISSING);
}

try {
    await run(browser);

} catch (error) {
    say({ name: "to the end", ok: false, why: String(error.stack) });

} finally {
    await browser.close();
}

say({ over: true });
process.exit(0);
