// What a page that shows a stream must do, whichever page it is: a case here
// is one column of the table.  Every step is one event of the mock that the
// test allows (lockstep), so nothing depends on time.  It must never count
// on the page's word alone for an abort or a second request: the mock and the
// browser say so.

import assert from "node:assert/strict";

import { PROMPT, Wrong } from "./cases.mjs";
import { Page } from "./chromium.mjs";
import { Lockstep } from "./lockstep.mjs";

// what must not become a part of the page
const MARKUP = " <b id=\"answer\">&amp;</b><img src=x onerror=alert(1)>";

const CUT = ["fin-chunked-incomplete", "close-delimited-no-terminator",
    "rst-mid-event", "last-chunk-no-terminator"];

// fault, and the status that the client must be told
const BEFORE = [["s5xx,variant=1", 500], ["s5xx,variant=2", 502],
    ["s5xx,variant=3", 503], ["s429", 429], ["s401", 401],
    ["rst-before-headers", 502], ["html-200", 502]];

// the provider whose streams are photographed
const PICTURED = "openai";

const GROWS = 6;
const LONG = 1000;
const STEP_LIMIT = 10_000 * Number(process.env.LLM_TEST_SLOW || 1);
const CLOSED = 2;       // EventSource.CLOSED

let count = 0;


// cases(browser, job, kind): job says where nginx and the mock are, kind is
//   name          of its pictures
//   page          in t/clients/browser, which is told by its address what to
//                 ask; or null: the page is nginx's "/", and what the mock
//                 does is set before it is asked
//   requests      pattern of the addresses that the page asks
//   cut           a stream of the dialect that just stops after "a"
//   api           where the page asks, if not where it comes from
//   wrong         another place that it comes from, that may not ask there
//   eventSource   it reads with EventSource, which cannot see the status of
//                 an error and asks again by itself unless it is closed

export function cases(browser, job, kind) {
    const mock = new Lockstep(job.mock, STEP_LIMIT);
    const site = { ...kind, mock, nginx: job.nginx };
    const free = [];

    // a page that was right to its end serves the next case, too
    const make = (run) => async ({ upstream }) => {
        const page = free.pop() ?? await Page.open(browser, STEP_LIMIT);

        try {
            const closed = await run(site, page, upstream);

            assert.deepEqual(page.faults, [], "a script of the page failed");

            if (!closed) {
                free.push(page);
            }

        } catch (error) {
            await page.close();
            throw new Wrong(why(error));
        }
    };

    return {
        stream: make(stream), before: make(before), first: make(first),
        mid: make(mid), truncated: make(truncated), abort: make(abort),
    };
}


// the first line of the message, and which line of this file it was

function why(error) {
    const [said] = error.message.split("\n");
    const where = /chromium-cases\.mjs:\d+/.exec(error.stack);

    return where ? `${said} (${where[0]})` : said;
}


// Asks a question.  ID in the options is the id, which is returned.

async function ask(site, page, upstream, options, message = PROMPT) {
    const id = `page${process.pid}-${++count}`;
    const whole = `id=${id},${options}`.replaceAll("ID", id);
    let path = "/";

    if (site.page) {
        path = `/browser/${site.page}#${site.api ?? ""}/${upstream}/`
            + encodeURIComponent(whole);

    } else {
        await site.mock.defaults(whole);
    }

    await page.go(site.nginx + path);
    await page.ask(message);

    return id;
}


// allows event by event: the beginning, then one with text each time

async function grow(site, page, id, times, each) {
    let length = 0;

    await site.mock.events(id, 1);

    for (let i = 0; i < times; i++) {
        await site.mock.ack(id, 1);

        const shown = await page.grown(length);

        length = shown.text.length;
        assert.equal(shown.state, "streaming", "not yet at its end");
        each?.(shown);
    }
}


// There was one request, and what could make another is closed for good.

function askedOnce(site, page, shown) {
    const { sources } = shown;

    assert.equal(page.asked, 1, `one request, not ${page.asked}`);
    assert.equal(sources.length, site.eventSource ? 1 : 0, "EventSources");
    assert.ok(sources.every((s) => s === CLOSED),
        `an EventSource that is not closed, state ${sources}`);
}


async function assertError(site, page, what) {
    const shown = await page.over();
    const words = await page.alert();

    assert.equal(shown.state, "error", `${what}: an error, not an end`);
    assert.ok(words, `${what}: the error is out of sight`);
    assert.doesNotMatch(words, /undefined|null|\[object|Unexpected/, what);
    askedOnce(site, page, shown);

    return { ...shown, words };
}


async function picture(site, page, upstream, name) {
    if (upstream === PICTURED) {
        assert.equal(await page.picture(`${site.name}-${name}`), false,
            "all of it is within a phone's width");
    }
}


async function stream(site, page, upstream) {
    const message = PROMPT + MARKUP;
    const id = await ask(site, page, upstream, "text=echo,lockstep=ID",
        message);

    await grow(site, page, id, GROWS, ({ text }) => {
        assert.ok(message.startsWith(text) && text !== message,
            "a part of the text, " + JSON.stringify(text));
    });
    await picture(site, page, upstream, "middle");

    await site.mock.ack(id, 100000);

    const shown = await page.over();

    assert.equal(shown.state, "done", shown.words);
    assert.equal(shown.text, message, "the whole text");
    assert.equal(await page.alert(), null, "no error");
    askedOnce(site, page, shown);
    assertFrames(shown.frames);
    assert.equal(await site.mock.end(id), "complete");
    await picture(site, page, upstream, "end");

    if (site.wrong) {
        await refused(site, page, upstream);
    }
}


// The same page from an origin that is not allowed reads nothing: no text of
// a stream, no status of an error.

async function refused(site, page, upstream) {
    const wrong = { ...site, nginx: site.wrong };

    for (const options of ["text=echo", "fault=s429"]) {
        await ask(wrong, page, upstream, options);

        const { text, words } = await assertError(wrong, page, options);

        assert.equal(text, "", `${options}: the wrong origin reads nothing`);
        assert.doesNotMatch(words, /429/, "not even a status");
    }
}


// the animation frames before the end: longer and longer

function assertFrames(frames) {
    const lengths = frames.filter((f) => f.state === "streaming")
        .map((f) => f.length);

    assert.ok(lengths.length >= GROWS, "grows in frames: " + lengths);
    assert.ok(lengths.every((n, i) => i === 0 || n > lengths[i - 1]),
        "only grows: " + lengths);
    assert.equal(frames.at(-1).state, "done");
}


async function before(site, page, upstream) {
    for (const [fault, status] of BEFORE) {
        await ask(site, page, upstream, `fault=${fault}`);

        const { text, words } = await assertError(site, page, fault);

        assert.equal(text, "", `${fault}: no answer`);

        if (!site.eventSource) {
            assert.equal(words.split(":")[0], String(status), words);
        }

        await picture(site, page, upstream, "refused");
    }
}


async function first(site, page, upstream) {
    await ask(site, page, upstream, "fault=error-event-first");

    const { text } = await assertError(site, page, "error-event-first");

    assert.equal(text, "", "no answer");
}


async function mid(site, page, upstream) {
    const message = PROMPT.repeat(2);
    const id = await ask(site, page, upstream,
        "text=echo,fault=error-event-mid,at=6,lockstep=ID", message);

    await grow(site, page, id, 3);
    await site.mock.ack(id, 100000);

    const { text } = await assertError(site, page, "error-event-mid");

    assert.ok(text !== "" && message.startsWith(text), "what came is kept");
    assert.ok(text.length < message.length, "and it is not all");
    await picture(site, page, upstream, "error");
}


// of answers that are longer than a page is high

async function truncated(site, page, upstream) {
    for (const fault of CUT) {
        const id = await ask(site, page, upstream,
            `tokens=9,size=${LONG},fault=${fault},at=6,lockstep=ID`);

        await grow(site, page, id, 3);
        await site.mock.ack(id, 100000);

        const { text } = await assertError(site, page, fault);

        assert.ok(text.length >= 3 * LONG && text.length < 9 * LONG,
            `${fault}: a part of the answer, ${text.length} bytes`);
        await picture(site, page, upstream, "cut");
    }

    await cutByNginx(site, page, upstream);
}


// nginx itself goes away: its stream stops without a word

async function cutByNginx(site, page, upstream) {
    await page.fake(site.requests, site.cut);
    await ask(site, page, upstream, "tokens=1");

    const { text } = await assertError(site, page, "the connection to nginx");

    assert.equal(text, "a", "what came is kept");
}


// stopped by its button; then by closing the page, so it returns true

async function abort(site, page, upstream) {
    const options = "tokens=400,lockstep=ID";
    let id = await ask(site, page, upstream, options);

    await grow(site, page, id, 2);
    await page.stop();
    assert.equal(await site.mock.end(id), "aborted", "stopped");

    const shown = await page.over();

    assert.equal(shown.state, "stopped");
    assert.equal(await page.alert(), null, "which is no error");
    askedOnce(site, page, shown);

    id = await ask(site, page, upstream, options);

    await grow(site, page, id, 2);
    await page.close();
    assert.equal(await site.mock.end(id), "aborted", "page closed");

    return true;
}
