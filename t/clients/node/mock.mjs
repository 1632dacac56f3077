// The mock provider's control side, and what it says when it is asked
// directly: the truth that the clients' answers are compared with.  It must
// never go through nginx.


export class Mock {
    constructor(address) {
        this.address = address;
    }

    async #json(path) {
        const answer = await fetch(this.address + path);

        if (!answer.ok) {
            throw new Error(`the mock says ${answer.status} to ${path}`);
        }

        return answer.json();
    }

    // The two calls that tools=N makes, as name and arguments.
    async calls(n) {
        const answer = await this.#chat(`tools=${n}`, "any");

        return answer.choices[0].message.tool_calls.map((call) => ({
            name: call.function.name,
            args: JSON.parse(call.function.arguments),
        }));
    }

    async #chat(options, content) {
        const answer = await fetch(`${this.address}/v1/chat/completions`, {
            method: "POST",
            headers: { "X-Mock": options, "Content-Type": "application/json" },
            body: JSON.stringify({
                model: "m", messages: [{ role: "user", content }],
            }),
        });

        if (!answer.ok) {
            throw new Error(`the mock says ${answer.status}`);
        }

        return answer.json();
    }

    // The body of the newest request whose options have this id.
    async bodyOf(id) {
        const requests = await this.#json("/mock/requests?last=256");
        const found = requests.filter(({ headers }) => headers.some(
            ([name, value]) => name.toLowerCase() === "x-mock"
                && value.split(",").includes(`id=${id}`)));

        return found.at(-1)?.body;
    }

    // How the stream of that id ended: it has, or will within the limit.
    async end(id, milliseconds) {
        const { stream } = await this.#json(
            `/mock/wait?id=${id}&end=1&timeout=${milliseconds}`);

        return stream.end;
    }
}
