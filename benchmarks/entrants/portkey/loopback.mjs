// Keeps Portkey's gateway on the loopback interface: it listens on all
// addresses and has no option for another.  It runs once, at the start, and
// must never touch a request or an answer.

import http from 'node:http';

const listen = http.Server.prototype.listen;

http.Server.prototype.listen = function (port, host, ready) {
    return listen.call(this, { port, host: '127.0.0.1' }, ready);
};
