// The cases: what is asked of the mock provider, and what a library must make
// of it.  Every case tries each of the library's ways to stream and, where it
// makes sense, the call that is no stream.  A case returns undefined, or a
// note where a library behaves as is known of it; it throws Wrong with the
// reason if something is not as it must be.  It must never take an answer
// that broke off for one that ended.

// What text may hold: of every length in UTF-8, joined, escaped in JSON or
// not, a line end for some parsers and not for others, and what looks like
// the framing of an event.
export const PROMPT = [
    "Grüße aus Köln, naïve café; Привет, мир; 你好，世界。 ",
    "👩‍👩‍👧‍👦 🏳️‍🌈 𝄞 é. He said \"yes\" and 'no' \\ \\n \\u0041.\n",
    "A line\u2028and one more\u2029here,\u0085or\u000b\u000cthere. ",
    "<b>&amp;</b> 100 % {a} [b]\n\n",
    "```js\nconst x = `${y}` // data: [DONE]\n```\n\nevent: done",
].join("");

const TOOLS = [{
    name: "get_weather",
    description: "The weather of a place.",
    parameters: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
    },
}];

// Text alone, text among all else that an answer may have, and text with
// pauses, which nginx fills with heartbeats.
const ECHO = "text=echo";
const ECHOES = [ECHO, `${ECHO},reasoning=3,citations=2,logprobs=1`];
const PAUSES = `${ECHO},per_event=8,itl=40`;

const CALLS = ["tools=2", "tools=2,tokens=3,reasoning=2"];

// broken off: FIN, an end that looks proper, RST, an empty last chunk
const CUTS = ["fin-chunked-incomplete", "close-delimited-no-terminator",
    "rst-mid-event", "last-chunk-no-terminator"];

// not the end of anything, but for nginx, whose patience has one
const STALL = "stall-mid";

const ABORT_LIMIT = 5000;

let count = 0;


export class Wrong extends Error {
}


function demand(ok, why) {
    if (!ok) {
        throw new Wrong(why);
    }
}


function shown(value) {
    const text = JSON.stringify(value) ?? String(value);

    return text.length > 160 ? `${text.slice(0, 160)}...` : text;
}


function same(got, wanted, what) {
    demand(shownWhole(got) === shownWhole(wanted),
        `${what} is ${shown(got)}, not ${shown(wanted)}`);
}


// members in any order are the same object
function shownWhole(value) {
    return JSON.stringify(value, (_, v) => (v && typeof v === "object"
        && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort())
        : v));
}


// The library, set up for a location with these options, and the name that
// the mock gives the request.
function setUp(c, options) {
    const id = `${c.client.name}-${c.upstream}-${c.name}-${++count}`
        .replace(/[^A-Za-z0-9-]/g, "");
    const url = `${c.nginx}/${c.upstream}/${options},id=${id}`;

    return { id, api: c.client.open(c.sdk, url) };
}


function ask(more) {
    return { prompt: "hi", usage: false, tools: null, turn: null, ...more };
}


function blank() {
    return { text: "", pieces: 0, calls: [], finish: null, usage: null };
}


// Reads a stream to its end, however it ends.  enough(seen) is called after
// each piece of text.
async function read(events, enough = () => {}) {
    const seen = blank();

    try {
        for await (const event of await events) {
            if (event.text) {
                seen.text += event.text;
                seen.pieces++;
                enough(seen);
            }

            if (event.call) {
                seen.calls.push(event.call);
            }

            seen.finish = event.finish ?? seen.finish;
            seen.usage = event.usage ?? seen.usage;
        }

    } catch (error) {
        seen.error = error;
    }

    return seen;
}


async function whole(promise) {
    try {
        return { ...blank(), ...await promise };

    } catch (error) {
        return { ...blank(), error };
    }
}


// Every way to ask: each kind of stream and, unless that says nothing here,
// the one answer.  make(way) gives the options and the question.
async function* each(c, make, { answers = true } = {}) {
    for (const [way, stream] of Object.entries(c.client.ways)) {
        const { options, question } = make(way);
        const { api, id } = setUp(c, options);

        yield { way, id, seen: await read(stream(api, question, c.signal)) };
    }

    if (answers && c.client.answer) {
        const { options, question } = make("answer");
        const { api, id } = setUp(c, options);

        yield {
            way: "answer", id,
            seen: await whole(c.client.answer(api, question, c.signal)),
        };
    }
}


function fine(way, seen) {
    demand(!seen.error, `${way}: raised ${described(seen.error)}`);
}


function described(error) {
    return error === undefined ? "nothing"
        : `${error?.constructor?.name} ${error?.status ?? ""} `
            + `${shown(error?.message ?? error)}`;
}


// It must have raised, with the library's own error, and shown no end before.
// Returns a note where something else is known of the library and shows.
function broken(c, way, fault, seen, status) {
    const known = c.client.known?.({
        name: c.name, upstream: c.upstream, way, fault, status,
    });
    const where = `${way}, ${fault}:`;

    if (known) {
        demand(known.shows(seen), `${where} not what is known of it: `
            + `${described(seen.error)}, ${shown({ ...seen, error: 0 })}`);
        return known.note;
    }

    demand(seen.error !== undefined, `${where} ended as a success, `
        + `${shown(seen)}`);
    demand(c.client.failed(c.sdk, seen.error),
        `${where} raised ${described(seen.error)}, not the library's error`);
    demand(seen.finish === null, `${where} showed the finish `
        + `${shown(seen.finish)} before it raised`);

    return undefined;
}


function noted(notes) {
    const found = [...new Set(notes.filter(Boolean))];

    return found.length ? found.join("\n") : undefined;
}


async function stream(c) {
    for (const options of [...ECHOES, PAUSES]) {
        for await (const { way, seen } of each(c, () => ({
            options, question: ask({ prompt: PROMPT }),
        }), { answers: false })) {
            fine(`${way}, ${options}`, seen);
            same(seen.text, PROMPT, `${way}, ${options}: the text`);
            demand(seen.pieces > 1, `${way}, ${options}: all in one piece`);
            same(seen.finish, c.client.finish.stop,
                `${way}, ${options}: the finish`);
        }
    }
}


async function answer(c) {
    for (const options of ECHOES) {
        const { api } = setUp(c, options);
        const seen = await whole(c.client.answer(api,
            ask({ prompt: PROMPT }), c.signal));

        fine(options, seen);
        same(seen.text, PROMPT, `${options}: the text`);
        same(seen.finish, c.client.finish.stop, `${options}: the finish`);
    }
}


async function tool(c) {
    for (const options of CALLS) {
        for await (const { way, seen } of each(c, () => ({
            options, question: ask({ tools: TOOLS }),
        }))) {
            fine(`${way}, ${options}`, seen);
            same(seen.calls.map(({ name, args }) => ({ name, args })),
                c.calls, `${way}, ${options}: the calls`);
            same(seen.finish, c.client.finish.calls,
                `${way}, ${options}: the finish`);

            await results(c, way, seen.calls);
        }
    }
}


// The second half of a round trip: the results go back, and get there.
async function results(c, way, calls) {
    const marks = calls.map((_, i) => `result-${++count}-of-call-${i}`);
    const { api, id } = setUp(c, "tokens=3");
    const question = ask({ tools: TOOLS, turn: { calls, results: marks } });
    const seen = way === "answer"
        ? await whole(c.client.answer(api, question, c.signal))
        : await read(c.client.ways[way](api, question, c.signal));

    fine(`${way}, with results`, seen);
    demand(seen.text !== "", `${way}: no text after the results`);

    const body = await c.mock.bodyOf(id) ?? "";

    for (const mark of marks) {
        demand(body.includes(mark), `${way}: the provider did not get the `
            + `result ${mark}`);
    }
}


async function usage(c) {
    const counts = {};

    for await (const { way, seen } of each(c, () => ({
        options: "tokens=7", question: ask({ usage: true }),
    }))) {
        fine(way, seen);
        demand(seen.usage, `${way}: no usage`);
        demand(seen.usage.input > 0, `${way}: input is ${seen.usage.input}`);
        same(seen.usage.output, 7, `${way}: output`);
        counts[way] = seen.usage;
    }

    for (const [way, said] of Object.entries(counts)) {
        same(said, Object.values(counts)[0], `${way}: the usage`);
    }
}


async function before(c) {
    const faults = [["s5xx,variant=1", 500], ["s5xx,variant=2", 502],
        ["s5xx,variant=3", 503], ["s429", 429], ["s401", 401],
        ["rst-before-headers", 502], ["html-200", 502]];
    const notes = [];

    for (const [fault, usual] of faults) {
        // Gemini says of a bad key that the request is bad, and what it says
        // goes to its own clients as it came
        const wanted = fault === "s401" && c.upstream === "gemini"
            && c.client.dialect === "gemini" ? 400 : usual;

        for await (const { way, seen } of each(c, () => ({
            options: `fault=${fault}`, question: ask(),
        }))) {
            const note = broken(c, way, fault, seen, wanted);

            notes.push(note);

            if (note) {
                continue;
            }

            const status = c.client.failed(c.sdk, seen.error);

            demand(status === wanted,
                `${way}, ${fault}: the status is ${status}, not ${wanted}`);
            same(seen.text, "", `${way}, ${fault}: the text`);
        }
    }

    return noted(notes);
}


// The provider's own error, in a stream: none of these end as a success.  One
// answer of the same dialect is no stream, there is no event for the error.
async function reported(c, faults, check = () => {}) {
    const notes = [];
    const answers = c.upstream !== c.client.dialect;

    for (const fault of faults) {
        for await (const { way, seen } of each(c, () => ({
            options: `tokens=12,fault=${fault}`, question: ask(),
        }), { answers })) {
            notes.push(broken(c, way, fault, seen));
            check(way, fault, seen);
        }
    }

    return noted(notes);
}


async function first(c) {
    return reported(c, [1, 2, 3, 4].map((n) =>
        `error-event-first,variant=${n}`), (way, fault, seen) => {
        same(seen.text, "", `${way}, ${fault}: the text`);
    });
}


async function mid(c) {
    const faults = [1, 2, 3, 4, 5].map((n) =>
        `error-event-mid,at=5,variant=${n}`);

    return reported(c, [...faults, "error-then-done,at=5"],
        (way, fault, seen) => {
            demand(way === "answer" || seen.pieces > 0,
                `${way}, ${fault}: no text before the error`);
        });
}


async function truncated(c) {
    const notes = [];
    const own = c.upstream === c.client.dialect;

    for (const fault of [...CUTS, STALL]) {
        for await (const { way, seen } of each(c, (name) => ({
            // one answer of the same dialect has a single event, its body
            options: `tokens=12,fault=${fault},`
                + `at=${own && name === "answer" ? 1 : 5}`,
            question: ask(),
        }), { answers: !own || fault !== STALL })) {
            notes.push(broken(c, way, fault, seen));
            demand(way === "answer" || seen.pieces > 0,
                `${way}, ${fault}: no text before the end`);
        }
    }

    return noted(notes);
}


async function abort(c) {
    for (const [way, stream] of Object.entries(c.client.ways)) {
        const { api, id } = setUp(c, "itl=50,tokens=400");
        const own = new AbortController();
        const signal = AbortSignal.any([own.signal, c.signal]);
        const seen = await read(stream(api, ask(), signal), ({ pieces }) => {
            if (pieces === 2) {
                own.abort();
            }
        });

        demand(own.signal.aborted, `${way}: ended by itself, `
            + `${described(seen.error)}`);
        same(await c.mock.end(id, ABORT_LIMIT), "aborted",
            `${way}: the end that the provider saw`);
    }
}


export const cases = {
    stream, tool, answer, usage, before, first, mid, truncated, abort,
};
