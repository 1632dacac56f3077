// The conversation and the settings, kept in this browser.  An answer is
//
//   way, text, reasoning      "fetch" or "eventsource", and what came
//   state                     "open", "done", "stopped", "error" or "broken"
//   model, finish, usage      as it was said, or null
//   ttft, span, chunks        milliseconds to the first piece, and from there
//                             to the last one; pieces
//   problem                   { message, code, status }, or null
//
// What is found is of an older page, or of nobody: it is used only if it has
// this form.

const KEY = "llm-chat";

export const SETTINGS = { way: "fetch", model: "gpt-4o-mini", system: "" };


export function emptyAnswer(way) {
    return { way, text: "", reasoning: "", state: "open", model: null,
        finish: null, usage: null, ttft: null, span: null, chunks: 0,
        problem: null };
}


function isExchange(value) {
    const { question, answer } = value;

    return [question, answer.text, answer.reasoning, answer.state].every(
        (member) => typeof member === "string")
        && (answer.state !== "error"
            || typeof answer.problem.message === "string");
}


// An answer that was still open broke off when the page went away.

function asFound({ question, answer }) {
    const found = { ...emptyAnswer("fetch"), ...answer };

    if (found.state === "open") {
        found.state = "broken";
    }

    return { question, answer: found };
}


export function load() {
    try {
        const { settings, exchanges } = JSON.parse(localStorage.getItem(KEY));

        if (["fetch", "eventsource"].includes(settings.way)
            && exchanges.every(isExchange))
        {
            return { settings: { ...SETTINGS, ...settings },
                exchanges: exchanges.map(asFound) };
        }

    } catch {
        // nothing there, or nothing that can be used
    }

    return { settings: { ...SETTINGS }, exchanges: [] };
}


// false if the browser has no room, or does not want to

export function save(conversation) {
    try {
        localStorage.setItem(KEY, JSON.stringify(conversation));
        return true;

    } catch {
        return false;
    }
}


// What a model is asked: the conversation, its last question at the end.  A
// question that got no answer is not asked again.

export function messages({ settings, exchanges }) {
    const list = settings.system === "" ? []
        : [{ role: "system", content: settings.system }];
    const last = exchanges.at(-1);

    for (const { question, answer } of exchanges.slice(0, -1)) {
        if (answer.text !== "") {
            list.push({ role: "user", content: question },
                { role: "assistant", content: answer.text });
        }
    }

    list.push({ role: "user", content: last.question });

    return list;
}
