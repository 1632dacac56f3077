// Streams of the mock that go on only when they are told to: the test decides
// when an event leaves, and knows how a stream ended.  It must never wait for
// a time to pass; every wait is for a condition, and the limit is for a fault.


export class Lockstep {
    constructor(address, limit) {
        this.address = address;
        this.limit = limit;
    }

    async #ask(path, method = "GET", body = undefined) {
        const answer = await fetch(this.address + path, { method, body });

        if (!answer.ok) {
            throw new Error(`the mock says ${answer.status} to ${path}`);
        }

        return answer.json();
    }

    // until the stream of that id has sent n events; there must be a request
    // for it, or there will be

    events(id, n) {
        return this.#ask(`/mock/wait?id=${id}&events=${n}`
            + `&timeout=${this.limit}`);
    }

    // allows n more

    ack(id, n) {
        return this.#ask(`/mock/ack?id=${id}&n=${n}`, "POST");
    }

    // how it ended: "complete", "aborted" or "fault"

    async end(id) {
        const { stream } = await this.#ask(`/mock/wait?id=${id}&end=1`
            + `&timeout=${this.limit}`);

        return stream.end;
    }

    // options for requests that cannot say theirs

    defaults(options) {
        return this.#ask("/mock/defaults", "POST", options);
    }

    // the last n requests, the newest last

    requests(n) {
        return this.#ask(`/mock/requests?last=${n}`);
    }

    // one answer that is asked for at the mock itself

    async completion(options, content) {
        const answer = await fetch(`${this.address}/v1/chat/completions`, {
            method: "POST", headers: { "X-Mock": options },
            body: JSON.stringify({ model: "m",
                messages: [{ role: "user", content }] }) });

        return answer.json();
    }
}
