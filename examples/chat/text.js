// Text that grows, as paragraphs and blocks of code (between lines that
// begin with ```), piece by piece.  A piece costs what it is long, not what
// came before.  What it is given only ever becomes text of the page, never
// a part of it.

// the beginning of a line that may still become empty, or a fence
const UNDECIDED = /^\s*(?:`{0,2}|```[^`]*)$/;
const FENCE = /^\s*```[^`]*$/;
const FENCE_LENGTH = 100;


export class GrowingText {
    #box;
    #line = "";         // what of the last line is not in the page yet
    #begun = false;     // its beginning is
    #block = null;      // the text of the paragraph or code that goes on
    #code = false;

    constructor(box) {
        this.#box = box;
    }

    add(piece) {
        const lines = piece.split("\n");

        this.#line += lines.shift();

        for (const next of lines) {
            this.#end();
            this.#line = next;
        }

        if (this.#begun || this.#line.length > FENCE_LENGTH
            || !UNDECIDED.test(this.#line))
        {
            this.#show();
        }
    }

    // the last line is one, too

    finish() {
        if (this.#line !== "") {
            this.#end();
        }
    }

    #end() {
        const fence = !this.#begun && this.#line.length <= FENCE_LENGTH
            && FENCE.test(this.#line);

        if (fence) {
            this.#block = null;
            this.#code = !this.#code;

        } else if (this.#begun || this.#code || this.#line.trim() !== "") {
            this.#show();

        } else {
            this.#block = null;
        }

        this.#line = "";
        this.#begun = false;
    }

    // what is not in the page yet, behind a line end if the block has a line
    // before this one

    #show() {
        if (!this.#block) {
            this.#block = this.#open();

        } else if (!this.#begun) {
            this.#block.appendData("\n");
        }

        this.#block.appendData(this.#line);
        this.#line = "";
        this.#begun = true;
    }

    #open() {
        const text = document.createTextNode("");
        const block = document.createElement(this.#code ? "pre" : "p");

        if (this.#code) {
            const code = document.createElement("code");

            code.append(text);
            block.append(code);

            // a long line is scrolled to with the keyboard, too
            block.tabIndex = 0;

        } else {
            block.append(text);
        }

        this.#box.append(block);

        return text;
    }
}
