-- Takes the gateway's own cookies out of what the upstream gets. Runs on every route, where a
-- cookie holds one of the marks (filters.py).
--
-- COOKIES stands before this text, written by filters.py: by name, how the values begin that the
-- gateway sealed (`marks`), and the names of the cookies that hold the rest of one (`rest`). A
-- cookie of the same name that is not sealed so is an application's, and stays.

-- More than any browser keeps for a site; to go through them all would be somebody's work for us.
local PIECES_LIMIT = 1000

-- Neither pattern walks a text more than twice, however many blanks it has.
local function trimmed(text)
  return string.find(text, "^%s*$") and "" or string.match(text, "^%s*(.*%S)")
end

-- A sealed value begins with the mark of its key; where it may go on in other cookies, behind the
-- number of all of them.
local function is_sealed(value, cookie)
  for _, mark in ipairs(cookie.marks) do
    local start = string.sub(value, 1, #mark + 1)
    if string.sub(start, 1, #mark) == mark or string.sub(start, 2) == mark then
      return true
    end
  end
  return false
end

-- The names to take out; nil when there are none. A comma joined two headers.
local function ours(header)
  local gone = nil
  for piece in string.gmatch(header, "[^;,]+") do
    local name, value = string.match(piece, "^([^=]*)=(.*)$")
    local cookie = name and COOKIES[trimmed(name)]
    if cookie and is_sealed(trimmed(value), cookie) then
      gone = gone or {}
      gone[trimmed(name)] = true
      for _, other in ipairs(cookie.rest) do
        gone[other] = true
      end
    end
  end
  return gone
end

local function is_endless(header)
  local _, count = string.gsub(header, "[;,]", "%0")
  return count > PIECES_LIMIT
end

-- All other cookies, byte for byte.
local function without(header, gone)
  local kept, removed = {}, false
  for separator, piece in string.gmatch(";" .. header, "([;,])([^;,]*)") do
    if gone[trimmed(string.match(piece, "^[^=]*"))] then
      removed = true
    else
      if #kept == 0 then
        kept[1] = removed and string.match(piece, "^%s*(.*)$") or piece
      else
        kept[#kept + 1] = (removed and ";" or separator) .. piece
      end
      removed = false
    end
  end
  return table.concat(kept)
end

local function strip(headers)
  local header = headers:get("cookie")
  if not header then
    return
  end
  if is_endless(header) then
    headers:remove("cookie")
    return
  end
  local gone = ours(header)
  if not gone then
    return
  end
  local left = without(header, gone)
  headers:remove("cookie")
  if string.find(left, "[^ \t;,]") then
    headers:add("cookie", left)
  end
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local stripped, fault = pcall(strip, headers)
  if not stripped then
    handle:logErr("cookies cannot be told apart, none goes on: " .. tostring(fault))
    headers:remove("cookie")
  end
end
