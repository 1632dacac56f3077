// An answer of an OpenAI provider, as it passes, in the form of
// llm_stream_client simple:
//
//     data: {"content":"...","done":false}
//     data: {"done":true}
//     data: {"error":"...","code":"...","done":true}
//
// It must give the same for every cut of the bytes, keep no more of a stream
// than the line that is not complete yet, and hold nothing back.
//
// njs runs this file anew for each request, so its variables are those of one
// stream.  Bytes are looked at as a Buffer: a string of half a character
// would lose it.

const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
const D = 100;

let stream = false;
let done = false;
let rest = null;            // a copy: the bytes themselves are nginx's


function failed(message, code) {
    return 'data: {"error":' + JSON.stringify(message) + ',"code":'
        + JSON.stringify(code) + ',"done":true}\n\n';
}


function failedUpstream(err) {
    const message = typeof err === 'string' ? err : err.message;
    const code = err.code || err.type;

    return failed(typeof message === 'string' ? message : '',
        typeof code === 'string' ? code : 'upstream_error');
}


// What one event says; sets done if nothing may follow.

function rewrite(data) {
    let chunk, out = '';

    if (data === '[DONE]') {
        done = true;
        return 'data: {"done":true}\n\n';
    }

    try {
        chunk = JSON.parse(data);
    } catch (e) {
        chunk = null;
    }

    if (chunk === null || typeof chunk !== 'object') {
        done = true;
        return failed('The provider sent an event that cannot be read.',
            'upstream_invalid_event');
    }

    if (chunk.error) {
        done = true;
        return failedUpstream(chunk.error);
    }

    const choices = chunk.choices;

    if (!Array.isArray(choices)) {
        return '';
    }

    for (let i = 0; i < choices.length; i++) {
        const choice = choices[i];
        const delta = choice.delta;

        if (choice.index === 0 && delta) {
            const text = delta.content || delta.refusal;

            if (typeof text === 'string' && text !== '') {
                out += 'data: {"content":' + JSON.stringify(text)
                    + ',"done":false}\n\n';
            }
        }
    }

    return out;
}


// One line, buf[from .. to) without its LF.

function line(buf, from, to) {
    if (buf[to - 1] === CR) {
        to--;
    }

    // "data:"; no other field of the format begins with d
    if (to - from < 5 || buf[from] !== D || buf[from + 4] !== COLON) {
        return '';
    }

    from += buf[from + 5] === SPACE ? 6 : 5;

    return rewrite(buf.toString('utf8', from, to));
}


function feed(data) {
    let from = 0, out = '';
    let to = data.indexOf(LF);

    if (to >= 0 && rest !== null) {
        const whole = Buffer.concat(rest.concat(data.slice(0, to)));

        rest = null;
        out = line(whole, 0, whole.length);
        from = to + 1;
        to = data.indexOf(LF, from);
    }

    while (to >= 0 && !done) {
        if (to > from) {
            out += line(data, from, to);
        }

        from = to + 1;

        // the empty line behind an event
        if (data[from] === LF) {
            from++;
        }

        if (from >= data.length) {
            return out;
        }

        to = data.indexOf(LF, from);
    }

    if (!done && from < data.length) {
        const copy = Buffer.from(data.slice(from));

        rest === null ? rest = [copy] : rest.push(copy);
    }

    return out;
}


function header(r) {
    const type = r.headersOut['Content-Type'];

    if (r.status !== 200 || !type || !type.startsWith('text/event-stream')) {
        return;
    }

    stream = true;
    delete r.headersOut['Content-Length'];
}


function body(r, data, flags) {
    let out = '';

    if (!stream) {
        r.sendBuffer(data, flags);
        return;
    }

    if (!done) {
        out = feed(data);

        if (flags.last && !done) {
            done = true;
            out += failed('The provider closed the stream before it was '
                + 'finished.', 'upstream_truncated');
        }
    }

    if (out !== '' || flags.last) {
        r.sendBuffer(out, flags);
    }
}


export default { header, body };
