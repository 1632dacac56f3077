'use strict';

// An answer of an OpenAI provider, as it passes, in the form of
// llm_stream_client simple:
//
//     data: {"content":"...","done":false}
//     data: {"done":true}
//     data: {"error":"...","code":"...","done":true}
//
// It must give the same for every cut of the bytes, keep no more of a stream
// than the line that is not complete yet, and hold nothing back.

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


class SimpleFilter {

    constructor() {
        this.rest = '';
        this.done = false;
    }

    // What the lines say that this text completes.  The text is of whole
    // characters.

    feed(text) {
        let from = 0;
        let to = text.indexOf('\n');
        let out = '';

        // looked for in the new text only: long lines come in many pieces
        if (to < 0) {
            this.rest += text;
            return out;
        }

        if (this.rest !== '') {
            const whole = this.rest + text.slice(0, to);

            this.rest = '';
            out = this.line(whole, 0, whole.length);
            from = to + 1;
            to = text.indexOf('\n', from);
        }

        while (to >= 0 && !this.done) {
            if (to > from) {
                out += this.line(text, from, to);
            }

            from = to + 1;
            to = text.indexOf('\n', from);
        }

        this.rest = text.slice(from);

        return out;
    }

    end() {
        return this.done ? '' : this.failed('The provider closed the stream '
            + 'before it was finished.', 'upstream_truncated');
    }

    failed(message, code) {
        this.done = true;
        return failed(message, code);
    }

    // One line, text[from .. to) without its LF.

    line(text, from, to) {
        if (text.charCodeAt(to - 1) === 13) {
            to--;
        }

        if (!text.startsWith('data:', from)) {
            return '';
        }

        from += text.charCodeAt(from + 5) === 32 ? 6 : 5;

        return this.rewrite(text.slice(from, to));
    }

    rewrite(data) {
        let chunk;

        if (data === '[DONE]') {
            this.done = true;
            return 'data: {"done":true}\n\n';
        }

        try {
            chunk = JSON.parse(data);
        } catch {
            chunk = null;
        }

        if (chunk === null || typeof chunk !== 'object') {
            return this.failed('The provider sent an event that cannot be '
                + 'read.', 'upstream_invalid_event');
        }

        if (chunk.error) {
            this.done = true;
            return failedUpstream(chunk.error);
        }

        return Array.isArray(chunk.choices) ? said(chunk.choices) : '';
    }
}


function said(choices) {
    let out = '';

    for (const choice of choices) {
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


module.exports = SimpleFilter;
