"""The scripts that Envoy runs, under LuaJIT without Envoy: a handle that has what they use of it.

Source: Envoy's documentation of its Lua filter (headers, metadata, streamInfo, logErr).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from lupa.luajit21 import LuaRuntime

_HANDLE = """
-- `list` is a Lua list of {name, value}: what Envoy calls a header map.
local function header_map(list)
  local map = {}
  function map:get(name)
    local values = {}
    for _, pair in ipairs(list) do
      if pair[1] == name then values[#values + 1] = pair[2] end
    end
    return #values > 0 and table.concat(values, ",") or nil
  end
  function map:getNumValues(name)
    local count = 0
    for _, pair in ipairs(list) do
      if pair[1] == name then count = count + 1 end
    end
    return count
  end
  function map:remove(name)
    for position = #list, 1, -1 do
      if list[position][1] == name then table.remove(list, position) end
    end
  end
  function map:add(name, value) list[#list + 1] = { name, value } end
  function map:replace(name, value) map:remove(name) map:add(name, value) end
  return setmetatable(map, { __pairs = function()
    local position = 0
    return function()
      position = position + 1
      if list[position] then return list[position][1], list[position][2] end
    end
  end })
end

local function run(hook, list, metadata, noted, logged)
  local handle = {}
  function handle:headers() return header_map(list) end
  function handle:logErr(text) logged(text) end
  function handle:metadata()
    return { get = function(_, key) return metadata[key] end }
  end
  function handle:streamInfo()
    return { dynamicMetadata = function()
      return {
        get = function(_, space) return noted[space] end,
        set = function(_, space, key, value)
          noted[space] = noted[space] or {}
          noted[space][key] = value
        end,
      }
    end }
  end
  _G[hook](handle)
end
return run
"""

Headers = Iterable[tuple[str, str]]


@dataclass
class Ran:
    """What a hook left behind."""

    headers: list[tuple[str, str]]
    noted: dict[str, dict[str, str]]
    logged: list[str] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


class LuaScript:
    """One script, loaded once, as in one worker of Envoy's. Text is bytes, written as Latin-1."""

    def __init__(self, name: str, before: str = "") -> None:
        self.lua = LuaRuntime(encoding="latin-1", unpack_returned_tuples=True)
        text = files("scopegate.envoy").joinpath(name).read_text(encoding="utf-8")
        self.lua.execute((before + text).encode().decode("latin-1"))
        self._run = self.lua.execute(_HANDLE)

    def request(self, headers: Headers, metadata: Mapping[str, str] | None = None) -> Ran:
        """Run the hook for requests."""
        return self._call("envoy_on_request", headers, metadata or {}, {})

    def response(self, headers: Headers, noted: Mapping[str, Mapping[str, str]]) -> Ran:
        """Run the hook for responses; `noted` is the request's dynamic metadata."""
        return self._call("envoy_on_response", headers, {}, noted)

    def set_clock(self, now_s: int) -> None:
        """What the script takes for the time."""
        self.lua.execute(f"os.time = function() return {now_s} end")

    def _call(
        self,
        hook: str,
        headers: Headers,
        metadata: Mapping[str, str],
        noted: Mapping[str, Mapping[str, str]],
    ) -> Ran:
        table = self.lua.table_from
        rows = table([table(pair) for pair in headers])
        notes = table({space: table(dict(known)) for space, known in noted.items()})
        logged: list[str] = []
        self._run(hook, rows, table(dict(metadata)), notes, logged.append)
        left: Any = [(row[1], row[2]) for row in rows.values()]
        return Ran(left, {key: dict(known.items()) for key, known in notes.items()}, logged)
