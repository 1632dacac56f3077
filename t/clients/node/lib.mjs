// The frame of a client's test: reads the job, runs every case that is to be
// run against every upstream dialect, a few at a time and each within a time
// limit, and prints a line of JSON for each.  What a case is stands in
// cases.mjs.  It must never print a case as passed that was not run whole,
// and knows nothing of any library.
//
// A client's file calls run() with
//
//   name      "openai chat (node)"
//   package   whose version is shown: "openai"
//   dialect   what it speaks to nginx: "openai"
//   load      () => import("openai"), or an object of several
//   open      (sdk, url) => api; retries off.  url has no slash at its end:
//             http://127.0.0.1:PORT/UPSTREAM/OPTIONS, the library's own path
//             goes behind it
//   ways      { name: async function* (api, ask, signal) }: the library's
//             ways to stream, each giving, as they come,
//                 { text: "piece" }            not empty
//                 { call: { id, name, args } } whole, args an object
//                 { finish: "stop" }           as the library shows it
//                 { usage: { input, output } }
//   answer    async (api, ask, signal) => { text, calls, finish, usage }: the
//             call that is no stream; null if there is none
//   finish    { stop: "stop", calls: "tool_calls" }: the words expected;
//             null where the dialect has none
//   failed    (sdk, error) => false if it is not the library's error, else
//             true or the HTTP status, where the library has one
//   known     optional: ({ name, upstream, way, fault, status }) => null, or
//             { note, shows: (seen) => boolean } where the library cannot
//             notice a bad end: the case is right if it shows just that
//
// A client that is no library, a page in a browser, has its own
//
//   load      (job) => what open() would get; throws Missing
//   version   (sdk) => "156.0", instead of package
//   cases     (sdk, job) => { name: async ({ upstream }) => note or nothing }
//   atOnce    1: its cases one after the other
//   close     async (sdk) => {}: at the end, whatever happened
//
// ask is { prompt, usage, tools, turn }: the text of the user; whether token
// counts are asked for; null or [{ name, description, parameters }]; null or
// { calls, results }, what the model called before and the text for each.
// seen is { text, pieces, calls, finish, usage, error }.

import { text } from "node:stream/consumers";

import { cases, Wrong } from "./cases.mjs";
import { Mock } from "./mock.mjs";
import { use, version } from "./packages.mjs";

const AT_ONCE = 4;
const LIMIT = 20_000 * Number(process.env.LLM_TEST_SLOW || 1);
const MISSING = 3;


function say(line) {
    process.stdout.write(JSON.stringify(line) + "\n");
}


// what a client needs is not installed
export class Missing extends Error {
    code = "ERR_MODULE_NOT_FOUND";
}


async function load(client, job) {
    try {
        return await client.load(job);

    } catch (error) {
        if (error.code !== "ERR_MODULE_NOT_FOUND") {
            throw error;
        }

        say({ client: client.name, missing: error.message.split("\n")[0] });
        process.exit(MISSING);
    }
}


// One case, within its time.  A library that goes on after its signal is
// left behind: what it says later is not listened to.
async function judge(run, context) {
    const late = new AbortController();
    let timer;

    const limit = new Promise((_, reject) => {
        timer = setTimeout(() => {
            late.abort();
            reject(new Wrong(`not done after ${LIMIT / 1000} s`));
        }, LIMIT);
    });

    try {
        const note = await Promise.race([
            run({ ...context, signal: late.signal }), limit,
        ]);

        return note ? { ok: true, note } : { ok: true };

    } catch (error) {
        const why = error instanceof Wrong ? error.message
            : `${error.stack}`;

        return { ok: false, why: why.replace(/\s+/g, " ").slice(0, 600) };

    } finally {
        clearTimeout(timer);
    }
}


// everything to be run, the cases of an upstream one after the other
function plan(job) {
    const list = [];

    for (const upstream of job.upstreams) {
        for (const name of job.cases) {
            if (!(name in (job.skip?.[upstream] ?? {}))) {
                list.push({ upstream, name });
            }
        }
    }

    return list;
}


export async function run(client) {
    const job = JSON.parse(await text(process.stdin));

    use();

    const sdk = await load(client, job);
    const known = client.cases?.(sdk, job) ?? cases;
    const mock = new Mock(job.mock);
    const left = plan(job);
    const calls = await mock.calls(2);

    say({
        client: client.name,
        version: client.version?.(sdk) ?? version(client.package),
        dialect: client.dialect,
    });

    async function worker() {
        for (let next = left.shift(); next; next = left.shift()) {
            const { upstream, name } = next;
            const result = await judge(known[name], {
                client, sdk, mock, upstream, calls, name, nginx: job.nginx,
            });

            say({ upstream, case: name, ...result });
        }
    }

    const workers = { length: client.atOnce ?? AT_ONCE };

    try {
        await Promise.all(Array.from(workers, worker));

    } finally {
        await client.close?.(sdk);
    }

    process.exitCode = 0;
}
