-- Counts the answers that a scenario expects and those it does not, and prints them at the end as
-- lines of "bench NAME VALUE". wrk itself only tells statuses above 399 from the rest, which would
-- call every duplicate an error and a wrong 200 a success.

local report = {}
local threads = {}

-- Expects every answer to have this status and a body that matches this Lua pattern.
function report.expect(status, pattern)
  expected, unexpected, example = 0, 0, ""
  function response(got, _, body)
    if got == status and body:find(pattern) then
      expected = expected + 1
    else
      if unexpected == 0 then
        example = got .. " " .. body:sub(1, 200):gsub("%s+", " ")
      end
      unexpected = unexpected + 1
    end
  end
end

-- A registration as PHP's http_build_query writes it; `domain` varies so that no implementation is
-- measured with a single hot mail domain.
function report.registration(name, number)
  local body = string.format("email=%s-%d%%40clinic%d.example.org", name, number, number % 1000)
  return wrk.format("POST", "/api/registration", {
    ["Accept"] = "*/*",
    ["Content-Type"] = "application/x-www-form-urlencoded",
  }, body)
end

-- Each thread of wrk has a Lua state of its own; done() runs in another and reads them by name.
function setup(thread)
  threads[#threads + 1] = thread
end

function done(summary, latency, _)
  local totals = { expected = 0, unexpected = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(totals) do
      totals[name] = totals[name] + thread:get(name)
    end
    if thread:get("example") ~= "" then
      print("bench example " .. thread:get("example"))
    end
  end
  local errors = summary.errors
  print("bench expected " .. totals.expected)
  print("bench unexpected " .. totals.unexpected)
  print("bench requests " .. summary.requests)
  print("bench broken " .. errors.connect + errors.read + errors.write)
  print("bench timeouts " .. errors.timeout)
  print(string.format("bench seconds %.6f", summary.duration / 1e6))
  print(string.format("bench p50_ms %.3f", latency:percentile(50) / 1e3))
  print(string.format("bench p99_ms %.3f", latency:percentile(99) / 1e3))
end

return report
