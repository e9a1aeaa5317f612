-- Remembers yeses of the policy service and gives them again to the same credential under the same
-- policy, until they end or are revoked. Runs ahead of the filters that ask, on routes whose policy
-- says what its yes rests on.
--
-- Four rules (docs/adr/0035):
--   1. Only a yes is remembered: a no, a redirect, an answer of the service's own carries no grant.
--   2. The key is all that the yes rested on. Whatever is odd, repeated or unknown is asked about.
--   3. A grant ends before anything that it rests on; a revocation is read once a second.
--   4. The upstream gets what it would get of a request that was asked about.
--
-- Before this text stand REVOCATIONS (a path), ENTRIES_LIMIT and BYTES_LIMIT: see filters.py.
-- What a route's `replay` says, and what a grant looks like: ir/replay.py.
--
-- What most requests run through makes no new string and no new table: it is all that a yes costs.

local ANSWERS, DECIDED, YES = "envoy.filters.http.ext_authz", "x-scopegate-decided", "1"
local GRANT, GRANTED, MINE = "x-scopegate-grant", "x-scopegate-granted", "scopegate.remember"

local METHODS = "GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS" -- others are asked about each time
local QUERY_LIMIT_BYTES = 4096
local RECIPES_LIMIT = 10000
local EPOCH_BYTES = 17 -- the first line of REVOCATIONS, its end included
local REVOKED_KEPT_S = 60 -- an answer that comes later is not remembered

-- ---------------------------------------------------------------------------- the table
-- Two generations: when the young one is full, the old one goes. A generation is
-- `slots` (slot -> key -> grant), `grants_of` (tag -> its grants), `count` and `bytes`. A slot is a
-- recipe, and the one header that made the key, or all of them.

local function generation()
  return { slots = {}, grants_of = {}, count = 0, bytes = 0 }
end

local young, old = generation(), generation()

local function keep(slot, key, grant)
  if young.count >= ENTRIES_LIMIT or young.bytes + grant.bytes > BYTES_LIMIT then
    young, old = generation(), young
  end
  local entries = young.slots[slot]
  if not entries then
    entries = {}
    young.slots[slot] = entries
  end
  young.count = young.count + 1
  young.bytes = young.bytes + grant.bytes
  entries[key] = grant
  for _, tag in ipairs(grant.tags) do
    young.grants_of[tag] = young.grants_of[tag] or {}
    table.insert(young.grants_of[tag], grant)
  end
end

local function find(slot, key)
  local entries = young.slots[slot]
  local grant = entries and entries[key]
  if grant then
    return grant
  end
  entries = old.slots[slot]
  grant = entries and entries[key]
  if grant then
    entries[key] = nil
    keep(slot, key, grant) -- what is used stays
  end
  return grant
end

local function forget(tag)
  for _, each in ipairs({ young, old }) do
    for _, grant in ipairs(each.grants_of[tag] or {}) do
      grant.till_s = 0
    end
    each.grants_of[tag] = nil
  end
end

-- ---------------------------------------------------------------------------- revocations
-- REVOCATIONS is a line that names its epoch, then a tag on each line, in the order of time. When
-- it is begun anew, its epoch is another (or it is shorter than it was), and nothing that was
-- remembered counts any more.

local epoch, offset = nil, 0
local life = 0 -- how often everything was forgotten
local read_at_s = nil
local revoked, revoked_before, rotated_at_s = {}, {}, 0

local function forget_all()
  young, old = generation(), generation()
  revoked, revoked_before = {}, {}
  life = life + 1
end

local function read_revocations(now_s)
  local file = io.open(REVOCATIONS, "rb")
  local head = file and file:read(EPOCH_BYTES)
  if not head or #head < EPOCH_BYTES then
    epoch = nil
  else
    if head ~= epoch then
      forget_all()
      epoch, offset = head, EPOCH_BYTES
    end
    if file:seek("end") < offset then
      forget_all() -- cut off by somebody
      offset = EPOCH_BYTES
    end
    local from = offset
    file:seek("set", from)
    for tag, behind in string.gmatch(file:read("*a"), "(%x+)\n()") do
      forget(tag)
      revoked[tag] = true
      offset = from + behind - 1
    end
  end
  if file then
    file:close()
  end
  if now_s - rotated_at_s > REVOKED_KEPT_S then
    revoked, revoked_before, rotated_at_s = {}, revoked, now_s
  end
  read_at_s = now_s
  if not epoch then
    forget_all()
  end
end

-- Whether what is remembered may be believed in this second.
local function is_current(now_s)
  if now_s ~= read_at_s then
    read_revocations(now_s)
  end
  return epoch ~= nil
end

-- ---------------------------------------------------------------------------- what counts
-- A recipe is a route's `replay`, taken apart: `names` of the headers that make the key, the
-- `methods` that there may be, and what must not be there. Other spellings of these names are gone
-- already (spellings.py).

local function list_of(words)
  local list = {}
  for word in string.gmatch(words, "[^,]+") do
    list[#list + 1] = word
  end
  return list
end

local function set_of(words)
  local set = {}
  for _, word in ipairs(list_of(words)) do
    set[word] = true
  end
  return set
end

local function recipe_of_text(text)
  local part = {}
  for name, words in string.gmatch(text, "(%a+)=([^ ]*)") do
    part[name] = words
  end
  local recipe = {
    names = list_of(part.key),
    stripped = list_of(part.stripped),
    methods = set_of(METHODS),
    arguments = set_of(part.arguments),
    suffixes = list_of(part.suffixes),
    media = list_of(part.media),
    slots = {},
  }
  for _, method in ipairs(list_of(part.methods)) do
    recipe.methods[method] = nil
  end
  local names = set_of(part.key)
  assert(names.authorization and names.cookie, "a key without the credentials")
  recipe.asks_arguments = next(recipe.arguments)
  for position = 0, #recipe.names do
    recipe.slots[position] = text .. " " .. position
  end
  return recipe
end

local recipes, recipes_count = {}, 0

-- By a short name, so that the text is read once. nil: the route has none.
local function recipe_of(route)
  local id = route:get("id")
  local recipe = id and recipes[id]
  if id and not recipe then
    if recipes_count >= RECIPES_LIMIT then
      recipes, recipes_count = {}, 0
    end
    recipe = recipe_of_text(route:get("replay"))
    recipes[id], recipes_count = recipe, recipes_count + 1
  end
  return recipe
end

-- Whether the path has bytes that no URL has, or ends in a way that means something else, or the
-- query may hold an argument that the policy looks for.
local function is_odd_path(recipe, path)
  if string.find(path, "[^!-~]") then
    return true
  end
  local mark = string.find(path, "?", 1, true)
  for _, suffix in ipairs(recipe.suffixes) do
    local behind = mark or #path + 1
    if string.sub(path, math.max(behind - #suffix, 1), behind - 1) == suffix then
      return true
    end
  end
  if not mark or not recipe.asks_arguments then
    return false
  end
  if #path - mark > QUERY_LIMIT_BYTES then
    return true
  end
  for piece in string.gmatch(string.sub(path, mark + 1), "[^&;]+") do
    local name = string.match(piece, "^[^=]*")
    if string.find(name, "[%%+]") then
      return true
    end
    name = string.gsub(string.lower(string.match(name, "^[^%[]*")), "[^a-z0-9]", "_")
    if recipe.arguments[name] then
      return true
    end
  end
  return false
end

local function is_media(recipe, value)
  value = string.lower(value)
  for _, word in ipairs(recipe.media) do
    if string.find(value, word, 1, true) then
      return true
    end
  end
  return false
end

-- Whether the request is of a kind that is asked about each time.
local function is_odd(recipe, headers)
  if not recipe.methods[headers:get(":method")] then
    return true
  end
  local kind = #recipe.media > 0 and headers:get("content-type")
  return is_odd_path(recipe, headers:get(":path")) or (kind and is_media(recipe, kind))
end

-- Slot and key of a request; nil: it must be asked.
local found = {}

local function key_of(recipe, headers)
  local only = nil
  for position, name in ipairs(recipe.names) do
    local value = headers:get(name)
    if value then
      -- An odd form, or a header that came twice; two of `authorization` Envoy has joined.
      if value == "" or headers:getNumValues(name) > 1
        or (name == "authorization" and string.find(value, ",", 1, true)) then
        return nil
      end
      only = only == nil and position or 0
    end
    found[position] = value or ""
  end
  if only and only > 0 then
    return recipe.slots[only], found[only]
  end
  return recipe.slots[0], table.concat(found, "\n", 1, #recipe.names)
end

-- ---------------------------------------------------------------------------- grants

local NOTHING = {} -- shared, so that most grants need no table for what they lack

local function words(text)
  return text == "-" and NOTHING or list_of(text)
end

-- "until tags removed[ name length value]… ."; nothing that is not whole is remembered.
local function grant_of(text)
  local till_s, tags, removed, at = string.match(text, "^(%d+) (%S+) (%S+)()")
  local grant = { till_s = tonumber(till_s), tags = words(tags), removed = words(removed) }
  grant.names, grant.values = NOTHING, NOTHING
  if at + 1 < #text then
    grant.names, grant.values = {}, {}
  end
  while at + 1 < #text do
    local name, size, from = string.match(text, "^ (%S+) (%d+) ()", at)
    at = from + tonumber(size)
    table.insert(grant.names, name)
    table.insert(grant.values, string.sub(text, from, at - 1))
  end
  assert(string.sub(text, at) == " .", "a grant that is cut off")
  return grant
end

local function remember(slot, key, text)
  local grant = grant_of(text)
  grant.bytes = #key + #text
  for _, tag in ipairs(grant.tags) do
    if revoked[tag] or revoked_before[tag] then
      return
    end
  end
  if grant.bytes * 16 <= BYTES_LIMIT then
    keep(slot, key, grant)
  end
end

local function replay(headers, grant, recipe)
  for _, name in ipairs(recipe.stripped) do
    headers:remove(name)
  end
  for _, name in ipairs(grant.removed) do
    headers:remove(name)
  end
  for position, name in ipairs(grant.names) do
    headers:replace(name, grant.values[position])
  end
  headers:add(DECIDED, YES) -- what a client sent under this name is gone on arrival
end

local function on_request(handle)
  local recipe = recipe_of(handle:metadata())
  if not recipe then
    return
  end
  local headers, now_s = handle:headers(), os.time()
  if is_odd(recipe, headers) or not is_current(now_s) then
    return
  end
  local slot, key = key_of(recipe, headers)
  local grant = slot and find(slot, key)
  if grant and now_s < grant.till_s then
    replay(headers, grant, recipe)
  elseif slot then
    local asked = { slot = slot, key = key, at_s = now_s, life = life }
    handle:streamInfo():dynamicMetadata():set(MINE, "asked", asked)
  end
end

-- Of answers with GRANTED only (filters.py); whoever put it there, it goes no further.
local function on_response(handle)
  handle:headers():remove(GRANTED)
  local said = handle:streamInfo():dynamicMetadata()
  local mine = said:get(MINE)
  local asked = mine and mine.asked
  -- What was revoked since it was asked must still be known: not after a minute, nor when it was
  -- forgotten. Answers may take long.
  if not asked or asked.life ~= life or os.time() - asked.at_s >= REVOKED_KEPT_S then
    return
  end
  local answer = said:get(ANSWERS)
  -- Envoy notes the headers of a refusal, too.
  if answer and answer[DECIDED] == YES and answer[GRANT] then
    remember(asked.slot, asked.key, answer[GRANT])
  end
end

-- Whatever goes wrong here, the request is asked about, and nothing is remembered.
function envoy_on_request(handle)
  local done, fault = pcall(on_request, handle)
  if not done then
    handle:logErr("a yes cannot be given again: " .. tostring(fault))
  end
end

function envoy_on_response(handle)
  local done, fault = pcall(on_response, handle)
  if not done then
    handle:logErr("a yes cannot be remembered: " .. tostring(fault))
  end
end
