-- Takes the gateway's own cookies out of what the upstream gets. Runs on every route, where a
-- cookie holds one of the marks (filters.py).
--
-- COOKIES stands before this text, written by filters.py: by name, how the values begin that the
-- gateway sealed (`marks`), and the names of the cookies that hold the rest of one (`rest`). A
-- cookie of the same name that is not sealed so is an application's, and stays.
--
-- Values are long and their letters mean nothing here: they are stepped over, by plain searches.

-- More than any browser keeps for a site; to go through them all would be somebody's work for us.
local PIECES_LIMIT = 1000
local EQUALS = string.byte("=")

-- A sealed value begins with the mark of its key; where it may go on in other cookies, behind the
-- number of all of them.
local function is_sealed(header, at, cookie)
  for _, mark in ipairs(cookie.marks) do
    local start = string.sub(header, at, at + #mark)
    if string.sub(start, 1, #mark) == mark or string.sub(start, 2) == mark then
      return true
    end
  end
  return false
end

-- Name of the piece between `from` and `to`, and where its value begins, blanks around both left
-- out; a name that is none of ours may be cut short. No blank is looked at more than twice.
local function name_of(header, from, to)
  local start = string.find(header, "%S", from) or to + 1
  local stop = string.find(header, "[%s=;,]", start) or #header + 1
  local name = string.sub(header, start, math.min(stop - 1, to))
  local behind = string.find(header, "%S", stop)
  if not behind or behind > to then
    return name, nil -- no value
  end
  if string.byte(header, behind) ~= EQUALS then
    return "", nil -- a blank within the name, which is none of ours
  end
  return name, string.find(header, "%S", behind + 1)
end

-- Where pieces end, which name each has, and the names to take out (nil: none). A comma joined two
-- headers. nil: there are too many.
local function pieces_of(header)
  local ends, names, gone = {}, {}, nil
  local from, semicolon, comma = 1, 0, 0
  repeat
    if semicolon and semicolon < from then
      semicolon = string.find(header, ";", from, true)
    end
    if comma and comma < from then
      comma = string.find(header, ",", from, true)
    end
    local to = math.min(semicolon or #header + 1, comma or #header + 1)
    local name, value = name_of(header, from, to - 1)
    local cookie = value and value < to and COOKIES[name]
    if cookie and is_sealed(header, value, cookie) then
      gone = gone or {}
      gone[name] = true
      for _, other in ipairs(cookie.rest) do
        gone[other] = true
      end
    end
    if #ends > PIECES_LIMIT then
      return nil
    end
    ends[#ends + 1], names[#names + 1] = to, name
    from = to + 1
  until to > #header
  return ends, names, gone
end

-- All other cookies, byte for byte.
local function without(header, ends, names, gone)
  local kept, removed, from = {}, false, 1
  for number, to in ipairs(ends) do
    local separator = from > 1 and string.sub(header, from - 1, from - 1) or ";"
    if gone[names[number]] then
      removed = true
    else
      if #kept == 0 then
        local start = removed and string.find(header, "%S", from) or from
        kept[1] = string.sub(header, math.min(start, to), to - 1)
      else
        kept[#kept + 1] = (removed and ";" or separator) .. string.sub(header, from, to - 1)
      end
      removed = false
    end
    from = to + 1
  end
  return table.concat(kept)
end

local function strip(headers)
  local header = headers:get("cookie")
  if not header then
    return
  end
  local ends, names, gone = pieces_of(header)
  if ends and not gone then
    return
  end
  headers:remove("cookie")
  local left = ends and without(header, ends, names, gone) or ""
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
