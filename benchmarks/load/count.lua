-- Questions for the number of registrations.
local report = require "report"
local text

report.expect(200, '"count"%s*:%s*%d')

function init()
  text = wrk.format("GET", "/api/registration/unique", { ["Accept"] = "*/*" })
end

function request()
  return text
end
