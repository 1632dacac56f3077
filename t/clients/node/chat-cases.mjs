// What the chat page must do: a case here is one column of the table.  Every
// step is one event of the mock that the test allows (lockstep), so nothing
// depends on time.  It must never take the page's word for what was asked or
// for an abort: the mock says so.

import assert from "node:assert/strict";

import { PROMPT, Wrong } from "./cases.mjs";
import { ChatPage } from "./chat-page.mjs";
import { Lockstep } from "./lockstep.mjs";
import { overVectors } from "./sse-vectors.mjs";

const PARSER = new URL("../../../examples/chat/sse.js", import.meta.url);
const PATH = "/v1/chat/completions";

// what must not become a part of the page
const MARKUP = "<b id=\"answer\">&amp;</b><img src=x onerror=alert(1)>"
    + "<script>alert(1)</script><a href=javascript:alert(1)>";
const CODE = "Look:\n\n```html\n<img src=x onerror=alert(1)>\n```\nThat is it.";

const CUT = ["fin-chunked-incomplete", "close-delimited-no-terminator",
    "rst-mid-event", "last-chunk-no-terminator"];

// fault, the status that the page is told, and the module's code
const BEFORE = [["s5xx,variant=1", 500, /^\w+$/], ["s429", 429, /^\w+$/],
    ["rst-before-headers", 502, /^upstream_\w+$/],
    ["html-200", 502, /^upstream_\w+$/]];

const WAYS = ["fetch", "eventsource"];
// pieces, each in a frame of its own: enough for a rate
const GROWS = 6;
const STEP_LIMIT = 10_000 * Number(process.env.LLM_TEST_SLOW || 1);
const CLOSED = 2;       // EventSource.CLOSED
const ALL = 100_000;

let count = 0;


// what the page shows of a text: all but the fences of code

function asShown(text) {
    return text.replace(/^```.*\n/gm, "");
}


// job: where nginx and the mock are

export function cases(browser, job) {
    const mock = new Lockstep(job.mock, STEP_LIMIT);
    const site = { mock, nginx: job.nginx };

    const make = (run) => async () => {
        const page = await ChatPage.open(browser, `${job.nginx}/`,
            STEP_LIMIT);

        try {
            await run(site, page);
            assert.deepEqual(page.faults, [], "the page was not quiet");

        } catch (error) {
            throw new Wrong(why(error));

        } finally {
            await page.close();
        }
    };

    return {
        stream: make(stream), answer: make(answer), usage: make(usage),
        before: make(before), first: make(first), mid: make(mid),
        truncated: make(truncated), abort: make(abort),
    };
}


// the first line of the message, and where in this file it was

function why(error) {
    const [said] = error.message.split("\n");
    const where = error.stack.match(/chat-cases\.mjs:\d+/g) ?? [];

    return `${said} (${where.join(", ")})`;
}


// tells the mock what to do, and asks; the stream's id

async function ask(site, page, options, question = PROMPT) {
    const id = `chat${process.pid}-${++count}`;

    await site.mock.defaults(`id=${id},${options}`.replaceAll("ID", id));
    await page.ask(question);

    return id;
}


// one whole answer that says what it was asked

async function echo(site, page, question) {
    await ask(site, page, "text=echo", question);

    const shown = await page.over();

    assert.equal(shown.state, "done", shown.remark);

    return shown;
}


// allows event by event: the beginning, then one with text each time

async function grow(site, page, id, times, each) {
    let length = 0;

    await site.mock.events(id, 1);

    for (let i = 0; i < times; i++) {
        await site.mock.ack(id, 1);

        const shown = await page.grown(length);

        length = shown.answers.at(-1).length;
        assert.equal(shown.state, "open", "not yet at its end");
        each?.(shown);
    }
}


// what the mock was asked last

async function lastAsked(site) {
    const [request] = await site.mock.requests(1);

    return { ...request, json: JSON.parse(request.body) };
}


// one request, in that way, and nothing that could make another

function askedOnce(page, shown, way) {
    const { sources } = shown;

    assert.deepEqual(page.asked, [way === "fetch" ? "POST" : "GET"]);
    assert.deepEqual(sources, way === "fetch" ? [] : [CLOSED],
        "an EventSource that is not closed");
}


async function stream(site, page) {
    assert.ok(await overVectors(PARSER) > 1000, "the parser alone");

    for (const way of WAYS) {
        await page.set({ way });
        await grows(site, page, way);
    }

    await page.click("New conversation");
    assert.deepEqual((await page.now()).questions, [], "a new conversation");

    await pausing(site, page);
    await code(site, page);
    await continues(site, page);
}


// the text is longer and longer before the end, and is text

async function grows(site, page, way) {
    const question = `${PROMPT} ${MARKUP} ${"long".repeat(60)}`;
    const id = await ask(site, page, "text=echo,lockstep=ID", question);
    const wanted = asShown(question);
    const states = [];

    await grow(site, page, id, GROWS, ({ text, status, focus }) => {
        assert.ok(wanted.startsWith(text) && text !== wanted, text);
        assert.equal(focus, "message", "one can go on writing");
        states.push([text.length, status]);
    });
    assert.ok(states.length >= 2, "two states before the end, at least");
    assert.ok(await page.pictures(`chromium-chat-middle-${way}`) <= 0,
        "all of it is within a phone's width");
    assert.equal(new Set(states.map(([, status]) => status)).size, 1,
        "the status is not said for each piece");

    await site.mock.ack(id, ALL);

    const shown = await page.over();

    assert.equal(shown.state, "done", shown.remark);
    assert.equal(shown.text, wanted, "the whole text");
    assert.equal(shown.questions.at(-1), question, "the question, too");
    assert.match(shown.figures.ttft, /^TTFT \d+ ms$/);
    assert.equal(shown.remark, "");
    assert.equal(await page.alert(), null, "no error");
    assert.ok(shown.fromEnd < 2, "at its end");
    askedOnce(page, shown, way);
    assert.equal(await site.mock.end(id), "complete");

    const { json } = await lastAsked(site);

    if (way === "eventsource") {
        assert.deepEqual(json.messages, [{ role: "user", content: question }],
            "EventSource sends the question alone");
        assert.ok(await page.page.locator("#alone").isVisible(),
            "and the page says so");
        assert.match(shown.figures.rate, /^[\d.]+ chunks\/s$/);
        assert.match(shown.figures.ending, /not said$/);

    } else {
        assert.equal(json.stream, true);
        assert.equal(await page.page.locator("#alone").isVisible(), false);
        assert.match(shown.figures.rate, /^[\d.]+ tokens\/s$/);
        assert.equal(shown.figures.ending, "complete");
        assert.equal(shown.figures.model, json.model);
    }
}


// The page waits behind a token while nginx sends heartbeats.

async function pausing(site, page) {
    await page.set({ way: "fetch" });

    const id = await ask(site, page, "text=echo,lockstep=ID,reasoning=2");

    await grow(site, page, id, 0);
    await site.mock.ack(id, 4);
    await page.grown(0);
    await heartbeat(site);
    await site.mock.ack(id, ALL);

    const shown = await page.over();
    const reasoning = page.page.locator(".reasoning");

    assert.equal(shown.text, asShown(PROMPT), "heartbeats are no text");
    assert.equal(shown.figures.ending, "complete");
    assert.equal(await reasoning.evaluate((box) => box.open), false,
        "reasoning is folded");
    assert.ok((await reasoning.textContent()).length > "Reasoning".length,
        "and it is there");
}


// Until a stream that waits from now on gets a heartbeat: one that has waited
// before has got one, too.

async function heartbeat(site) {
    const id = `beat${process.pid}-${++count}`;
    const control = new AbortController();
    const { signal } = control;

    await site.mock.defaults(`id=${id},lockstep=${id}`);

    const asked = fetch(site.nginx + PATH, { method: "POST", signal,
        body: JSON.stringify({ model: "m", stream: true,
            messages: [{ role: "user", content: "x" }] }) });

    await site.mock.events(id, 1);
    await site.mock.ack(id, 1);

    const { body } = await asked;
    let seen = "";

    for await (const bytes of body) {
        seen += Buffer.from(bytes).toString();

        if (/^:/m.test(seen)) {
            break;
        }
    }

    control.abort();
    assert.match(seen, /^:/m, "a heartbeat");
    assert.equal(await site.mock.end(id), "aborted");
}


// a block of code, wherever it is cut

async function code(site, page) {
    for (const size of [1, 2, 5]) {
        await ask(site, page, `text=echo,size=${size}`, CODE);

        const shown = await page.over();

        assert.deepEqual(shown.blocks, ["p", "pre", "p"], `size ${size}`);
        assert.equal(shown.text,
            "Look:\n\n<img src=x onerror=alert(1)>\n\nThat is it.");
    }

    await page.click("New conversation");
    await echo(site, page, CODE);
    await ask(site, page, "tokens=120,reasoning=20", "And in Latin?");
    await page.over();
    await page.page.locator("summary").last().click();
    assert.ok(await page.pictures("chromium-chat-end") <= 0,
        "all of it is within a phone's width");
    await page.page.locator("summary").first().click();
    assert.ok(await page.pictures("chromium-chat-settings") <= 0);
}


// goes on with the conversation, also after the page was loaded again

async function continues(site, page) {
    await page.click("New conversation");
    await page.page.locator("#message").fill("a");
    await page.page.locator("#message").press("Shift+Enter");
    assert.equal(await page.page.locator("#message").inputValue(), "a\n");
    assert.deepEqual((await page.now()).questions, [], "not sent");
    await page.set({ model: "gpt-test", system: "Be brief." });
    await echo(site, page, "First");
    await echo(site, page, "Second");

    const shown = await page.now();

    await page.reload();

    const found = await page.now();

    assert.deepEqual([found.questions, found.answers, found.figures],
        [shown.questions, shown.answers, shown.figures], "it is all there");

    await echo(site, page, "Third");

    const { json } = await lastAsked(site);

    assert.equal(json.model, "gpt-test");
    assert.deepEqual(json.messages.map(({ role, content }) =>
        `${role}: ${content}`), ["system: Be brief.", "user: First",
        "assistant: First", "user: Second", "assistant: Second",
        "user: Third"], "the model is asked with all of it");

    await page.click("New conversation");
    await page.reload();
    assert.deepEqual((await page.now()).questions, [], "it is forgotten");
}


// One JSON answer where a stream was asked for; and what is none.

async function answer(site, page) {
    const whole = { model: "m", choices: [{ index: 0, finish_reason: "stop",
        message: { role: "assistant", content: "All at once." } }],
    usage: { completion_tokens: 3 } };
    const piece = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n';
    const json = "application/json";

    for (const [body, type, text, remark] of [
        [JSON.stringify(whole), json, "All at once.", /^$/],
        ['{"error":{"message":"No.","code":"no"}}', json, "", /^No\.no$/],
        ["{", json, "", /cannot be read/],
        ["<p>Hello</p>", "text/html", "", /not one of a model/],
        [`\uFEFF: a comment\r\n\r\nevent: x\rdata: {"choices":\r\n`
            + 'data: [{"delta":{"content":"a\u00e9"}}]}\r\n\r\n:\n\n'
            + 'data:{"choices":[{"delta":{},"finish_reason":"stop"}]}\r\r'
            + "data: [DONE]\n\n", "text/event-stream", "a\u00e9", /^$/],
        [piece, "text/event-stream", "a", /not complete.*connection was lost/],
        [`${piece}data: {\n\n`, "text/event-stream", "a", /cannot be read/],
        [`${piece}data: {"choices":[{"finish_reason":"length"}]}\n\n`
            + "data: [DONE]\n\n", "text/event-stream", "a",
        /not complete: the limit of tokens/],
    ]) {
        await page.fake(body, type);
        await page.ask(PROMPT);

        const shown = await page.over();

        assert.equal(shown.text, text, body);
        assert.match(shown.remark, remark, body);
        assert.equal(shown.figures.ending === "complete",
            String(remark) === "/^$/", body);
    }

    await unkept(site, page);
}


// a browser that keeps nothing, and one that has kept something else

async function unkept(site, page) {
    await page.page.evaluate(() => {
        Storage.prototype.setItem = () => { throw new Error("full"); };
    });
    await echo(site, page, "First");
    assert.ok(await page.page.locator("#unkept").isVisible(), "it is said");

    const settings = { way: "fetch", model: "m", system: "" };
    const failed = { text: "", reasoning: "", state: "error" };

    for (const found of ["{", "null", ...[
        { exchanges: [] },
        { settings: { way: "x" }, exchanges: [] },
        { settings, exchanges: [{ question: 1, answer: failed }] },
        { settings, exchanges: [{ question: "a", answer: failed }] },
    ].map((value) => JSON.stringify(value))]) {
        await page.page.addInitScript((text) =>
            localStorage.setItem("llm-chat", text), found);
        await page.reload();
        assert.deepEqual((await page.now()).questions, [], found);
        await echo(site, page, "First");
    }
}


// counts are the provider's; without them there are chunks, named so

async function usage(site, page) {
    const options = "tokens=20,per_event=2";
    const id = await ask(site, page, `${options},lockstep=ID`);

    await grow(site, page, id, GROWS);
    await site.mock.ack(id, ALL);

    let { figures } = await page.over();
    const told = await site.mock.completion(options, PROMPT);

    assert.equal(figures.count, `${told.usage.completion_tokens} tokens`);
    assert.match(figures.rate, /^[\d.]+ tokens\/s$/);
    assert.equal(figures.ending, "complete");

    const other = await ask(site, page, "tokens=9,usage=off,lockstep=ID");

    await grow(site, page, other, GROWS);
    await site.mock.ack(other, ALL);
    ({ figures } = await page.over());
    assert.equal(figures.count, "9 chunks");
    assert.match(figures.rate, /^[\d.]+ chunks\/s$/);

    await ask(site, page, "tokens=3,finish=length");

    const shown = await page.over();

    assert.equal(shown.figures.ending, "truncated");
    assert.match(shown.remark, /not complete: the limit of tokens/);
}


// an error that is plain to see, and after it one can ask again

async function assertError(page, way, what) {
    const shown = await page.over();
    const words = await page.alert();

    assert.equal(shown.state, "error", `${what}: an error, not an end`);
    assert.ok(words, `${what}: the error is out of sight`);
    assert.doesNotMatch(words, /undefined|null|\[object|Unexpected/, what);
    assert.equal(shown.focus, "message", what);
    askedOnce(page, shown, way);

    const details = shown.wrong && await page.page.locator(
        ".answer:last-child .remark .details").textContent();

    return { ...shown, details };
}


async function before(site, page) {
    for (const way of WAYS) {
        await page.set({ way });

        for (const [fault, status, code] of BEFORE) {
            await ask(site, page, `fault=${fault}`);

            const { text, details, remark, figures }
                = await assertError(page, way, fault);

            assert.equal(text, "", `${fault}: no answer`);
            assert.equal(figures.ending, "no answer");

            if (way === "fetch") {
                const [said, ...rest] = details.split(", ");

                assert.equal(said, `HTTP ${status}`);
                assert.match(rest.join(), code, `${fault}: its code`);

            } else {
                assert.match(remark, /EventSource cannot say why/);
            }

            await page.click("New conversation");
        }
    }

    await again(site, page);
    await unreached(page);
}


// the last question once more, in the place of the answer that failed

async function again(site, page) {
    await page.set({ way: "fetch" });
    await echo(site, page, "First");
    await ask(site, page, "fault=s429", "Second");
    await assertError(page, "fetch", "s429");
    assert.ok(await page.pictures("chromium-chat-refused") <= 0,
        "within a phone's width");
    await site.mock.defaults("text=echo");
    await page.again();

    const shown = await page.over();
    const { json } = await lastAsked(site);

    assert.equal(shown.state, "done");
    assert.deepEqual(shown.answers, ["First", "Second"]);
    assert.deepEqual(json.messages.map(({ content }) => content),
        ["First", "First", "Second"], "the question is asked once");
    assert.equal(await page.alert(), null);

    await page.reload();
    assert.deepEqual((await page.now()).answers, ["First", "Second"],
        "and is kept once");
}


async function unreached(page) {
    await page.fake("Nothing here.", "text/plain", 404);
    await page.ask(PROMPT);

    const { remark } = await page.over();

    assert.equal(remark, "The server refused the request.HTTP 404");
}


async function first(site, page) {
    for (const way of WAYS) {
        await page.set({ way });
        await ask(site, page, "fault=error-event-first");

        const { text } = await assertError(page, way, "error-event-first");

        assert.equal(text, "", "no answer");
        await page.click("New conversation");
    }
}


async function mid(site, page) {
    const question = PROMPT.repeat(2);

    for (const way of WAYS) {
        await page.set({ way });

        const id = await ask(site, page,
            "text=echo,fault=error-event-mid,at=6,lockstep=ID", question);

        await grow(site, page, id, 3);
        await site.mock.ack(id, ALL);

        const { text, details, remark, figures }
            = await assertError(page, way, "error-event-mid");

        assert.ok(text !== "" && question.startsWith(text), "what came stays");
        assert.ok(text.length < question.length, "and it is not all");
        assert.equal(figures.ending, "truncated");
        assert.match(remark, /^This answer is not complete\. /);
        assert.match(details, /^\w+$/, "the code");
        assert.ok(await page.pictures("chromium-chat-error") <= 0);
        await page.click("New conversation");
    }
}


// of answers that are longer than the page is high

async function truncated(site, page) {
    for (const way of WAYS) {
        await page.set({ way });

        for (const fault of CUT) {
            const id = await ask(site, page,
                `tokens=9,size=1000,fault=${fault},at=6,lockstep=ID`);

            await grow(site, page, id, 3);
            await site.mock.ack(id, ALL);

            const { text, details, remark, figures }
                = await assertError(page, way, fault);

            assert.ok(text.length >= 3000 && text.length < 9000, fault);
            assert.equal(figures.ending, "truncated");
            assert.match(remark, /^This answer is not complete\. /);
            assert.match(details, /^upstream_\w+$/, `${fault}: the code`);
            await page.click("New conversation");
        }
    }

    await reading(site, page);
}


// who reads above the end is not taken away from there

async function reading(site, page) {
    await page.set({ way: "fetch" });

    const id = await ask(site, page, "tokens=9,size=2000,lockstep=ID");
    let far = 0;

    await grow(site, page, id, 2, ({ fromEnd }) =>
        assert.ok(fromEnd < 2, "the end stays in sight"));
    await page.atEndWhenResized();
    await page.page.locator("#log").evaluate((log) => { log.scrollTop = 0; });
    await grow(site, page, id, 0);
    await site.mock.ack(id, ALL);
    far = (await page.over()).fromEnd;
    assert.ok(far > 100, "the reader stays where he is");
}


async function abort(site, page) {
    const options = "tokens=400,lockstep=ID";

    for (const way of WAYS) {
        await page.set({ way });

        for (const leave of [() => page.click("Stop"),
            () => page.press("Escape")])
        {
            const id = await ask(site, page, options);

            await grow(site, page, id, 2);
            await leave();
            assert.equal(await site.mock.end(id), "aborted", "stopped");

            const shown = await page.over();

            assert.equal(shown.state, "stopped");
            assert.equal(shown.figures.ending, "stopped by you");
            assert.match(shown.remark, /not complete/);
            assert.equal(shown.focus, "message");
            assert.equal(await page.alert(), null, "which is no error");
            askedOnce(page, shown, way);
        }

        await forgotten(site, page, options);
        await reloaded(site, page, options);
    }
}


// a new conversation while an answer comes

async function forgotten(site, page, options) {
    const id = await ask(site, page, options);

    await grow(site, page, id, 2);
    await page.click("New conversation");
    assert.equal(await site.mock.end(id), "aborted", "forgotten");

    const { questions, status, focus } = await page.now();

    assert.deepEqual([questions, status, focus], [[], "", "message"]);
}


// what came before the page was loaded again is there, and is marked

async function reloaded(site, page, options) {
    const id = await ask(site, page, options, "First");

    await grow(site, page, id, 3);

    const { text } = await page.now();

    await page.reload();
    assert.equal(await site.mock.end(id), "aborted", "loaded again");

    const found = await page.now();

    assert.deepEqual(found.questions, ["First"]);
    assert.equal(found.text, text, "what came is not lost");
    assert.equal(found.state, "broken");
    assert.match(found.remark, /not complete.*loaded again/);

    await page.set({ way: "fetch" });
    await echo(site, page, "Second");

    const { json } = await lastAsked(site);

    assert.deepEqual(json.messages.map(({ content }) => content),
        ["First", text, "Second"], "and it goes on from there");
    await page.click("New conversation");
}
