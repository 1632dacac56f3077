// What is said about an answer: its figures, how it ended, and what went
// wrong.  Words only; it must never call an answer complete that may not be.

const CUT_SHORT = {
    length: "the limit of tokens was reached",
    content_filter: "a filter of content held back the rest",
};

// milliseconds; pieces that came in less say nothing about a rate
const SPAN = 50;


// A rate is of the pieces behind the first one, and the time that they took.
// Tokens are what usage says; without it there are only pieces.

function speed({ usage, chunks, span }) {
    const tokens = usage?.completion_tokens;
    const known = typeof tokens === "number";
    const n = known ? tokens : chunks;
    const unit = known ? "tokens" : "chunks";
    const list = [];

    if (n > 1 && span >= SPAN) {
        list.push(["rate", `${(1000 * (n - 1) / span).toFixed(1)} ${unit}/s`]);
    }

    list.push(["count", `${n} ${n === 1 ? unit.slice(0, -1) : unit}`]);

    return list;
}


function ending(answer) {
    const { state, finish, way, text } = answer;

    if (state !== "done") {
        return { stopped: "stopped by you", error: text === "" ? "no answer"
            : "truncated", broken: "broken off" }[state] ?? "";
    }

    if (finish in CUT_SHORT) {
        return "truncated";
    }

    if (finish === null) {
        return way === "eventsource" ? "ended, finish reason not said"
            : "complete, finish reason not said";
    }

    return finish === "stop" ? "complete" : `complete (${finish})`;
}


// [name, words] of all that is known

export function figures(answer) {
    const list = answer.ttft === null ? []
        : [["model", answer.model ?? "model not said"]];

    if (answer.state !== "open") {
        list.push(["ending", ending(answer)]);
    }

    if (answer.ttft !== null) {
        list.push(["ttft", `TTFT ${Math.round(answer.ttft)} ms`],
            ...speed(answer));
    }

    return list;
}


// null, or { words, details, wrong }: what a reader must know

export function remark(answer) {
    const { state, finish, text, problem } = answer;
    const not = "This answer is not complete";

    if (state === "error") {
        const details = [problem.status && `HTTP ${problem.status}`,
            problem.code && String(problem.code)].filter(Boolean);

        return { words: text === "" ? problem.message
            : `${not}. ${problem.message}`, details: details.join(", "),
        wrong: true };
    }

    if (state === "broken") {
        return { words: `${not}: the page was closed or loaded again before `
            + "its end.", wrong: true };
    }

    if (state === "stopped") {
        return { words: text === "" ? "Stopped before an answer came."
            : `Stopped. ${not}.`, wrong: false };
    }

    if (state === "done" && finish in CUT_SHORT) {
        return { words: `${not}: ${CUT_SHORT[finish]}.`, wrong: true };
    }

    return state === "done" && text === ""
        ? { words: "The answer is empty.", wrong: false } : null;
}


// what the status line says at the end

export function ended(answer) {
    const how = ending(answer);

    return how === "no answer" ? "There is no answer."
        : `The answer has ended: ${how}.`;
}
