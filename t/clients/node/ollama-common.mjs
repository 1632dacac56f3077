// What chat and generate of Ollama's library have in common: how it is set
// up, stopped, counts, and raises.


export function open(sdk, url) {
    return new sdk.Ollama({ host: url });
}


// The library has no signal, but each stream has abort().
export async function* stoppable(stream, signal) {
    const stop = () => stream.abort();

    signal.addEventListener("abort", stop);

    try {
        yield* stream;

    } finally {
        signal.removeEventListener("abort", stop);
    }
}


export function counted(chunk) {
    return chunk.done && {
        input: chunk.prompt_eval_count, output: chunk.eval_count,
    };
}


// A status is a ResponseError, which is not exported; an error in a stream,
// and a stream without a line that is done, is a plain Error.
export function failed(sdk, error) {
    if (error?.name === "ResponseError") {
        return error.status_code;
    }

    return error?.constructor === Error;
}
