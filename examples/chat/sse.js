// Server-sent events from bytes, as the HTML standard reads them, wherever
// the bytes were cut.  It must never wait for more than an event needs: one
// is handed on with the line end that completes it.

export class EventStream {
    #decoder = new TextDecoder();
    #line = "";             // the beginning of a line that has no end yet
    #afterCr = false;       // a LF that comes now belongs to the line before
    #type = "";
    #data = [];

    // the events that these bytes complete: { type, data }

    push(bytes) {
        const events = [];
        let text = this.#decoder.decode(bytes, { stream: true });

        if (text === "") {
            return events;
        }

        if (this.#afterCr && text.startsWith("\n")) {
            text = text.slice(1);
        }

        this.#afterCr = text.endsWith("\r");

        const lines = text.split(/\r\n|\r|\n/);

        lines[0] = this.#line + lines[0];
        this.#line = lines.pop();

        for (const line of lines) {
            if (line === "") {
                this.#end(events);

            } else {
                this.#field(line);
            }
        }

        return events;
    }

    // a comment, such as a heartbeat, is a field without a name

    #field(line) {
        const colon = line.indexOf(":");
        const name = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(colon + 1);
        const bare = value.startsWith(" ") ? value.slice(1) : value;

        if (name === "data") {
            this.#data.push(bare);

        } else if (name === "event") {
            this.#type = bare;
        }
    }

    #end(events) {
        if (this.#data.length > 0) {
            events.push({ type: this.#type || "message",
                data: this.#data.join("\n") });
        }

        this.#type = "";
        this.#data = [];
    }
}
