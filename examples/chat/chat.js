// The chat page: what the reader does, and what is asked for it.  One answer
// at a time.  How a model is asked is in ask.js, what is kept in store.js,
// what an answer looks like in view.js, what is said about it in words.js.

import { byEventSource, byFetch } from "./ask.js";
import { emptyAnswer, load, messages, save, SETTINGS } from "./store.js";
import { ExchangeView } from "./view.js";
import { ended } from "./words.js";

const WAYS = { fetch: byFetch, eventsource: byEventSource };

// how near to its end the log is read at its end, in pixels, and how often
// an answer is kept while it comes, in milliseconds
const NEAR = 40;
const KEEP = 500;

const byId = (id) => document.getElementById(id);
const [form, log, message, send, stop, status, settings, retry] = ["form",
    "log", "message", "send", "stop", "status", "settings", "retry"].map(byId);

let conversation = load();
let views = [];
let asking = null;          // the AbortController of the answer that comes
let leaving = false;        // the page goes away: what fails now is no news
let kept = 0;
let following = true;       // the reader was last seen at the end


function keep() {
    kept = performance.now();

    if (!leaving && !save(conversation)) {
        byId("unkept").hidden = false;
    }
}


function atEnd() {
    return log.scrollHeight - log.clientHeight - log.scrollTop < NEAR;
}


function goToEnd() {
    log.scrollTop = log.scrollHeight;
}


// Changes the log by that function, and stays at its end if the reader is
// there.

function change(how) {
    const stay = atEnd();

    how();

    if (stay) {
        goToEnd();
    }
}


function busy(is) {
    send.hidden = is;
    stop.hidden = !is;
    retry.remove();
    retry.hidden = is || views.length === 0;

    if (!retry.hidden) {
        views.at(-1).offer(retry);
    }
}


// What comes is put on the page once in a frame.

class Incoming {
    #sent = performance.now();
    #text = "";
    #reasoning = "";
    #frame = 0;
    #answer;
    #view;

    constructor({ answer }, view) {
        this.#answer = answer;
        this.#view = view;
    }

    take({ text, reasoning, ...said }) {
        Object.assign(this.#answer, said);

        if (text !== undefined || reasoning !== undefined) {
            this.#piece(text ?? "", reasoning ?? "");
        }
    }

    #piece(text, reasoning) {
        const answer = this.#answer;
        const now = performance.now() - this.#sent;

        answer.ttft ??= now;
        answer.span = now - answer.ttft;
        answer.chunks++;
        answer.text += text;
        answer.reasoning += reasoning;
        this.#text += text;
        this.#reasoning += reasoning;
        this.#frame ||= requestAnimationFrame(() => this.show());

        if (performance.now() - kept > KEEP) {
            keep();
        }
    }

    show() {
        cancelAnimationFrame(this.#frame);
        this.#frame = 0;

        change(() => {
            if (this.#reasoning !== "") {
                this.#view.reason(this.#reasoning);
            }

            if (this.#text !== "") {
                this.#view.say(this.#text);
            }
        });

        this.#text = "";
        this.#reasoning = "";

        if (asking) {
            say("The answer is coming …");
        }
    }
}


// A live region that is set to what it says already would speak again.

function say(words) {
    if (status.textContent !== words) {
        status.textContent = words;
    }
}


// asks the last question of the conversation

async function ask(view) {
    const exchange = conversation.exchanges.at(-1);
    const { answer } = exchange;
    const { model } = conversation.settings;
    const incoming = new Incoming(exchange, view);
    const control = new AbortController();

    asking = control;
    busy(true);
    say("Waiting for the answer …");
    keep();

    try {
        await WAYS[answer.way]({ model, messages: messages(conversation) },
            (said) => incoming.take(said), control.signal);
        answer.state = "done";

    } catch (problem) {
        answer.state = control.signal.aborted ? "stopped" : "error";

        if (answer.state === "error") {
            const { message, code = null, status = null } = problem;

            answer.problem = { message, code, status };
        }
    }

    // a new conversation has begun, or the page has gone
    if (asking !== control || leaving) {
        return;
    }

    asking = null;
    incoming.show();
    change(() => {
        view.end(answer, true);
        busy(false);
    });
    say(ended(answer));
    keep();
}


function begin(question) {
    const view = new ExchangeView(log, question);

    conversation.exchanges.push({ question,
        answer: emptyAnswer(conversation.settings.way) });
    views.push(view);
    goToEnd();
    ask(view);
}


function again() {
    const last = conversation.exchanges.at(-1);

    last.answer = emptyAnswer(conversation.settings.way);
    views.at(-1).clear();
    message.focus();
    ask(views.at(-1));
}


function halt() {
    asking?.abort();
    message.focus();
}


function forget() {
    const control = asking;

    asking = null;
    control?.abort();
    conversation = { ...conversation, exchanges: [] };
    views = [];
    log.replaceChildren();
    busy(false);
    say("");
    keep();
    message.focus();
}


// the fields as they are set, and what that means for a question

function showSettings() {
    const { way, model, system } = conversation.settings;

    settings.elements.way.value = way;
    settings.elements.model.value = model;
    settings.elements.system.value = system;
    byId("alone").hidden = way !== "eventsource";
    byId("chosen").textContent = way === "eventsource" ? "EventSource"
        : `fetch, ${model}`;
}


settings.addEventListener("change", () => {
    const { way, model, system } = settings.elements;

    conversation.settings = { way: way.value,
        model: model.value.trim() || SETTINGS.model, system: system.value };
    showSettings();
    keep();
});

// Enter in a field is no question
settings.addEventListener("submit", (event) => event.preventDefault());

form.addEventListener("submit", (event) => {
    const question = message.value.trim();

    event.preventDefault();

    if (question !== "" && !asking) {
        message.value = "";
        begin(question);
    }

    message.focus();
});

message.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
    }
});

document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && asking && !event.isComposing) {
        event.preventDefault();
        halt();
    }
});

// A phone's keyboard and the settings take room.  What scrolls before the new
// size was seen here is the browser, and not the reader.

const sizeOf = (box) => `${box.clientWidth} ${box.clientHeight}`;
let size = sizeOf(log);

log.addEventListener("scroll", () => {
    if (sizeOf(log) === size) {
        following = atEnd();
    }
});

new ResizeObserver(() => {
    size = sizeOf(log);

    if (following) {
        goToEnd();
    }
}).observe(log);

stop.addEventListener("click", halt);
retry.addEventListener("click", again);
byId("new").addEventListener("click", forget);

window.addEventListener("pagehide", () => {
    keep();
    leaving = true;
});

// a page that comes back as it was left: what was kept is newer
window.addEventListener("pageshow", (event) => {
    if (event.persisted) {
        location.reload();
    }
});


showSettings();

for (const { question, answer } of conversation.exchanges) {
    const view = new ExchangeView(log, question);

    view.restore(answer);
    views.push(view);
}

busy(false);
goToEnd();
