-- The requests of bench/collect.py, the same for every server: an event of 300 bytes, each with a row
-- key and a time of its own. Fixed widths, so that the head is made once.

local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

local BODY = 300
local FORM = '{"row_key":"%03d-%016d","user_id":"user-%06d","timestamp":%013d,' ..
    '"url":"https://shop.example/products/%04d","country":"Germany","city":"Cologne",' ..
    '"browser":"Firefox","os":"Linux","device":"Other"%s}'
local count, head, start, padding = 0, nil, nil, ""

function init(_)
    start = 1772359200000 + number
    padding = string.rep(" ", BODY - #FORM:format(0, 0, 0, start, 0, ""))
    head = "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" ..
        "Content-Length: " .. BODY .. "\r\n\r\n"
    math.randomseed(number + 1)
end

function request()
    count = count + 1
    return head .. FORM:format(number, count, math.random(0, 199999), start + count,
        math.random(0, 999), padding)
end

-- The last line is for the benchmark to read. wrk counts microseconds, and every status above 399
-- as an error.
function done(summary, latency, _)
    local errors = summary.errors
    io.write(string.format(
        '{"answers":%d,"failed":%d,"seconds":%.6f,"p50":%.3f,"p99":%.3f}\n', summary.requests,
        errors.status + errors.connect + errors.read + errors.write + errors.timeout,
        summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
