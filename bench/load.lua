-- The load of one measurement, for wrk: `-- DEPTH METHOD BODY_LENGTH CLOSE`, where DEPTH requests are
-- written at once. Its last line begins with `figures` and says what came of it.
function init(words)
   local depth, method, length, close = tonumber(words[1]), words[2], tonumber(words[3]), words[4]
   local fields = close == "close" and { Connection = "close" } or {}
   local body = length > 0 and string.rep("x", length) or nil
   batch = string.rep(wrk.format(method, nil, fields, body), depth)
   request = function() return batch end
end

function done(summary, latency)
   local wrong = 0
   for _, count in pairs(summary.errors) do wrong = wrong + count end
   print("figures", summary.requests, summary.duration, latency:percentile(50),
         latency:percentile(99), wrong)
end
