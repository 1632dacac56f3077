// An EventSource as a stream of values: each message, parsed, until the
// reader closes it.  What it raises is what a page would see of an error.
// It must never connect a second time: that would send the prompt again.


// told by the provider's error event, or by EventSource itself
export class Told extends Error {
    constructor(message, status) {
        super(message);
        this.status = status;
    }
}


export async function* messages({ sdk, url }, path, ask, signal) {
    const queue = [];
    const source = new sdk.EventSource(
        `${url}/${path}?message=${encodeURIComponent(ask.prompt)}`);
    let wake = () => {};

    const put = (item) => {
        queue.push(item);
        wake();
    };

    source.onmessage = ({ data }) => put({ data: JSON.parse(data) });
    source.onerror = ({ message, code }) => {
        source.close();
        put({ error: new Told(message ?? "the stream ended", code) });
    };
    const stop = () => {
        source.close();
        put({ error: new Told("closed by the reader") });
    };

    signal.addEventListener("abort", stop);

    try {
        for (;;) {
            const item = queue.shift();

            if (!item) {
                await new Promise((resolve) => {
                    wake = resolve;
                });

            } else if (item.error) {
                throw item.error;

            } else {
                yield item.data;
            }
        }

    } finally {
        signal.removeEventListener("abort", stop);
        source.close();
    }
}


export function open(sdk, url) {
    return { sdk, url };
}


// EventSource tells of a status only its number
export function failed(sdk, error) {
    return error instanceof Told && (error.status ?? true);
}
