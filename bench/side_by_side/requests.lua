-- wrk -s requests.lua URL -- FILE [once]: each request carries the next line of the file as a
-- header; an empty line stands for no header. `once`: the load ends when as many were answered as
-- the list has lines. An answer that is no 2xx is an error, redirects too.
local requests, at, is_once, answered = {}, 0, false, 0
failures = 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local name, value = string.match(line, "^([^:]+): (.*)$")
    requests[#requests + 1] = wrk.format("GET", nil, name and { [name] = value } or {})
  end
  is_once = arguments[2] == "once"
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function response(status)
  if status < 200 or status > 299 then
    failures = failures + 1
  end
  answered = answered + 1
  if is_once and answered == #requests then
    wrk.thread:stop()
  end
end

local threads = {}
function setup(thread)
  threads[#threads + 1] = thread
end

function done(summary, latency)
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout
  for _, thread in ipairs(threads) do
    errors = errors + thread:get("failures")
  end
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, errors, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
