// Where the client libraries are.  It makes import("openai") of a file in this
// folder find build/clients/node/node_modules, so that nothing is installed
// in the source tree.  It must never be in the way of another import.

import { readFileSync } from "node:fs";
import { register } from "node:module";

const folder = new URL("../../../build/clients/node/", import.meta.url);
const here = new URL("./", import.meta.url).href;


// the hook, which runs in a thread of its own
export function resolve(name, context, next) {
    const bare = !/^(?:\.|\/|node:|file:|data:)/.test(name);

    if (bare && context.parentURL?.startsWith(here)) {
        context = { ...context, parentURL: new URL("x.mjs", folder).href };
    }

    return next(name, context);
}


export function use() {
    register(import.meta.url);
}


// the version of an installed package
export function version(name) {
    const file = new URL(`node_modules/${name}/package.json`, folder);

    return JSON.parse(readFileSync(file, "utf8")).version;
}
