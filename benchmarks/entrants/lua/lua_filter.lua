-- An answer of an OpenAI provider, as it passes, in the form of
-- llm_stream_client simple:
--
--     data: {"content":"...","done":false}
--     data: {"done":true}
--     data: {"error":"...","code":"...","done":true}
--
-- It must give the same for every cut of the bytes, keep no more of a stream
-- than the line that is not complete yet, and hold nothing back.
--
-- A body filter never yields, so one table for output serves all requests of
-- a worker; a stream's own state is the pieces of its unfinished line.

local cjson = require "cjson.safe"

local decode, encode = cjson.decode, cjson.encode
local byte, find, sub = string.byte, string.find, string.sub
local concat = table.concat
local type = type
local ngx = ngx

local LF, CR, SPACE = 10, 13, 32
local BEFORE, AFTER = 'data: {"content":', ',"done":false}\n\n'
local DONE = 'data: {"done":true}\n\n'

local _M = {}
local out = {}


local function failed(message, code)
    return 'data: {"error":' .. encode(message) .. ',"code":' .. encode(code)
        .. ',"done":true}\n\n'
end


local function failed_upstream(err)
    local message, code = err, nil

    if type(err) == "table" then
        message, code = err.message, err.code

        -- a null of JSON is true in Lua
        if type(code) ~= "string" then
            code = err.type
        end
    end

    return failed(type(message) == "string" and message or "",
        type(code) == "string" and code or "upstream_error")
end


-- Writes what one event says behind out[n].  The new n, and true if nothing
-- may follow.

local function rewrite(data, n)
    if data == "[DONE]" then
        out[n + 1] = DONE
        return n + 1, true
    end

    local chunk = decode(data)

    if type(chunk) ~= "table" then
        out[n + 1] = failed("The provider sent an event that cannot be read.",
            "upstream_invalid_event")
        return n + 1, true
    end

    local err = chunk.error

    if type(err) == "table" or type(err) == "string" then
        out[n + 1] = failed_upstream(err)
        return n + 1, true
    end

    local choices = chunk.choices

    if type(choices) ~= "table" then
        return n
    end

    for i = 1, #choices do
        local choice = choices[i]
        local delta = choice.delta

        if choice.index == 0 and type(delta) == "table" then
            local text = delta.content

            if type(text) ~= "string" or text == "" then
                text = delta.refusal
            end

            if type(text) == "string" and text ~= "" then
                n = n + 1
                out[n] = BEFORE .. encode(text) .. AFTER
            end
        end
    end

    return n
end


-- One line, s[from .. to] without its LF.

local function line(s, from, to, n)
    if byte(s, to) == CR then
        to = to - 1
    end

    if from > to or sub(s, from, from + 4) ~= "data:" then
        return n
    end

    from = from + 5

    if byte(s, from) == SPACE then
        from = from + 1
    end

    return rewrite(sub(s, from, to), n)
end


-- All lines that this piece completes; what is left goes to the state.

local function feed(state, piece)
    local from, n, done = 1, 0, false
    local to = find(piece, "\n", 1, true)

    if to and state.n > 0 then
        state.n = state.n + 1
        state[state.n] = sub(piece, 1, to - 1)

        local whole = concat(state, "", 1, state.n)

        state.n = 0
        n, done = line(whole, 1, #whole, n)

        from = to + 1
        to = find(piece, "\n", from, true)
    end

    while to and not done do
        if to > from then
            n, done = line(piece, from, to - 1, n)
        end

        from = to + 1

        -- the empty line behind an event
        if byte(piece, from) == LF then
            from = from + 1
        end

        to = find(piece, "\n", from, true)
    end

    if done then
        state.done = true

    elseif from <= #piece then
        state.n = state.n + 1
        state[state.n] = from == 1 and piece or sub(piece, from)
    end

    return n
end


function _M.header()
    local ctype = ngx.header["Content-Type"]

    if ngx.status ~= 200 or not ctype
        or find(ctype, "text/event-stream", 1, true) ~= 1
    then
        return
    end

    ngx.header["Content-Length"] = nil
    ngx.ctx.simple = { n = 0, done = false }
end


function _M.body()
    local state = ngx.ctx.simple

    if not state then
        return
    end

    local arg = ngx.arg
    local n = 0

    if not state.done then
        n = feed(state, arg[1])

        if arg[2] and not state.done then
            n = n + 1
            out[n] = failed("The provider closed the stream before it was "
                .. "finished.", "upstream_truncated")
        end
    end

    if n == 1 then
        arg[1] = out[1]

    elseif n > 1 then
        arg[1] = concat(out, "", 1, n)

    else
        arg[1] = nil
    end
end


return _M
