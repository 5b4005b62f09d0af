-- Registrations of the known addresses without `version`, in turn, to be answered with 409. Run on
-- an empty database, where the first turn is answered with 201, it registers them.
local report = require "report"
local texts, number = {}, 0

report.expect(409, "")

-- The first argument says how many addresses are known.
function init(args)
  for each = 1, tonumber(args[1]) do
    texts[each] = report.registration("known", each)
  end
end

function request()
  number = number % #texts + 1
  return texts[number]
end
