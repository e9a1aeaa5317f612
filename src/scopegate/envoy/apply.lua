-- Does to a request what the policy service answered. Runs on routes with a policy only, unless the
-- answer was a yes that changes nothing but headers.
--
-- Nothing gets past this filter that was not decided: that is asked first, and every fault below
-- ends in a refusal. The headers of the answer are described in ir/policy_dialogue.py.

-- What clients send under this name is gone on arrival.
local function is_decided(handle)
  local decided = handle:headers():get("x-scopegate-decided")
  return decided == "1" or decided == "2"
end

local function take(headers, name)
  local value = headers:get(name)
  if value ~= nil then
    headers:remove(name)
  end
  return value
end

-- The parts of `text` that are not in the ranges "start-end[,start-end]": rising, end excluded.
local function without(text, ranges)
  local kept, from = {}, 0
  for range in string.gmatch(ranges .. ",", "([^,]*),") do
    local first, last = string.match(range, "^(%d+)%-(%d+)$")
    first, last = tonumber(first), tonumber(last)
    assert(first and from <= first and first <= last and last <= #text, "bad range")
    kept[#kept + 1] = string.sub(text, from + 1, first)
    from = last
  end
  kept[#kept + 1] = string.sub(text, from + 1)
  return table.concat(kept)
end

local function set_body(handle, change)
  local body = handle:body()
  if body == nil then
    return
  end
  local size = body:setBytes(change(body:getBytes(0, body:length())))
  handle:headers():replace("content-length", size)
end

local function apply(handle)
  local sent = handle:headers()
  local query = take(sent, "x-scopegate-query")
  local method = take(sent, "x-scopegate-method")
  local body = take(sent, "x-scopegate-body")
  local ranges = take(sent, "x-scopegate-body-cut")
  if body ~= nil then
    assert(body == "drop", "bad body")
    set_body(handle, function() return "" end)
  elseif ranges ~= nil then
    set_body(handle, function(text) return without(text, ranges) end)
  end
  local headers = handle:headers() -- anew: waiting for the body ends the life of `sent`
  if body ~= nil then
    headers:remove("content-type")
  end
  if method ~= nil then
    headers:replace(":method", method)
  end
  if query ~= nil then
    assert(string.sub(query, 1, 1) == "?", "bad query")
    local path = string.match(headers:get(":path"), "^[^?]*")
    headers:replace(":path", query == "?" and path or path .. query)
  end
end

local function refuse(handle, status, reason)
  local id = handle:headers():get("x-kong-request-id") or ""
  handle:respond(
    { [":status"] = tostring(status), ["content-type"] = "application/json; charset=utf-8" },
    '{\n  "message":"An unexpected error occurred",\n  "reason":"' .. reason
      .. '",\n  "request_id":"' .. id .. '"\n}'
  )
end

function envoy_on_request(handle)
  local asked, decided = pcall(is_decided, handle)
  if not asked or not decided then
    refuse(handle, 503, "policy_undecided")
    return
  end
  local applied, fault = pcall(apply, handle)
  if not applied then
    handle:logErr("the answer of the policy service cannot be applied: " .. tostring(fault))
    refuse(handle, 500, "policy_answer_broken")
  end
end
