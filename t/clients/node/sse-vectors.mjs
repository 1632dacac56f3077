// A parser of server-sent events, over t/vectors/sse: each vector whole, byte
// by byte, cut in two at every place, and cut where the vector says.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

const VECTORS = new URL("../../vectors/sse/", import.meta.url);

// cut in two everywhere only up to so many bytes: the time is their square
const SHORT = 3000;


// The file of a page, which is no package: Node takes it by its text.

async function parserOf(file) {
    const text = readFileSync(file, "utf8");

    return (await import("data:text/javascript,"
        + encodeURIComponent(text))).EventStream;
}


function* cuts(bytes, { splits = [] }) {
    yield [];
    yield Array.from(bytes.keys()).slice(1);
    yield* splits;

    for (let i = 1; i < bytes.length && bytes.length <= SHORT; i++) {
        yield [i];
    }
}


function events(EventStream, bytes, at) {
    const stream = new EventStream();
    const ends = [...at, bytes.length];

    return ends.flatMap((end, i) =>
        stream.push(bytes.subarray(i === 0 ? 0 : ends[i - 1], end)));
}


// how many runs there were

export async function overVectors(file) {
    const EventStream = await parserOf(file);
    let runs = 0;

    for (const name of readdirSync(VECTORS).sort()) {
        if (!name.endsWith(".json")) {
            continue;
        }

        const vector = JSON.parse(readFileSync(new URL(name, VECTORS)));
        const bytes = Buffer.from(vector.input_b64, "base64");
        const wanted = vector.events.map(({ event, data }) =>
            ({ type: event, data }));

        for (const at of cuts(bytes, vector)) {
            assert.deepEqual(events(EventStream, bytes, at), wanted,
                `${name}, cut at ${at.slice(0, 8)}`);
            runs++;
        }
    }

    return runs;
}
