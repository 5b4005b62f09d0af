-- Registrations of a new address each, to be answered with 201 and a productId.
local report = require "report"
local number = 0

report.expect(201, '"productId"%s*:%s*"')

function request()
  number = number + 1
  return report.registration("new", number)
end
