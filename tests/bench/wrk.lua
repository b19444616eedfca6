-- SPDX-License-Identifier: MIT
-- What wrk sends in a row of the benchmark, and its result as one line of JSON.
--
-- wrk ... -s wrk.lua URL -- plain|browser|upload [BODY_BYTES]
-- Only fields of the table `wrk` are set, before the request is made once: no Lua runs per request.

-- What Chrome sends for a page of a shop where one is logged in.
local browser_headers = {
    ["Connection"] = "keep-alive",
    ["sec-ch-ua"] = '"Chromium";v="126", "Google Chrome";v="126", "Not-A.Brand";v="99"',
    ["sec-ch-ua-mobile"] = "?0",
    ["sec-ch-ua-platform"] = '"Linux"',
    ["Upgrade-Insecure-Requests"] = "1",
    ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) " ..
        "Chrome/126.0.0.0 Safari/537.36",
    ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp," ..
        "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    ["Sec-Fetch-Site"] = "same-origin",
    ["Sec-Fetch-Mode"] = "navigate",
    ["Sec-Fetch-User"] = "?1",
    ["Sec-Fetch-Dest"] = "document",
    ["Referer"] = "https://shop.example/catalogue?category=garden&sort=price&page=3",
    ["Accept-Encoding"] = "gzip, deflate, br, zstd",
    ["Accept-Language"] = "en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7",
    ["Cache-Control"] = "max-age=0",
    ["Cookie"] = "_ga=GA1.2.1407294183.1718000000; _gid=GA1.2.998812345.1718000001; " ..
        "session=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3j; " ..
        "cart=8f14e45fceea167a5a36dedd4bea2543; theme=light; consent=necessary%2Cstatistics",
}

function init(args)
    if args[1] == "browser" then
        for name, value in pairs(browser_headers) do
            wrk.headers[name] = value
        end
    elseif args[1] == "upload" then
        wrk.method = "POST"
        wrk.headers["Content-Type"] = "application/octet-stream"
        wrk.body = string.rep("x", tonumber(args[2]))
    end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'result {"requests": %d, "seconds": %.6f, "bytes": %.0f, "p50_us": %.0f, ' ..
        '"p99_us": %.0f, "errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d, ' ..
        '"status": %d}}\n',
        summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50),
        latency:percentile(99), errors.connect, errors.read, errors.write, errors.timeout,
        errors.status))
end
