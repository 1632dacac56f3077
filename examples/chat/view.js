// One question and its answer on the page.  It shows what it is given, in
// text nodes only, and asks nobody anything.

import { GrowingText } from "./text.js";
import { figures, remark } from "./words.js";


function element(name, className, text = "") {
    const made = document.createElement(name);

    made.className = className;
    made.textContent = text;

    return made;
}


// a speaker's name and what was said

function turn(className, name) {
    const box = element("article", className);

    box.append(element("h2", "", name));

    return box;
}


export class ExchangeView {
    #answer = turn("answer", "Model");
    #box = null;
    #text = null;           // what grows in the box
    #thoughts = null;       // what grows in the reasoning
    #foot = null;

    constructor(log, question) {
        const asked = turn("question", "You");
        const words = element("div", "text");

        words.append(element("p", "", question));
        asked.append(words);
        log.append(asked, this.#answer);
        this.clear();
    }

    // an answer that is asked for once more begins as an empty one

    clear() {
        this.#box = element("div", "text");
        this.#answer.replaceChildren(this.#answer.firstChild, this.#box);
        this.#answer.dataset.state = "open";
        this.#text = new GrowingText(this.#box);
        this.#thoughts = null;
        this.#foot = null;
    }

    reason(piece) {
        if (!this.#thoughts) {
            const folded = element("details", "reasoning");
            const box = element("div", "text");

            folded.append(element("summary", "", "Reasoning"), box);
            this.#thoughts = new GrowingText(box);
            this.#box.before(folded);
        }

        this.#thoughts.add(piece);
    }

    say(piece) {
        this.#text.add(piece);
    }

    // all of it at once, as it was kept

    restore(answer) {
        if (answer.reasoning !== "") {
            this.reason(answer.reasoning);
        }

        this.say(answer.text);
        this.end(answer);
    }

    // live: what went wrong is news

    end(answer, live = false) {
        const said = remark(answer);

        this.#text.finish();
        this.#thoughts?.finish();
        this.#answer.dataset.state = answer.state;

        if (said) {
            this.#remark(said, live);
        }

        this.#foot = element("footer", "");

        for (const [name, words] of figures(answer)) {
            const figure = element("span", "", words);

            figure.dataset.figure = name;
            this.#foot.append(figure);
        }

        this.#answer.append(this.#foot);
    }

    #remark({ words, details, wrong }, live) {
        const box = element("div", wrong ? "remark wrong" : "remark");

        // it is announced when it is filled
        if (wrong && live) {
            box.role = "alert";
        }

        this.#answer.append(box);
        box.append(element("p", "", words));

        if (details) {
            box.append(element("p", "details", details));
        }
    }

    // to ask once more: behind the figures of the last answer

    offer(button) {
        this.#foot.append(button);
    }
}
