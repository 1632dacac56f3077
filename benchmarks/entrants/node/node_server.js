'use strict';

// node node_server.js PORT HOST:PORT: a proxy of one provider on Node's own
// http module, nothing else.  Streams go through SimpleFilter, every other
// answer as it is.  A client that leaves takes its request to the provider
// with it; a client that reads slowly makes the provider wait.

const http = require('http');
const SimpleFilter = require('./node_filter.js');

const [port, upstream] = process.argv.slice(2);
const [host, upstreamPort] = upstream.split(':');

const agent = new http.Agent({
    keepAlive: true, maxSockets: Infinity, maxFreeSockets: 1024, noDelay: true
});

// those of one connection, not of the message
const HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'te',
    'trailer', 'transfer-encoding', 'upgrade']);


function endToEnd(headers) {
    const out = {};

    for (const name in headers) {
        if (!HOP.has(name)) {
            out[name] = headers[name];
        }
    }

    return out;
}


function isStream(answer) {
    return answer.statusCode === 200 &&
        (answer.headers['content-type'] || '').startsWith('text/event-stream');
}


// Hands pieces of the provider's answer to the client as they come.

function pass(answer, res, filter) {
    answer.setEncoding('utf8');     // puts cut characters together

    answer.on('data', (text) => {
        if (filter.done) {
            return;
        }

        const out = filter.feed(text);

        if (out !== '' && !res.write(out)) {
            answer.pause();
        }
    });

    res.on('drain', () => answer.resume());
    answer.on('end', () => res.end(filter.end()));

    // the connection broke
    answer.on('error', () => res.end(filter.end()));
}


function answered(answer, res) {
    const headers = endToEnd(answer.headers);

    if (!isStream(answer)) {
        res.writeHead(answer.statusCode, headers);
        answer.on('error', () => res.destroy());
        answer.pipe(res);
        return;
    }

    delete headers['content-length'];
    res.writeHead(200, headers);
    pass(answer, res, new SimpleFilter());
}


function serve(req, res) {
    const headers = endToEnd(req.headers);

    headers.host = upstream;

    const ask = http.request({ agent, host, port: upstreamPort,
        method: req.method, path: req.url, headers });

    ask.on('response', (answer) => answered(answer, res));
    ask.on('error', () => {
        if (!res.headersSent) {
            res.writeHead(502);
            res.end();
        }
    });

    res.on('close', () => {
        if (!res.writableFinished) {
            ask.destroy();
        }
    });

    req.pipe(ask);
}


const server = http.createServer({ noDelay: true, requestTimeout: 0,
    keepAliveTimeout: 600000 }, serve);

server.listen({ port, host: '127.0.0.1', backlog: 4096 });

process.on('SIGTERM', () => process.exit(0));
